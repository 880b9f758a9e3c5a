//! What the statements of a service cost on a log that grew under them: they were planned while it was empty, and nothing makes
//! `PostgreSQL` plan them anew for a long time.

use std::time::Duration;

use reqwest::Method;
use sqlx::PgConnection;

use crate::support::eventually;
use crate::support::load::Load;
use crate::support::service::{Answer, Service, platform, some_task};

/// A connection keeps a plan for good once it has used a statement so often.
const TIMES: usize = 8;
const EVENTS: usize = 1_500;

async fn create_with(service: &Service, key: &str, parent: Option<&str>) -> Answer {
    let mut body: serde_json::Value = serde_json::from_str(&some_task(key)).unwrap();
    if let Some(parent) = parent {
        body["parentVtid"] = parent.into();
    }
    let request = service.with_body(Method::POST, "/vtid/create", body.to_string());
    service.send(request.header("idempotency-key", key)).await.expect(200)
}

/// Each call that looks something up in the log, so often: what the other process wrote this one has to load.
async fn every_look(services: &[Service; 2], name: &str, task: &str) {
    for time in 0..TIMES {
        for (service, n) in services.iter().zip(0..) {
            let key = format!("{name}-{time}-{n}");
            let made = create_with(service, &key, Some(task)).await;
            let again = create_with(&services[1 - n], &key, Some(task)).await;
            assert_eq!(again.vtid(), made.vtid());
            let patched = services[1 - n].patch(made.vtid(), r#"{"assignedTo":"agent"}"#).await;
            patched.expect(200);
            for path in ["/readyz".to_owned(), "/vtid/list".to_owned(), format!("/vtid/{task}")] {
                service.get(&path).await;
            }
        }
    }
}

/// How many of its rows were read by going through all of them.
async fn read_in_full(connection: &mut PgConnection, table: &str) -> i64 {
    sqlx::query_scalar(
        "select seq_tup_read from pg_stat_user_tables where schemaname = 'ledger' and relname = $1",
    )
    .bind(table)
    .fetch_one(connection)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_of_a_running_service_goes_through_the_log() {
    let platform = platform().await;
    let mut owner = platform.connection().await;
    let mut services = [platform.serve().await, platform.serve().await];
    let task = create_with(&services[0], "first", None).await.vtid().to_owned();
    every_look(&services, "early", &task).await;
    let load = Load::start(&services.each_ref(), 16, Duration::from_millis(1));
    load.further(EVENTS).await;
    load.stop().await;
    every_look(&services, "late", &task).await;
    // A connection tells what it read when it ends, at the latest.
    for service in &mut services {
        service.terminate();
        assert!(service.ended().await.success());
    }
    eventually("their connections to end", async || {
        let others: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'",
        )
        .fetch_one(&mut owner)
        .await
        .unwrap();
        (others == 0).then_some(())
    })
    .await;
    let read = read_in_full(&mut owner, "event").await;
    println!("rows of the log read in full scans: {read}");
    assert!(read < i64::try_from(EVENTS).unwrap(), "a statement goes through the whole log: {read} rows");
}
