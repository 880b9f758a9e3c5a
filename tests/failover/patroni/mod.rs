//! Patroni sees to who is the primary, with etcd: it notices by itself that a leader is gone, promotes the synchronous
//! standby, and makes the old leader a standby again.

mod cluster;
mod etcd;
mod node;
mod strikes;

use strikes::{Act, Way};

use super::stage::{Play, Stage};
use cluster::Patroni;

async fn play(processes: usize) -> Play<Patroni> {
    Stage::on(Patroni::start(), processes).await.play().await
}

/// Ends it, and prints a row for each act.
async fn end(play: Play<Patroni>, acts: &[Act]) {
    let (stage, verdict) = play.judge().await;
    for act in acts {
        verdict.row(act.way.name(), stage.services.len(), act.acknowledged, &act.seconds());
    }
    for act in acts {
        act.assert_old_primary_acknowledged_nothing(&verdict.evidence);
    }
    verdict.assert_nothing_found();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_costs_nothing_and_comes_back_as_the_standby() {
    let mut play = play(3).await;
    let act = strikes::strike(&mut play, Way::Killed).await;
    end(play, &[act]).await;
}

/// To and fro, each time in another way: killed, a planned switch back to the one that was killed, split in two, alone, and
/// without etcd.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: `make failover`"]
async fn again_and_again() {
    let rounds: usize = std::env::var("FAILOVER_ROUNDS").map_or(10, |rounds| rounds.parse().unwrap());
    let mut play = play(3).await;
    let mut acts = Vec::new();
    for (round, way) in Way::ALL.into_iter().cycle().take(rounds).enumerate() {
        println!("round {round}: {}", way.name());
        acts.push(strikes::strike(&mut play, way).await);
    }
    end(play, &acts).await;
}
