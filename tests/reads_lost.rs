//! Reads from memory, once the database lost what they show, or is away.

use serde_json::Value;
use vtid_ledger::dev::{PostgresOptions, PostgresServer};

use crate::support::service::{Answer, Platform, Service, platform, some_task};
use crate::support::{NatsFlavor, eventually, folder, nats, program};

async fn get(service: &Service, vtid: &str) -> Answer {
    service.get(&format!("/vtid/{vtid}")).await
}

/// A ledger that lost its last task, which its process had in memory; the kept one's and the lost one's rows.
async fn lost_last_task() -> (Platform, Service, [Value; 2]) {
    let platform = platform().await;
    let service = platform.serve().await;
    let kept = service.create(some_task("kept")).await.expect(200);
    let copy = platform.database.copy().await;
    let lost = eventually("the database is back", async || {
        let created = service.create(some_task("lost")).await;
        (created.status == 200).then_some(created)
    })
    .await;
    get(&service, lost.vtid()).await.expect(200);
    eventually("all of it is published", async || (platform.stream_length().await == 2).then_some(())).await;
    platform.database.put_back(&copy).await;
    eventually("what was lost is not shown any more", async || {
        (get(&service, lost.vtid()).await.status != 200).then_some(())
    })
    .await;
    eventually("the hold", async || {
        assert_ne!(get(&service, lost.vtid()).await.status, 200, "it is lost");
        let created = service.create(some_task("too early")).await;
        (created.body["code"] == "ledger_behind").then_some(())
    })
    .await;
    get(&service, lost.vtid()).await.expect(404);
    let read = get(&service, kept.vtid()).await.expect(200);
    assert_eq!((&read.body["data"], read.position()), (&kept.body["data"], 1));
    let rows = [kept, lost].map(|answer| answer.body["data"].clone());
    (platform, service, rows)
}

async fn shows(service: &Service, row: &Value) {
    let read = get(service, row["vtid"].as_str().unwrap()).await.expect(200);
    assert_eq!(&read.body["data"], row);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_lost_and_given_up_is_never_shown_again() {
    let (platform, service, [kept, lost]) = lost_last_task().await;
    shows(&service, &kept).await;
    platform.run(&["oasis", "rebuild", "--accept-loss"]).await.succeeded();
    let created = eventually("writes go on", async || {
        let created = service.create(some_task("after the loss")).await;
        (created.status == 200).then_some(created)
    })
    .await;
    assert_eq!(created.vtid(), lost["vtid"], "the number is given out again");
    shows(&service, &created.body["data"]).await;
    shows(&service, &kept).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_lost_and_put_back_is_shown_again() {
    let (platform, service, [kept, lost]) = lost_last_task().await;
    platform.run(&["oasis", "recover", "--yes"]).await.succeeded();
    let vtid = lost["vtid"].as_str().unwrap();
    eventually("it is back", async || (get(&service, vtid).await.status == 200).then_some(())).await;
    shows(&service, &lost).await;
    shows(&service, &kept).await;
}

#[tokio::test]
async fn nothing_is_shown_for_long_while_the_database_is_away() {
    let (folder, nats) = (folder(), nats(NatsFlavor::Current).await);
    let options = PostgresOptions::new(folder.path().join("postgres"), program());
    let server = PostgresServer::start(&options).await.unwrap();
    let url = server.url("postgres");
    vtid_ledger::database::migrate(&url).await.unwrap();
    let mut command = std::process::Command::new(program());
    command.args(["serve", "--listen", "127.0.0.1:0"]).env_clear();
    command.env("DATABASE_URL", &url).env("NATS_URL", nats.url()).env("AUTH", "off");
    let service = Service::start(command);
    let created = eventually("the ledger writes", async || {
        let created = service.create(some_task("in memory")).await;
        (created.status == 200).then_some(created)
    })
    .await;
    shows(&service, &created.body["data"]).await;
    server.stop().await.unwrap();
    let read = eventually("it is not shown", async || {
        let read = get(&service, created.vtid()).await;
        (read.status != 200).then_some(read)
    })
    .await;
    assert_eq!(read.expect(503).body["code"], "unavailable");
    get(&service, created.vtid()).await.expect(503);
}
