//! The primary is killed, or shut down, under load; its synchronous standby takes its place.

use std::time::{Duration, Instant};

use super::pair::Replication;
use super::stage::{Play, Stage};

/// How long it takes somebody to notice that the primary is gone; until then there is a standby alone.
const UNNOTICED: Duration = Duration::from_secs(1);

/// How the primary goes.
#[derive(Clone, Copy, Debug)]
enum Way {
    Killed,
    ShutDown,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Killed => "primary killed (SIGKILL), synchronous standby promoted",
            Self::ShutDown => "switchover: primary shut down, synchronous standby promoted",
        }
    }
}

/// Gives how long after the promotion writes went on.
async fn strike(play: &mut Play, way: Way) -> Duration {
    let pair = &mut play.stage.pair;
    let primary = pair.primary;
    match way {
        Way::Killed => {
            pair.nodes[primary].kill().await;
            tokio::time::sleep(UNNOTICED).await;
        }
        Way::ShutDown => pair.nodes[primary].shut_down().await,
    }
    pair.promote().await;
    play.ready_since(Instant::now()).await
}

async fn once(way: Way, processes: usize) {
    let mut play = Stage::set(Replication::Synchronous, processes).await.play().await;
    let recovered = strike(&mut play, way).await;
    play.end(way.name(), recovered).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_primary_costs_nothing_that_was_acknowledged() {
    once(Way::Killed, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_primary_costs_three_processes_nothing() {
    once(Way::Killed, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switchover_costs_nothing() {
    once(Way::ShutDown, 2).await;
}

/// To and fro, the one that was lost made a standby of the other each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: `make failover`"]
async fn again_and_again() {
    let rounds: usize = std::env::var("FAILOVER_ROUNDS").map_or(10, |rounds| rounds.parse().unwrap());
    let mut play = Stage::set(Replication::Synchronous, 3).await.play().await;
    let mut longest = Duration::ZERO;
    for round in 0..rounds {
        let way = if round % 3 == 2 { Way::ShutDown } else { Way::Killed };
        println!("round {round}: {}", way.name());
        longest = longest.max(strike(&mut play, way).await);
        play.scene().further(60).await;
        play.stage.pair.follow().await;
        play.scene().further(60).await;
    }
    play.end(&format!("{rounds} of these one after another (the longest recovery)"), longest).await;
}
