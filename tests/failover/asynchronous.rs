//! An asynchronous standby takes over without the last commits, which subscribers have seen.

use std::time::Instant;

use reqwest::Method;
use vtid_ledger::domain::cursor::Cursor;

use super::pair::Replication;
use super::stage::{Stage, readiness, whole};
use crate::support::eventually;
use crate::support::load::Load;
use crate::support::service::{Service, some_task};
use crate::support::stream::{assert_stream_is_the_log, log_after};

async fn written(services: &[&Service], count: usize) {
    let load = Load::start(services, 4, std::time::Duration::from_millis(2));
    load.further(count).await;
    load.stop().await;
}

/// Every write is answered 503, from some time on with the code that says why; reads go on; `/readyz` is 200 and names it.
pub(super) async fn is_held(service: &Service, lost: &str) {
    eventually("writes are on hold", async || {
        let answer = service.create(some_task("after the failover")).await.expect(503);
        (answer.body["code"] == "ledger_behind").then_some(())
    })
    .await;
    let patch = service.with_body(Method::PATCH, &format!("/vtid/{lost}"), r#"{"status":"active"}"#);
    assert_eq!(service.send(patch).await.expect(503).body["code"], "ledger_behind");
    eventually("/readyz names it", async || {
        let ready = readiness(service).await?;
        ready["degraded"].to_string().contains("ledger_behind").then_some(())
    })
    .await;
    service.get("/vtid/list").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_asynchronous_standby_lost_comes_back_from_the_stream() {
    let mut stage = Stage::set(Replication::Asynchronous, 3).await;
    let services: Vec<&Service> = stage.services.iter().collect();
    written(&services, 60).await;
    // It hears of nothing from now on.
    let standby = stage.pair.standby();
    let has_all = log_after(&stage.pair.url(), Cursor::Start).await.len();
    standby.until("the standby to have all", &format!("select count(*) = {has_all} from ledger.event")).await;
    standby.execute("alter system set primary_conninfo = ''").await;
    standby.execute("select pg_reload_conf()").await;
    standby.until("the standby to hear nothing", "select count(*) = 0 from pg_stat_wal_receiver").await;
    // Only the first writes what will be lost: the others have to be told.
    written(&services[..1], 90).await;
    let published = assert_stream_is_the_log(&stage.pair.url(), &stage.nats.url()).await;
    let lost = published.last().unwrap().event.vtid.to_string();
    drop(services);

    let old = stage.pair.primary;
    stage.pair.nodes[old].kill().await;
    stage.pair.promote().await;
    let promoted = Instant::now();
    for service in stage.services.iter().rev() {
        is_held(service, &lost).await;
    }
    println!("    all three on hold {:.1?} after the promotion", promoted.elapsed());
    let log = log_after(&stage.pair.url(), Cursor::Start).await;
    assert_eq!(log, published[..has_all], "nothing was written");

    let told = stage.run(&["oasis", "recover", "--yes"]).await.succeeded();
    let count = published.len() - has_all;
    assert!(told.contains(&format!("put back {count} events")) && told.contains("writes go on"), "{told}");
    let log = log_after(&stage.pair.url(), Cursor::Start).await;
    assert_eq!(log[..published.len()], published[..], "all of it is back, byte for byte");
    for service in &stage.services {
        eventually("writes go on", async || {
            let answer = service.create(some_task("afterwards")).await;
            (answer.status == 200).then_some(())
        })
        .await;
        whole(service, 0).await;
    }
    let services: Vec<&Service> = stage.services.iter().collect();
    written(&services, 30).await;
    let log = assert_stream_is_the_log(&stage.pair.url(), &stage.nats.url()).await;
    assert_eq!(log[..published.len()], published[..]);
    stage.run(&["oasis", "check"]).await.succeeded();
    println!(
        "| primary killed, ASYNCHRONOUS standby promoted without the last {count} commits, `oasis recover --yes` | 3 | {} | 0 | 0 | (an operator's) |",
        log.len()
    );
}
