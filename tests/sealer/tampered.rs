//! A past that is not the one that was sealed: found, told, and good again once it is.

use serde_json::Value;

use super::stage::{Stage, degraded, is_well, new_key, sealer, write};
use crate::support::eventually;
use crate::support::service::{Service, some_task};

/// Before the last 1,000 of 3,500, and not where the walk begins.
const LONG_AGO: u64 = 2_300;

/// Every write is refused, by the one 503 that says so.
pub(super) async fn writes_stop(service: &Service) {
    eventually("writes are on hold", async || {
        let answer = service.create(some_task("on hold")).await;
        (answer.status == 503 && answer.body["code"] == "ledger_behind").then_some(())
    })
    .await;
}

pub(super) async fn writes_go_on(service: &Service) {
    eventually("writes go on", async || {
        (service.create(some_task("goes on")).await.status == 200).then_some(())
    })
    .await;
}

/// The one finding that was published.
pub(super) async fn finding(stage: &Stage) -> Value {
    let found = eventually("the finding is published", async || stage.findings().await.pop()).await;
    assert_eq!(stage.findings().await.len(), 1);
    for (name, value) in [
        ("service", "vtid-ledger-audit"),
        ("event", "ledger-tampered"),
        ("tenant", "system"),
        ("status", "fail"),
    ] {
        assert_eq!(found[name], value, "{found}");
    }
    found["metadata"].clone()
}

/// Changes the record at a position among the last 1,000 while no process runs; then puts it back while one does.
async fn is_found_at_the_start(choose: impl Fn(u64) -> u64) {
    let stage = Stage::new().await;
    let service = stage.serve().await;
    write(&service, 300).await;
    let position = choose(stage.all_sealed().await);
    drop(service);
    let sealed = stage.sealed().await;
    stage.change(position).await;
    let service = stage.serve().await;
    writes_stop(&service).await;
    degraded(&service, "sealer: the past is not the one that was sealed").await;
    degraded(&service, "ledger_behind: the sealer: the past is not the one").await;
    service.get("/vtid/list").await.expect(200);
    let found = finding(&stage).await;
    let (first, last) = (found["first_position"].as_u64().unwrap(), found["last_position"].as_u64().unwrap());
    assert!(first <= position && position <= last && last - first < 256, "{found}");
    // Another process finds the same, and does not say it again.
    drop(service);
    let service = stage.serve().await;
    degraded(&service, "sealer: the past is not the one that was sealed").await;
    writes_stop(&service).await;
    finding(&stage).await;
    assert_eq!(stage.sealed().await, sealed, "nothing is signed");
    stage.change(position).await;
    writes_go_on(&service).await;
    is_well(&service).await;
    stage.all_sealed().await;
    assert!(stage.assert_sealed().await.len() > sealed.len());
    finding(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_record_is_found_at_the_start() {
    is_found_at_the_start(|_| 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_record_at_the_trees_edge_is_found_at_the_start() {
    is_found_at_the_start(|head| head).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_was_changed_long_ago_is_found_in_the_background() {
    let stage = Stage::new().await;
    let service = stage.serve().await;
    write(&service, 3_500).await;
    stage.all_sealed().await;
    drop(service);
    stage.change(LONG_AGO).await;
    let service = stage.serve().await;
    writes_stop(&service).await;
    let found = finding(&stage).await;
    assert_eq!(
        (found["first_position"].as_u64(), found["last_position"].as_u64()),
        (Some(LONG_AGO), Some(LONG_AGO))
    );
    assert_eq!(found["what"], "the record is another one");
    degraded(&service, &format!("at position {LONG_AGO}: the record is another one")).await;
    assert_eq!(sealer(&service).await["leads"], true);
    // Nobody lifts the hold before that place was looked at again.
    drop(service);
    let service = stage.serve().await;
    degraded(&service, &format!("\"sealer: the past is not the one that was sealed, at position {LONG_AGO}"))
        .await;
    assert!(!service.log_text().contains("hold is lifted"), "{}", service.log_text());
    finding(&stage).await;
    stage.change(LONG_AGO).await;
    writes_go_on(&service).await;
    is_well(&service).await;
    stage.all_sealed().await;
    stage.assert_sealed().await;
}

/// The database brings its own older checkpoint with it: only the stream can tell.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_database_is_found_and_goes_on_once_its_events_are_put_back() {
    let stage = Stage::new().await;
    let service = stage.serve().await;
    write(&service, 40).await;
    stage.all_sealed().await;
    stage.assert_published().await;
    let copy = stage.platform.database.copy().await;
    writes_go_on(&service).await;
    write(&service, 40).await;
    let size = stage.all_sealed().await;
    let published = stage.assert_published().await;
    stage.platform.database.put_back(&copy).await;
    writes_stop(&service).await;
    degraded(&service, &format!("the audit stream has a checkpoint of {size} events")).await;
    let found = finding(&stage).await;
    assert_eq!(found["last_position"], size);
    let recovered = stage.platform.run(&["oasis", "recover", "--yes"]).await.succeeded();
    assert!(recovered.contains("byte for byte"), "{recovered}");
    writes_go_on(&service).await;
    is_well(&service).await;
    stage.all_sealed().await;
    stage.assert_sealed().await;
    // Nothing that was given out is taken back, and nothing is given out twice.
    let since = eventually("what is sealed since is published", async || {
        let since = stage.published().await;
        (since.len() > published.len()).then_some(since)
    })
    .await;
    assert_eq!(since[..published.len()], published);
    assert!(since.windows(2).all(|two| two[0].size < two[1].size));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_that_is_accepted_ends_under_a_new_name() {
    let mut stage = Stage::new().await;
    let service = stage.serve().await;
    write(&service, 20).await;
    stage.all_sealed().await;
    let copy = stage.platform.database.copy().await;
    writes_go_on(&service).await;
    write(&service, 20).await;
    stage.all_sealed().await;
    stage.assert_published().await;
    stage.platform.database.put_back(&copy).await;
    writes_stop(&service).await;
    degraded(&service, "sealer: the past is not the one that was sealed").await;
    let told = stage.platform.run(&["oasis", "rebuild", "--accept-loss"]).await.succeeded();
    assert!(told.contains("writes stay on hold until the sealer finds the past as it was"), "{told}");
    writes_stop(&service).await;
    drop(service);
    let key = new_key("ledger.example.org/after-the-loss");
    stage.give_keys(&[&key]);
    let service = stage.serve().await;
    writes_go_on(&service).await;
    is_well(&service).await;
    stage.all_sealed().await;
    let sealed = stage.assert_sealed().await;
    assert_eq!(sealed[0].previous.get(), 0, "a tree of its own");
    stage.assert_published().await;
}

/// Whoever can do everything with the database can make a new tree too, with every signature that it needs.
#[tokio::test(flavor = "multi_thread")]
async fn a_rewritten_log_is_told_by_the_stream_alone() {
    let stage = Stage::new().await;
    let service = stage.serve().await;
    write(&service, 300).await;
    let size = stage.all_sealed().await;
    stage.assert_published().await;
    drop(service);
    stage.change(2).await;
    stage.forget_seals().await;
    let service = stage.serve().await;
    writes_stop(&service).await;
    degraded(
        &service,
        &format!("the audit stream has a checkpoint of {size} events, and those events are others"),
    )
    .await;
    finding(&stage).await;
    assert_eq!(stage.sealed().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_were_cut_off_are_missed() {
    let stage = Stage::new().await;
    let service = stage.serve().await;
    write(&service, 30).await;
    let size = stage.all_sealed().await;
    stage.assert_published().await;
    drop(service);
    let statement = format!("delete from ledger.event where position > {}", size - 3);
    stage.as_superuser("event", "event_is_immutable", &statement).await;
    let service = stage.serve().await;
    writes_stop(&service).await;
    degraded(&service, "sealer: the past is not the one that was sealed").await;
    let found = finding(&stage).await;
    assert_eq!(found["what"], "the log does not hold the event that was sealed last");
}

/// While a sealer is at it nobody asks for a look at what is not in a full tile yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_record_at_the_trees_edge_is_found_in_the_background() {
    let stage = Stage::new().await;
    let service = stage.serve().await;
    write(&service, 20).await;
    stage.all_sealed().await;
    is_well(&service).await;
    stage.change(7).await;
    degraded(&service, "sealer: the past is not the one that was sealed").await;
    writes_stop(&service).await;
    stage.change(7).await;
    writes_go_on(&service).await;
}

/// What the database alone can tell is told without NATS too.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_record_is_found_while_nats_is_away() {
    let mut stage = Stage::new().await;
    let service = stage.serve().await;
    write(&service, 20).await;
    stage.all_sealed().await;
    drop(service);
    stage.change(7).await;
    stage.platform.nats.stop().await;
    let service = stage.serve().await;
    writes_stop(&service).await;
    degraded(&service, "sealer: the past is not the one that was sealed").await;
    stage.platform.nats.start().await;
    finding(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_go_on_where_that_is_wanted() {
    let stage = Stage::new().await;
    let service = stage.serve().await;
    write(&service, 20).await;
    stage.all_sealed().await;
    drop(service);
    let sealed = stage.sealed().await;
    stage.change(3).await;
    let service = stage.serve().await;
    writes_stop(&service).await;
    drop(service);
    let service = stage.serve_with(&["--audit-on-tamper", "continue"]).await;
    degraded(&service, "sealer: the past is not the one that was sealed").await;
    writes_go_on(&service).await;
    finding(&stage).await;
    assert_eq!(stage.sealed().await, sealed, "nothing is signed");
}
