//! Versions of the program beside one another on one database: what an older one does when a newer one has been there.

use std::time::Duration;

use futures::future::join_all;
use reqwest::StatusCode;
use sqlx::{Connection as _, PgConnection, raw_sql};

use crate::support::ledger::ByHand;
use crate::support::service::{Platform, platform, run_program, some_task};
use crate::support::stream::assert_stream_is_the_log;
use crate::support::{database, eventually};

/// Nobody listens there, and nobody asks.
const NO_NATS: &str = "nats://127.0.0.1:1";

#[tokio::test]
async fn five_that_migrate_at_once_do_it_once() {
    let empty = database().await;
    for ended in join_all((0..5).map(|_| run_program(empty.url(), NO_NATS, &["migrate"]))).await {
        assert!(ended.succeeded().contains("up to date"));
    }
    let mut owner = PgConnection::connect(empty.url()).await.unwrap();
    let applied: Vec<i64> =
        sqlx::query_scalar("select version from ledger._migrations where success order by version")
            .fetch_all(&mut owner)
            .await
            .unwrap();
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap().count();
    assert_eq!(applied, (1..=i64::try_from(files).unwrap()).collect::<Vec<_>>());
    let ids: i64 =
        sqlx::query_scalar("select count(*) from ledger.identity").fetch_one(&mut owner).await.unwrap();
    assert_eq!(ids, 1);
}

/// What a later version's `migrate` leaves behind, as far as this one can tell: one more migration, which adds.
async fn migrate_further(platform: &Platform) {
    raw_sql(
        r#"alter table ledger.event add column of_later text;
           alter table ledger.lease add column of_later text;
           alter table ledger.progress add column of_later text;
           alter table "VtidLedger" add column of_later text;
           create table ledger.of_later (n int);
           insert into ledger._migrations (version, description, success, checksum, execution_time)
           values (9999, 'of a later version', true, '\x00', 0)"#,
    )
    .execute(&mut platform.connection().await)
    .await
    .unwrap();
}

#[tokio::test]
async fn every_command_refuses_a_schema_that_is_newer_than_it_knows() {
    let platform = platform().await;
    migrate_further(&platform).await;
    for (command, url) in [
        (&["serve", "--listen", "127.0.0.1:0"][..], platform.database.service_url()),
        (&["oasis", "check"], platform.database.service_url()),
        (&["migrate"], platform.database.url()),
    ] {
        let told = run_program(url, &platform.nats.url(), command).await.failed();
        assert!(told.contains("(9999) is newer than this version knows"), "{command:?}: {told}");
    }
}

/// A rolling upgrade: the older one is there already when the newer one migrates, and goes on until it is replaced.
#[tokio::test]
async fn an_older_one_that_runs_already_goes_on_beside_a_newer_one() {
    let platform = platform().await;
    let services = [platform.serve().await, platform.serve().await];
    services[0].create(some_task("before")).await.expect(200);
    migrate_further(&platform).await;
    for n in 0..20 {
        let (one, other) = (&services[n % 2], &services[(n + 1) % 2]);
        let created = one.create(some_task("beside")).await.expect(200);
        let patched = other.patch(created.vtid(), r#"{"status":"active"}"#).await.expect(200);
        let list = other.get("/vtid/list?status=active&limit=1").await.expect(200);
        assert_eq!(list.body["data"][0], patched.body["data"][0]);
    }
    assert_eq!(assert_stream_is_the_log(platform.database.url(), &platform.nats.url()).await.len(), 41);
    for service in &services {
        assert_eq!(service.get("/readyz").await.expect(200).body["degraded"], serde_json::json!([]));
    }
}

/// A type, or a form of the record, of a later version.
#[tokio::test]
async fn a_process_is_not_ready_for_what_it_can_not_read_and_does_not_skip_it() {
    // A create's data is none that an update of this version has.
    for (kind, named) in
        [("vtid-moved", "vtid-moved"), ("vtid-updated", "a form that this version does not know")]
    {
        let platform = platform().await;
        let service = platform.serve().await;
        service.create(some_task("known")).await.expect(200);
        let unknown = ByHand { base: 1, position: 2, version: 2, kind, vtid: None, tenant: None };
        unknown.append(&mut platform.connection().await).await.unwrap();
        // It is among what comes after, too, whoever wrote that.
        let known = ByHand { position: 3, version: 3, kind: "vtid-completed", ..unknown };
        known.append(&mut platform.connection().await).await.unwrap();
        let ready = eventually("it not to be ready", async || {
            let ready = service.get("/readyz").await;
            (ready.status == StatusCode::SERVICE_UNAVAILABLE && ready.text.contains(named)).then_some(ready)
        })
        .await;
        assert!(
            ready.text.contains("position 2") || ready.text.contains(r#""position":2"#),
            "{}",
            ready.text
        );
        let since = std::time::Instant::now();
        eventually("followers to have had their chance", async || {
            let followers = service.get("/readyz").await.body["detail"]["followers"].clone();
            let positions = followers.as_array().unwrap().iter().map(|follower| &follower["position"]);
            assert!(positions.clone().all(|position| *position == 1), "{followers}");
            assert_eq!(platform.stream_length().await, 1);
            (since.elapsed() > Duration::from_secs(2)).then_some(())
        })
        .await;
    }
}

/// The projector was past it before it was changed; whoever reads it again begins further back.
#[tokio::test]
async fn a_record_that_became_unreadable_is_named_by_its_place() {
    let platform = platform().await;
    let mut service = platform.serve().await;
    let task = service.create(some_task("first")).await.expect(200);
    service.patch(task.vtid(), r#"{"status":"active"}"#).await.expect(200);
    service.create(some_task("last")).await.expect(200);
    eventually("all of it to be published", async || (platform.stream_length().await == 3).then_some(()))
        .await;
    service.terminate();
    assert!(service.ended().await.success());
    sqlx::raw_sql(
        "alter table ledger.event disable trigger all;
         update ledger.event set body = replace(body, 'active', 'under way') where position = 2",
    )
    .execute(&mut platform.connection().await)
    .await
    .unwrap();
    let service = platform.spawn(&[]);
    eventually("it to name the record", async || {
        let ready = service.get("/readyz").await;
        (ready.status == StatusCode::SERVICE_UNAVAILABLE && ready.text.contains("the event at position 2 is"))
            .then_some(())
    })
    .await;
}
