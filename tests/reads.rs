//! One task, read from memory where it can be: as fresh as from the read table, and fresher where that stands still.

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;
use sqlx::AssertSqlSafe;
use vtid_ledger::projections::tasks::REVISION;

use crate::support::eventually;
use crate::support::service::{Answer, Platform, Service, platform, some_task};

/// Nothing is known in memory: every read goes to the table.
const NO_MEMORY: [&str; 2] = ["--read-memory-mib", "0"];

/// The projectors stand still from now on, or go on: a later version has taken the table over.
async fn hold_projectors(platform: &Platform, hold: bool) {
    let later = if hold { REVISION + 1 } else { REVISION };
    let revision = format!("update ledger.projection set revision = {later}");
    sqlx::raw_sql(AssertSqlSafe(revision)).execute(&mut platform.connection().await).await.unwrap();
}

async fn get(service: &Service, vtid: &str) -> Answer {
    service.get(&format!("/vtid/{vtid}")).await
}

async fn get_at(service: &Service, vtid: &str, position: &str) -> Answer {
    let request = service.request(Method::GET, &format!("/vtid/{vtid}"));
    service.send(request.header("ledger-min-position", position)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_many_callers_sees_its_own_writes_at_once() {
    let platform = platform().await;
    let service = platform.serve().await;
    join_all((0..16).map(|caller| {
        let service = &service;
        async move {
            for n in 0..6 {
                let created = service.create(some_task(&format!("{caller}: {n}"))).await.expect(200);
                let read = get(service, created.vtid()).await.expect(200);
                assert_eq!(read.body["data"], created.body["data"]);
                assert_eq!(read.header("etag"), created.header("etag"));
                assert!(read.position() >= created.position());
                let body = format!(r#"{{"status":"active","metadata":{{"n":{n}}}}}"#);
                let patched = service.patch(created.vtid(), body).await.expect(200);
                let read = get(service, created.vtid()).await.expect(200);
                assert_eq!(read.body["data"], patched.body["data"][0]);
                assert_eq!(read.header("etag"), patched.header("etag"));
                assert!(read.position() >= patched.position());
            }
        }
    }))
    .await;
}

#[tokio::test]
async fn what_is_in_memory_is_read_while_the_projector_stands_still() {
    let platform = platform().await;
    let (one, other) = (platform.serve().await, platform.serve().await);
    let without = platform.serve_with(&NO_MEMORY).await;
    let before = one.create(some_task("projected")).await.expect(200);
    eventually("it is projected", async || (get(&without, before.vtid()).await.status == 200).then_some(()))
        .await;
    hold_projectors(&platform, true).await;

    let mut created = Vec::new();
    for service in [&one, &other, &one] {
        let task = service.create(some_task("not projected")).await.expect(200);
        let read = get(service, task.vtid()).await.expect(200);
        assert_eq!((&read.body["data"], read.position()), (&task.body["data"], task.position()));
        created.push(task);
    }
    // Others' writes come by the log too, and are waited for.
    for service in [&one, &other] {
        for task in &created {
            let read = get_at(service, task.vtid(), task.header("ledger-position")).await.expect(200);
            assert_eq!(read.body["data"], task.body["data"]);
            assert!(read.position() >= task.position());
        }
    }
    // The table can't show it, and says so.
    let listed = one.get("/vtid/list").await.expect(503);
    assert_eq!(listed.body["code"], "read_behind");
    let read = get_at(&without, created[0].vtid(), created[0].header("ledger-position")).await.expect(503);
    assert_eq!(read.body["code"], "read_behind");

    hold_projectors(&platform, false).await;
    eventually("the table shows it", async || (one.get("/vtid/list").await.body["count"] == 4).then_some(()))
        .await;
}

#[tokio::test]
async fn what_another_process_writes_comes_by_itself() {
    let platform = platform().await;
    let writer = platform.serve().await;
    let vtid = writer.create(some_task("watched")).await.expect(200).vtid().to_owned();
    // It knows the task from the table, and goes on from there by the log.
    let reader = platform.serve().await;
    eventually("it is there", async || (get(&reader, &vtid).await.status == 200).then_some(())).await;
    for n in 0..10 {
        let body = format!(r#"{{"metadata":{{"n":{n}}}}}"#);
        let patched = writer.patch(&vtid, body).await.expect(200);
        let read = eventually("the reader has it", async || {
            let read = get(&reader, &vtid).await.expect(200);
            (read.position() >= patched.position()).then_some(read)
        })
        .await;
        assert_eq!(read.body["data"], patched.body["data"][0]);
        assert_eq!(read.header("etag"), patched.header("etag"));
    }
}

#[tokio::test]
async fn more_tasks_than_the_memory_holds_are_read_from_the_table() {
    let platform = platform().await;
    let service = platform.serve_with(&["--read-memory-mib", "1"]).await;
    let long = "x".repeat(9_000);
    let mut created = Vec::new();
    for _ in 0..200 {
        created.push(service.create(some_task(&long)).await.expect(200));
    }
    for task in &created {
        assert_eq!(get(&service, task.vtid()).await.expect(200).body["data"], task.body["data"]);
    }
    // While the table stands still only what is in memory can be shown of what has changed since…
    hold_projectors(&platform, true).await;
    for task in &created {
        service.patch(task.vtid(), r#"{"status":"active"}"#).await.expect(200);
    }
    let read = join_all(created.iter().map(|task| get(&service, task.vtid()))).await;
    let known = read.iter().filter(|answer| answer.status == 200).collect::<Vec<_>>();
    assert!((10..150).contains(&known.len()), "{} in memory", known.len());
    assert!(known.iter().all(|answer| answer.body["data"]["status"] == "active"));
    assert!(read.iter().all(|answer| answer.status == 200 || answer.body["code"] == "read_behind"));
    // … and no read that could not be answered has done harm.
    hold_projectors(&platform, false).await;
    eventually("the table goes on", async || (service.get("/vtid/list").await.status == 200).then_some(()))
        .await;
    for task in &created {
        assert_eq!(get(&service, task.vtid()).await.expect(200).body["data"]["status"], "active");
    }
}

#[tokio::test]
async fn a_row_of_a_table_that_is_behind_will_do_where_the_task_has_not_changed_since() {
    let platform = platform().await;
    let one = platform.serve().await;
    let old = one.create(some_task("not changed")).await.expect(200);
    let changing = one.create(some_task("changing")).await.expect(200);
    one.get("/vtid/list").await.expect(200);
    // It knows of neither by the log.
    let other = platform.serve().await;
    hold_projectors(&platform, true).await;
    let patched = one.patch(changing.vtid(), r#"{"status":"active"}"#).await.expect(200);
    let position = patched.header("ledger-position");
    let read = get_at(&other, old.vtid(), position).await.expect(200);
    assert_eq!((&read.body["data"], read.position()), (&old.body["data"], 3));
    let read = get_at(&other, changing.vtid(), position).await;
    let is_right = match read.status.as_u16() {
        200 => read.body["data"] == patched.body["data"][0],
        _ => read.body["code"] == "read_behind",
    };
    assert!(is_right, "{read:?}");
}

#[tokio::test]
async fn an_edit_of_the_table_does_not_change_what_was_written_here() {
    let platform = platform().await;
    let service = platform.serve().await;
    let created = service.create(some_task("as it was written")).await.expect(200);
    service.get("/vtid/list").await.expect(200);
    let mut connection = platform.connection().await;
    let edit = r#"update "VtidLedger" set description = 'edited'"#;
    sqlx::raw_sql(edit).execute(&mut connection).await.unwrap();
    let read = get(&service, created.vtid()).await.expect(200);
    assert_eq!(read.body["data"], created.body["data"]);
    assert_eq!(service.get("/vtid/list").await.expect(200).body["data"][0]["description"], "edited");
}

#[tokio::test]
async fn a_read_bears_the_loss_of_its_connection() {
    let platform = platform().await;
    let service = platform.serve_with(&NO_MEMORY).await;
    let created = service.create(some_task("here")).await.expect(200);
    for _ in 0..5 {
        let reads = (0..16).map(|_| get(&service, created.vtid()));
        for read in join_all(reads).await {
            assert_eq!(read.expect(200).body["data"], created.body["data"]);
        }
        // Several connections are idle now, and none is left after this.
        let cut = "select pg_terminate_backend(pid) from pg_stat_activity
                   where datname = current_database() and pid <> pg_backend_pid()";
        sqlx::raw_sql(cut).execute(&mut platform.connection().await).await.unwrap();
        assert_eq!(service.get("/vtid/list").await.expect(200).body["data"], json!([created.body["data"]]));
    }
}
