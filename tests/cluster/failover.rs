//! One server or two of three are gone for a while.

use std::time::{Duration, Instant};

use super::stage::{Address, Stage, in_the_end};
use crate::support::NatsFlavor;
use crate::support::cluster::NODES;

async fn leader_killed(flavor: NatsFlavor) {
    let mut stage = Stage::set(flavor, &[Address::All]).await;
    let leader = stage.cluster.leader().await;
    let struck = Instant::now();
    stage.cluster.kill(leader).await;
    stage.writes(40).await;
    let recovered = stage.whole(struck).await;
    stage.cluster.start(leader).await;
    stage.cluster.in_step().await;
    stage.end("the stream's leader killed (SIGKILL) and started again", recovered).await;
}

/// Nobody is told: the ledger is connected to that very server, and has to find out by itself.
async fn leader_frozen(flavor: NatsFlavor) {
    let stage = Stage::set(flavor, &[Address::Of(0)]).await;
    stage.cluster.lead(0).await;
    stage.writes(20).await;
    stage.whole(Instant::now()).await;
    let struck = Instant::now();
    stage.cluster.freeze(0);
    stage.writes(40).await;
    let recovered = stage.whole(struck).await;
    stage.cluster.wake(0);
    stage.writes(40).await;
    stage.whole(Instant::now()).await;
    stage.cluster.in_step().await;
    stage
        .end("the leader frozen, to which the ledger is connected; woken once another leads", recovered)
        .await;
}

/// No connection breaks.
async fn leader_steps_down(flavor: NatsFlavor) {
    let stage = Stage::set(flavor, &[Address::All]).await;
    let mut longest = Duration::ZERO;
    for count in 1..=3 {
        let struck = Instant::now();
        stage.cluster.step_down().await;
        stage.writes(20).await;
        longest = longest.max(stage.whole(struck).await);
        in_the_end("the relay looks at the stream again", async || {
            let log = stage.services[0].log_text();
            (log.matches("the stream has another leader").count() >= count).then_some(())
        })
        .await;
    }
    stage.end("the leader steps down, three times", longest).await;
}

async fn quorum_lost(flavor: NatsFlavor) {
    let mut stage = Stage::set(flavor, &[Address::All]).await;
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
    let mut stage = Stage::set(flavor, &[Address::All]).await;
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

/// Each connected to another server, and callers that ask now the one, now the other.
async fn two_processes(flavor: NatsFlavor) {
    let mut stage = Stage::set(flavor, &[Address::Of(0), Address::Of(1)]).await;
    stage.ask(1);
    stage.cluster.lead(0).await;
    stage.writes(20).await;
    let struck = Instant::now();
    stage.cluster.kill(0).await;
    stage.writes(20).await;
    stage.ask(0);
    stage.writes(20).await;
    let recovered = stage.whole(struck).await;
    stage.cluster.start(0).await;
    stage.cluster.in_step().await;
    stage.ask(1);
    stage.end("the leader killed, with two processes of the ledger on two servers", recovered).await;
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
    the_leader_steps_down_oldest the_leader_steps_down_current: leader_steps_down,
    the_quorum_is_lost_oldest the_quorum_is_lost_current: quorum_lost,
    a_rolling_restart_oldest a_rolling_restart_current: rolling_restart,
    two_processes_oldest two_processes_current: two_processes,
}
