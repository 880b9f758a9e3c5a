//! Leaders change again and again, in every way that there is, while callers write and somebody else's publishes are
//! refused all the time: what older clusters are known to lose count of.

use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use fastrand::Rng;
use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::stage::{Address, Stage};
use crate::support::NatsFlavor;
use crate::support::cluster::NODES;

/// Between two publishes that are refused.
const REFUSED_PAUSE: Duration = Duration::from_millis(5);

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// One that expects what the stream has long passed: refused each time, and counted by each server for itself.
async fn refused(urls: String, stop: CancellationToken) -> usize {
    let servers: Vec<async_nats::ServerAddr> = urls.split(',').map(|url| url.parse().unwrap()).collect();
    let client = async_nats::connect(servers).await.unwrap();
    let mut sent = 0;
    while !stop.is_cancelled() {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Expected-Last-Sequence", "1");
        let subject = "oasis.stranger.vtid-ledger.vtid-created";
        client.publish_with_headers(subject, headers, "never stored".into()).await.unwrap();
        sent += 1;
        tokio::time::sleep(REFUSED_PAUSE).await;
    }
    sent
}

/// Says at once, and to the byte, what the relay has just said, as a second one would: refused each time, as a repeat or
/// for the sequence that it expects, unless the first was lost.
async fn repeated(urls: String, stop: CancellationToken) -> usize {
    let servers: Vec<async_nats::ServerAddr> = urls.split(',').map(|url| url.parse().unwrap()).collect();
    let client = async_nats::ConnectOptions::new().no_echo().connect(servers).await.unwrap();
    let mut said = client.subscribe("oasis.system.vtid-ledger.>").await.unwrap();
    let mut sent = 0;
    while let Some(Some(message)) = stop.run_until_cancelled(said.next()).await {
        let headers = message.headers.unwrap_or_default();
        client.publish_with_headers(message.subject, headers, message.payload).await.unwrap();
        sent += 1;
    }
    sent
}

/// Gives what was done.
async fn strike(stage: &mut Stage, random: &mut Rng) -> &'static str {
    let leader = stage.cluster.leader().await;
    let other = (leader + random.usize(1..NODES)) % NODES;
    match random.u8(..6) {
        0 | 1 => {
            for _ in 0..random.usize(1..4) {
                stage.cluster.step_down().await;
                stage.writes(random.usize(5..40)).await;
            }
            "the leader steps down"
        }
        2 => {
            stage.cluster.kill(leader).await;
            stage.writes(random.usize(5..200)).await;
            stage.cluster.start(leader).await;
            "the leader is killed"
        }
        3 => {
            stage.cluster.freeze(leader);
            tokio::time::sleep(Duration::from_millis(random.u64(500..9_000))).await;
            stage.cluster.wake(leader);
            "the leader is frozen"
        }
        4 => {
            stage.cluster.kill(other).await;
            stage.writes(random.usize(5..200)).await;
            stage.cluster.step_down().await;
            stage.writes(random.usize(5..40)).await;
            stage.cluster.start(other).await;
            "another is killed, and the leader steps down"
        }
        _ => {
            stage.cluster.kill(other).await;
            stage.cluster.kill(leader).await;
            stage.writes(random.usize(5..80)).await;
            stage.cluster.start(leader).await;
            stage.cluster.start(other).await;
            "the leader and another are killed"
        }
    }
}

async fn storm(flavor: NatsFlavor, rounds: u64, seed: u64) {
    println!("seed {seed}");
    let mut random = Rng::with_seed(seed);
    let mut stage = Stage::set(flavor, &[Address::All]).await;
    let stop = CancellationToken::new();
    let refused = tokio::spawn(refused(stage.cluster.url(), stop.clone()));
    let repeated = tokio::spawn(repeated(stage.cluster.url(), stop.clone()));
    let mut longest = Duration::ZERO;
    for round in 0..rounds {
        let what = strike(&mut stage, &mut random).await;
        let ended = Instant::now();
        stage.writes(20).await;
        let took = stage.whole(ended).await;
        println!("  {} {round}: {what}: whole after {took:.1?}", stage.version());
        longest = longest.max(took);
        // Now and then a server is still being caught up when the next is struck.
        if random.bool() {
            stage.cluster.in_step().await;
        }
    }
    stop.cancel();
    let (refused, repeated) = (refused.await.unwrap(), repeated.await.unwrap());
    assert!(refused > 0 && repeated > 0);
    println!("  {}: {refused} publishes of a stranger, {repeated} of a second relay", stage.version());
    // Of the stream, not of the servers' own matters.
    for sign in ["mismatch", "Resetting", "rror applying", "corrupt"] {
        let lines = stage.cluster.said(sign);
        println!("  {} times in the servers' logs: {sign}: {:?}", lines.len(), lines.first());
    }
    stage.end(&format!("leaders change {rounds} times, in every way"), longest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: `make cluster`"]
async fn leaders_change_again_and_again_oldest() {
    let seed = setting("CLUSTER_SEED").unwrap_or_else(|| fastrand::u64(..));
    storm(NatsFlavor::Oldest, setting("CLUSTER_ROUNDS").unwrap_or(20), seed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: `make cluster`"]
async fn leaders_change_again_and_again_current() {
    let seed = setting("CLUSTER_SEED").unwrap_or_else(|| fastrand::u64(..));
    storm(NatsFlavor::Current, setting("CLUSTER_ROUNDS").unwrap_or(20), seed).await;
}
