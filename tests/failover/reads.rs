//! Reads that go to a standby.

use reqwest::Method;

use super::pair::Replication;
use super::stage::{Stage, readiness, whole};
use crate::support::eventually;
use crate::support::service::{Answer, Service, some_task};

/// What lists and GETs without a memory are to show.
async fn list(service: &Service, at_least: u64) -> Answer {
    let request = service.request(Method::GET, "/vtid/list?limit=1");
    service.send(request.header("ledger-min-position", at_least)).await
}

/// Each write is in the read after it, wherever that goes.
async fn reads_show_writes(service: &Service) {
    for _ in 0..5 {
        let created = service.create(some_task("read at once")).await.expect(200);
        let listed = list(service, 0).await.expect(200);
        assert!(listed.position() >= created.position(), "{listed:?}");
        assert_eq!(listed.body["data"][0]["vtid"], created.vtid());
        let got = service.get(&format!("/vtid/{}", created.vtid())).await.expect(200);
        assert!(got.position() >= created.position(), "{got:?}");
    }
}

async fn named(service: &Service, what: &str) {
    eventually("/readyz is 200 and names it", async || {
        let degraded = readiness(service).await?["degraded"].to_string();
        (degraded.contains("standby:") && degraded.contains(what)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_go_to_a_standby_as_long_as_it_can_show_what_they_must() {
    let mut stage = Stage::set(Replication::Asynchronous, 1).await;
    let standby = 1 - stage.pair.primary;
    let (url, elsewhere) = (stage.pair.service_url(), stage.pair.service_url_of(standby));
    let reader = stage.serve(&url, &["--read-memory-mib", "0", "--database-read-url", &elsewhere]);
    whole(&reader, 0).await;
    reads_show_writes(&reader).await;
    let asked = "select count(*) > 0 from pg_stat_activity
        where application_name = 'vtid-ledger reads' and query like '%\"VtidLedger\"%'";
    stage.pair.standby().until("reads come to the standby", asked).await;

    // What another process writes is not there while replay is paused: a plain read shows the state before, which proves
    // where it comes from, and one that asks for more gets it from the primary.
    stage.pair.standby().execute("select pg_wal_replay_pause()").await;
    stage.pair.standby().until("it pauses", "select pg_get_wal_replay_pause_state() = 'paused'").await;
    let before = list(&reader, 0).await.expect(200).position();
    let written = stage.services[0].create(some_task("elsewhere")).await.expect(200).position();
    assert_eq!(list(&reader, 0).await.expect(200).position(), before, "the standby has nothing newer");
    assert!(list(&reader, written).await.expect(200).position() >= written);
    named(&reader, "behind").await;
    reads_show_writes(&reader).await;
    assert_eq!(list(&reader, written + 1_000).await.expect(503).body["code"], "read_behind");
    stage.pair.standby().execute("select pg_wal_replay_resume()").await;
    whole(&reader, 0).await;
    reads_show_writes(&reader).await;

    stage.pair.nodes[standby].kill().await;
    reads_show_writes(&reader).await;
    named(&reader, "").await;
    stage.pair.nodes[standby].start().await;
    whole(&reader, 0).await;
    reads_show_writes(&reader).await;
}
