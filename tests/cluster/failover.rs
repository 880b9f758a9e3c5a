//! One server or two of three are gone for a while.

use std::time::{Duration, Instant};

use super::stage::Stage;
use crate::support::NatsFlavor;
use crate::support::cluster::NODES;

/// Longer than any of the ledger's waits, and than the cluster takes to choose another leader.
const FROZEN_FOR: Duration = Duration::from_secs(12);

async fn leader_killed(flavor: NatsFlavor) {
    let mut stage = Stage::set(flavor, 1).await;
    let leader = stage.cluster.leader().await;
    let struck = Instant::now();
    stage.cluster.kill(leader).await;
    stage.writes(40).await;
    let recovered = stage.whole(struck).await;
    stage.cluster.start(leader).await;
    stage.cluster.in_step().await;
    stage.end("the stream's leader killed (SIGKILL) and started again", recovered).await;
}

async fn leader_frozen(flavor: NatsFlavor) {
    let stage = Stage::set(flavor, 1).await;
    let leader = stage.cluster.leader().await;
    let struck = Instant::now();
    stage.cluster.freeze(leader);
    stage.writes(40).await;
    let recovered = stage.whole(struck).await;
    tokio::time::sleep(FROZEN_FOR.saturating_sub(struck.elapsed())).await;
    stage.cluster.wake(leader);
    stage.writes(40).await;
    stage.whole(Instant::now()).await;
    stage.cluster.in_step().await;
    stage.end("the stream's leader frozen, and woken once another had taken its place", recovered).await;
}

async fn quorum_lost(flavor: NatsFlavor) {
    let mut stage = Stage::set(flavor, 1).await;
    let leader = stage.cluster.leader().await;
    let gone = [leader, (leader + 1) % NODES];
    for index in gone {
        stage.cluster.kill(index).await;
    }
    // Writes go on, and wait for the stream.
    stage.writes(150).await;
    let stood = stage.cluster.stream_info().await;
    assert!(stood.is_none(), "one server of three answers for the stream: {stood:?}");
    let back = Instant::now();
    for index in gone {
        stage.cluster.start(index).await;
    }
    let recovered = stage.whole(back).await;
    stage.cluster.in_step().await;
    stage.end("two servers of three killed (SIGKILL) and started again", recovered).await;
}

async fn rolling_restart(flavor: NatsFlavor) {
    let mut stage = Stage::set(flavor, 1).await;
    let mut longest = Duration::ZERO;
    for index in 0..NODES {
        let begun = Instant::now();
        stage.cluster.stop(index).await;
        stage.writes(20).await;
        longest = longest.max(stage.whole(begun).await);
        stage.cluster.start(index).await;
        stage.cluster.in_step().await;
        stage.writes(20).await;
    }
    stage.end("each server stopped and started again, one after another", longest).await;
}

/// Each process is connected to another server; those that ask are told by either.
async fn two_processes(flavor: NatsFlavor) {
    let mut stage = Stage::set(flavor, 2).await;
    stage.ask(1);
    stage.writes(20).await;
    let leader = stage.cluster.leader().await;
    let struck = Instant::now();
    stage.cluster.kill(leader).await;
    stage.writes(20).await;
    stage.ask(0);
    stage.writes(20).await;
    let recovered = stage.whole(struck).await;
    stage.cluster.start(leader).await;
    stage.cluster.in_step().await;
    stage.ask(1);
    stage.end("the same, with two processes of the ledger", recovered).await;
}

macro_rules! each_version {
    ($($oldest:ident $current:ident: $scenario:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $oldest() {
            $scenario(NatsFlavor::Oldest).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $current() {
            $scenario(NatsFlavor::Current).await;
        }
    )*};
}

each_version! {
    the_leader_is_killed_oldest the_leader_is_killed_current: leader_killed,
    the_leader_is_frozen_oldest the_leader_is_frozen_current: leader_frozen,
    the_quorum_is_lost_oldest the_quorum_is_lost_current: quorum_lost,
    a_rolling_restart_oldest a_rolling_restart_current: rolling_restart,
    two_processes_oldest two_processes_current: two_processes,
}
