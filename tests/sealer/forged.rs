//! What somebody makes up, in the database and in the stream.

use async_nats::jetstream;
use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::domain::position::Position;
use vtid_ledger::domain::record::LedgerId;
use vtid_ledger::domain::time::Timestamp;
use vtid_ledger::sealer::message::AuditMessage;
use vtid_ledger::sealer::table::{self, Sealed};
use vtid_ledger::tlog::checkpoint::Checkpoint;
use vtid_ledger::tlog::key::SecretKey;
use vtid_ledger::tlog::leaf;
use vtid_ledger::tlog::tree::Tree;

use super::stage::{CHECKPOINTS, ORIGIN, Stage, degraded, new_key, write};
use super::tampered::{writes_go_on, writes_stop};
use crate::support::eventually;
use crate::support::stream::log_after;

/// More than are looked back over at once.
const FOREIGN: usize = 1_100;

async fn publish(stage: &Stage, body: String) {
    let client = async_nats::connect(stage.platform.nats.url()).await.unwrap();
    jetstream::new(client).publish(CHECKPOINTS, body.into()).await.unwrap().await.unwrap();
}

async fn publish_checkpoint(stage: &Stage, checkpoint: &Checkpoint) {
    let ledger = LedgerId(uuid::Uuid::from_u128(1));
    publish(stage, AuditMessage::checkpoint(ledger, checkpoint, Timestamp::from_millis(0)).body).await;
}

/// The tree of all records as they are now, signed with `key`, and its last event.
async fn signed(stage: &Stage, key: &SecretKey) -> (Checkpoint, Cursor) {
    let mut tree = Tree::new();
    let log = log_after(stage.platform.database.url(), Cursor::Start).await;
    for recorded in &log {
        tree.push(leaf(&recorded.body));
    }
    let keys = std::slice::from_ref(key);
    let checkpoint = Checkpoint::sign(&stage.origin, tree.size(), tree.root(), keys).unwrap();
    (checkpoint, Cursor::at(&log.last().unwrap().event))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_published_behind_a_checkpoint_of_another_past() {
    let stage = Stage::new().await;
    let service = stage.serve().await;
    write(&service, 20).await;
    stage.all_sealed().await;
    let published = stage.assert_published().await.len();
    let (true_one, _) = signed(&stage, &stage.key).await;
    let keys = std::slice::from_ref(&stage.key);
    let forged = Checkpoint::sign(&stage.origin, true_one.size, leaf("another past"), keys).unwrap();
    publish_checkpoint(&stage, &forged).await;
    writes_go_on(&service).await;
    writes_stop(&service).await;
    degraded(&service, "those events are others now").await;
    assert_eq!(stage.published().await[published..], [forged]);
}

/// What was sealed and published is changed, and nothing on record tells of it any more. Gives the size of what was sealed.
async fn changed_and_forgotten(stage: &Stage) -> u64 {
    let service = stage.serve().await;
    write(&service, 20).await;
    let size = stage.all_sealed().await;
    stage.assert_published().await;
    drop(service);
    stage.change(2).await;
    stage.forget_seals().await;
    size
}

/// Whoever drowns what was published in other messages does not make it unseen.
#[tokio::test(flavor = "multi_thread")]
async fn foreign_messages_do_not_hide_what_was_published() {
    let stage = Stage::new().await;
    let size = changed_and_forgotten(&stage).await;
    let client = async_nats::connect(stage.platform.nats.url()).await.unwrap();
    let context = jetstream::new(client);
    let mut sent = Vec::new();
    for n in 0..FOREIGN {
        sent.push(context.publish(CHECKPOINTS, format!("foreign {n}").into()).await.unwrap());
    }
    for sent in sent {
        sent.await.unwrap();
    }
    let service = stage.serve().await;
    writes_stop(&service).await;
    degraded(&service, &format!("the audit stream has a checkpoint of {size} events, and those events are"))
        .await;
    assert_eq!(stage.sealed().await, []);
}

/// A key that somebody put on record counts for nothing that is new.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_put_on_record_signs_no_newest_checkpoint() {
    let mut stage = Stage::new().await;
    let service = stage.serve().await;
    write(&service, 20).await;
    stage.all_sealed().await;
    stage.assert_published().await;
    drop(service);
    stage.change(2).await;
    stage.forget_seals().await;
    stage.platform.nats.wipe_store().await;
    let theirs = new_key(ORIGIN);
    let (forged, last) = signed(&stage, &theirs).await;
    let mut connection = stage.connection().await;
    table::keep_key(&mut connection, &stage.origin, theirs.public()).await.unwrap();
    let now = Timestamp::from_millis(0);
    let put = table::seal(&mut connection, Position::ZERO, &forged, last, now).await.unwrap();
    assert_eq!(put, Sealed::Done);
    let service = stage.serve().await;
    writes_stop(&service).await;
    degraded(&service, "the newest checkpoint on record is signed by none of the keys that are given").await;
    assert_eq!(stage.sealed().await.len(), 1, "nothing is sealed behind it");
    eventually("the finding is published", async || stage.findings().await.pop()).await;
    assert_eq!(stage.published().await, []);
}

/// The same where the stream is theirs too.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_put_on_record_hides_no_published_checkpoint() {
    let stage = Stage::new().await;
    let size = changed_and_forgotten(&stage).await;
    let theirs = new_key(ORIGIN);
    let (forged, _) = signed(&stage, &theirs).await;
    table::keep_key(&mut stage.connection().await, &stage.origin, theirs.public()).await.unwrap();
    publish_checkpoint(&stage, &forged).await;
    let service = stage.serve().await;
    writes_stop(&service).await;
    degraded(&service, &format!("the audit stream has a checkpoint of {size} events, and those events are"))
        .await;
    assert_eq!(stage.sealed().await, []);
}
