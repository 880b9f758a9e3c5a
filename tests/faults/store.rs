//! What becomes of a stream whose messages somebody else has changed, and what the operator does about it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::jetstream::{self, stream};
use fastrand::Rng;
use vtid_ledger::dev::NatsServer;

use super::stage::Stage;
use crate::support::eventually;

const STREAM: &str = "OASIS_VTID_LEDGER";
const SUBJECT: &str = "oasis.system.vtid-ledger.vtid-created";
/// How long the stream's messages take to be sent again at most.
const PATIENCE: Duration = Duration::from_secs(30);

/// Somebody who may publish there does so, while the ledger's own are under way.
pub(crate) async fn publish_foreign(stage: &Stage) {
    let context = jetstream::new(async_nats::connect(stage.nats.url()).await.unwrap());
    context.publish(SUBJECT, "not the ledger's".into()).await.unwrap().await.unwrap();
}

/// With the server away from everybody else, makes the stream anew without one of its messages: the ledger's own can't be
/// deleted from.
pub(crate) async fn remove_message(stage: &mut Stage, random: &mut Rng) {
    stage.nats.stop().await;
    let hidden = NatsServer::start(&stage.nats.hidden()).await.unwrap();
    let context = jetstream::new(async_nats::connect(hidden.url()).await.unwrap());
    let kept = context.get_stream(STREAM).await.unwrap();
    let (config, last) = (kept.cached_info().config.clone(), kept.cached_info().state.last_sequence);
    let mut messages = Vec::new();
    for sequence in 1..=last {
        messages.push(kept.get_raw_message(sequence).await.unwrap());
    }
    context.delete_stream(STREAM).await.unwrap();
    let open = stream::Config { deny_delete: false, deny_purge: false, ..config.clone() };
    let anew = context.create_stream(open).await.unwrap();
    for message in messages {
        let sent = context.publish_with_headers(message.subject, message.headers, message.payload);
        let stored = tokio::time::timeout(PATIENCE, sent.await.unwrap()).await.unwrap().unwrap();
        assert_eq!(stored.sequence, message.sequence);
    }
    anew.delete_message(random.u64(2..last)).await.unwrap();
    context.update_stream(config).await.unwrap();
    hidden.stop().await.unwrap();
    stage.nats.start().await;
}

/// Changes one byte of a message in the server's file while it is away.
pub(crate) async fn damage_message(stage: &mut Stage, random: &mut Rng) {
    stage.nats.stop().await;
    let block = block_of(&stage.nats.store()).expect("the stream's file");
    let mut bytes = fs::read(&block).unwrap();
    let needle = br#""specversion":"1.0""#;
    let records: Vec<usize> =
        (0..bytes.len() - needle.len()).filter(|index| bytes[*index..].starts_with(needle)).collect();
    let middle = records[random.usize(records.len() / 4..records.len() * 3 / 4)];
    bytes[middle + needle.len() - 2] = b'7';
    fs::write(&block, bytes).unwrap();
    stage.nats.start().await;
}

/// The file of the stream's first messages.
fn block_of(folder: &Path) -> Option<PathBuf> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            folders.push(path);
        } else if path.extension().is_some_and(|extension| extension == "blk")
            && path.to_str().unwrap().contains(STREAM)
        {
            return Some(path);
        }
    }
    folders.iter().find_map(|folder| block_of(folder))
}

/// The operator asks what is wrong, is told by that name, and has the stream made anew from the ledger. Where NATS has dropped
/// what was damaged, the ledger has put it back, and nothing is wrong. Tells whether it had to be made anew.
pub(crate) async fn check_and_rebuild(stage: &Stage, named: &str) -> bool {
    let checked = stage.run(&["oasis", "check"]).await;
    println!("    oasis check: {}", checked.out.trim_end().replace('\n', "; "));
    if checked.success && checked.out.contains(", 0 of them different") {
        return false;
    }
    assert!(!checked.success && checked.out.contains(named), "it is not named: {checked:?}");
    let rebuilt = eventually("the stream is made anew", async || {
        let rebuilt = stage.run(&["oasis", "rebuild"]).await;
        rebuilt.success.then_some(rebuilt)
    })
    .await;
    println!("    oasis rebuild: {}", rebuilt.out.lines().next().unwrap_or_default());
    true
}
