//! What Jepsen did to a cluster of NATS 2.12.1: one machine crashes and comes back with an older copy of its store, as after
//! a power cut, while another is paused; those that are left choose a leader that lacks what had been acknowledged.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};

use super::stage::{Address, Stage, in_the_end};
use crate::support::NatsFlavor;
use crate::support::cluster::{NODES, TestCluster};

/// A server that can be caught up at once is by then.
const REJOIN_PATIENCE: Duration = Duration::from_secs(5);

async fn last_sequence(cluster: &TestCluster) -> u64 {
    in_the_end("the stream to have a leader", async || {
        cluster.stream_info().await?["state"]["last_seq"].as_u64()
    })
    .await
}

async fn acknowledged_messages_are_lost(flavor: NatsFlavor) {
    let mut stage = Stage::set(flavor, &[Address::All]).await;
    let first = stage.cluster.leader().await;
    let (crashes, away) = ((first + 1) % NODES, (first + 2) % NODES);
    let older = stage.cluster.node(crashes).snapshot_store().await;
    stage.cluster.in_step().await;
    let copied = last_sequence(&stage.cluster).await;
    stage.cluster.kill(away).await;
    stage.writes(80).await;
    stage.whole(Instant::now()).await;
    // The ledger stands still, so that the loss can be seen.
    stage.scene().retarget(Vec::new());
    kill(stage.services[0].pid(), Signal::SIGSTOP).unwrap();
    let acknowledged = last_sequence(&stage.cluster).await;
    stage.cluster.freeze(first);
    stage.cluster.kill(crashes).await;
    stage.cluster.node(crashes).restore_store(&older).await;
    stage.cluster.start(away).await;
    let left = last_sequence_of(&stage.cluster, crashes).await;
    println!("    {copied} when copied, {acknowledged} acknowledged, {left} left");
    assert!(left < acknowledged, "JetStream lost nothing: {left} of {acknowledged}");
    let struck = Instant::now();
    kill(stage.services[0].pid(), Signal::SIGCONT).unwrap();
    stage.ask(0);
    stage.writes(40).await;
    let recovered = stage.whole(struck).await;
    // It has what the others had lost, and thinks it leads.
    stage.cluster.wake(first);
    stage.writes(40).await;
    stage.whole(Instant::now()).await;
    if !stage.cluster.is_in_step_within(REJOIN_PATIENCE).await {
        // It knows that its past is another, and waits for a snapshot, which the leader makes in two minutes; or for this.
        println!("    the paused server is told to be behind until it is started again");
        stage.cluster.stop(first).await;
        stage.cluster.start(first).await;
    }
    stage.cluster.in_step().await;
    stage
        .end("a server back with an older store, another paused: acknowledged messages lost", recovered)
        .await;
}

/// Past the frozen server, which takes connections and answers nobody.
async fn last_sequence_of(cluster: &TestCluster, index: usize) -> u64 {
    let client = async_nats::connect(cluster.url_of(index)).await.unwrap();
    in_the_end("another leader", async || cluster.info_by(&client).await?["state"]["last_seq"].as_u64()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_messages_are_lost_oldest() {
    acknowledged_messages_are_lost(NatsFlavor::Oldest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_messages_are_lost_current() {
    acknowledged_messages_are_lost(NatsFlavor::Current).await;
}
