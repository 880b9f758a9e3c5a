//! What is sealed, and where it is published.

use serde_json::json;
use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::sealer::tiles::{Kept, keep};
use vtid_ledger::tlog::leaf;
use vtid_ledger::tlog::tree::Tree;

use super::stage::{Stage, degraded, is_well, sealer, write};
use crate::support::service::some_task;
use crate::support::stream::log_after;
use crate::support::{NatsFlavor, eventually};

async fn events_are_sealed_on(flavor: NatsFlavor) {
    let stage = Stage::on(flavor).await;
    let service = stage.serve().await;
    service.create(some_task("the first")).await.expect(200);
    assert_eq!(stage.all_sealed().await, 1);
    write(&service, 600).await;
    let head = stage.all_sealed().await;
    stage.assert_sealed().await;
    let published = stage.assert_published().await;
    assert_eq!(published.last().unwrap().size, head);
    eventually("/readyz tells it", async || {
        let told = sealer(&service).await;
        let expected = json!([head, 0, null, true]);
        let found = json!([told["position"], told["lag_events"], told["error"], told["leads"]]);
        (found == expected).then_some(())
    })
    .await;
    is_well(&service).await;
    // The stream of the events is theirs alone.
    assert_eq!(stage.platform.stream_length().await, head);
    // Nothing is signed where nothing happens.
    let (sealed, published) = (stage.sealed().await, published.len());
    stage.renewals(4).await;
    assert_eq!(stage.sealed().await, sealed);
    assert_eq!(stage.published().await.len(), published);
    assert!(!service.log_text().contains("nothing is sealed"), "{}", service.log_text());
    is_well(&service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_sealed_and_published_on_the_oldest() {
    events_are_sealed_on(NatsFlavor::Oldest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_sealed_and_published_on_the_current() {
    events_are_sealed_on(NatsFlavor::Current).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_killed_takes_the_tree_up_again() {
    let stage = Stage::new().await;
    for _ in 0..3 {
        let mut service = stage.serve().await;
        write(&service, 200).await;
        service.kill();
    }
    let service = stage.serve().await;
    service.create(some_task("one more")).await.expect(200);
    stage.all_sealed().await;
    stage.assert_sealed().await;
    stage.assert_published().await;
}

/// As of a sealer that was killed in between.
#[tokio::test(flavor = "multi_thread")]
async fn tiles_without_their_checkpoint_do_no_harm() {
    let stage = Stage::new().await;
    let service = stage.platform.serve().await;
    write(&service, 300).await;
    drop(service);
    assert_eq!(stage.sealed().await, []);
    let (mut tree, mut full) = (Tree::new(), Vec::new());
    let log = log_after(stage.platform.database.url(), Cursor::Start).await;
    for recorded in &log {
        full.extend(tree.push(leaf(&recorded.body)));
    }
    let last = Cursor::at(&log.last().unwrap().event);
    let mut connection = stage.connection().await;
    assert_eq!(keep(&mut connection, &stage.origin, last, &full).await.unwrap(), Kept::Done);
    assert_eq!(keep(&mut connection, &stage.origin, last, &full).await.unwrap(), Kept::Done, "again");
    // Of an event that a failover has lost nothing is kept, and of other records neither.
    let Cursor::At { position, .. } = last else { unreachable!() };
    let gone = Cursor::At { position, id: uuid::Uuid::from_u128(1) };
    assert_eq!(keep(&mut connection, &stage.origin, gone, &full).await.unwrap(), Kept::OtherPast);
    let mut other = full.clone();
    other[0].hashes[0] ^= 1;
    assert_eq!(keep(&mut connection, &stage.origin, last, &other).await.unwrap(), Kept::Different);
    let _service = stage.serve().await;
    stage.all_sealed().await;
    stage.assert_sealed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nats_is_away_it_seals_and_then_publishes() {
    let mut stage = Stage::new().await;
    let service = stage.serve().await;
    service.create(some_task("before")).await.expect(200);
    stage.all_sealed().await;
    stage.assert_published().await;
    stage.platform.nats.stop().await;
    for n in 0..3 {
        service.create(some_task(&format!("meanwhile {n}"))).await.expect(200);
        stage.all_sealed().await;
    }
    stage.platform.nats.start().await;
    stage.assert_published().await;
    is_well(&service).await;
    stage.assert_sealed().await;
}

/// What was given out before can't be looked at, and what is signed can't be taken back.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sealed_before_the_stream_was_looked_at() {
    let mut stage = Stage::new().await;
    stage.platform.nats.stop().await;
    let service = stage.serve().await;
    service.create(some_task("unsealed")).await.expect(200);
    degraded(&service, "what was published can't be looked at: NATS is not connected").await;
    assert_eq!(stage.sealed().await, []);
    stage.platform.nats.start().await;
    stage.all_sealed().await;
    stage.assert_published().await;
    is_well(&service).await;
}

/// NATS loses acknowledged messages: they are put back.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_lost_its_tail_gets_it_back() {
    let mut stage = Stage::new().await;
    let service = stage.serve().await;
    service.create(some_task("kept")).await.expect(200);
    stage.all_sealed().await;
    stage.assert_published().await;
    let copy = stage.platform.nats.snapshot_store().await;
    service.create(some_task("lost")).await.expect(200);
    stage.all_sealed().await;
    stage.assert_published().await;
    stage.platform.nats.restore_store(&copy).await;
    stage.assert_published().await;
    is_well(&service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_nothing_is_sealed() {
    let stage = Stage::new().await;
    let service = stage.platform.serve().await;
    service.create(some_task("unsealed")).await.expect(200);
    assert_eq!(sealer(&service).await, json!(null));
    assert!(service.log_text().contains("AUDIT_KEY is not set"), "{}", service.log_text());
    assert_eq!(stage.sealed().await, []);
}
