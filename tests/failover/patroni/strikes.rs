//! What becomes of a leader or its standby, and how writes go on.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio_util::sync::CancellationToken;
use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::domain::record::Recorded;

use super::cluster::Patroni;
use crate::failover::old_primary::acknowledged_none_of_its_own;
use crate::failover::stage::Play;
use crate::faults::checker::Evidence;
use crate::support::service::{Service, some_task};
use crate::support::stream::log_after;

/// What is done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    Killed,
    Switched,
    Frozen,
    StandbyKilled,
    EtcdFrozen,
}

/// What was done, and how it went.
pub(super) struct Act {
    pub(super) way: Way,
    /// Writes, until both servers were there again.
    pub(super) acknowledged: usize,
    /// From the promotion until writes went on; none where nobody was promoted.
    since_promotion: Option<Duration>,
    /// The same from the strike.
    since_strike: Duration,
    /// The log of a primary that had been replaced and did not know.
    left: Vec<Recorded>,
}

impl Way {
    pub(super) const ALL: [Self; 5] =
        [Self::Killed, Self::Switched, Self::Frozen, Self::StandbyKilled, Self::EtcdFrozen];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Killed => {
                "leader killed (SIGKILL of Patroni and PostgreSQL); comes back as the synchronous standby"
            }
            Self::Switched => "`patronictl switchover`",
            Self::Frozen => "leader's Patroni alone frozen (SIGSTOP), woken once its standby was promoted",
            Self::StandbyKilled => "synchronous standby killed (SIGKILL of both); comes back",
            Self::EtcdFrozen => "etcd frozen (SIGSTOP) until the leader stepped down, and woken",
        }
    }
}

impl Act {
    /// For the row: since the promotion, and since the strike.
    pub(super) fn seconds(&self) -> String {
        let promotion =
            self.since_promotion.map_or("–".to_owned(), |took| format!("{:.1}", took.as_secs_f64()));
        format!("{promotion} | {:.1}", self.since_strike.as_secs_f64())
    }

    pub(super) fn assert_old_primary_acknowledged_nothing(&self, evidence: &Evidence) {
        if self.way == Way::Frozen {
            acknowledged_none_of_its_own(&self.left, evidence);
        }
    }
}

/// Strikes, and waits until writes go on, and then until there are a leader and a synchronous standby again.
pub(super) async fn strike(play: &mut Play<Patroni>, way: Way) -> Act {
    let before = play.scene().acknowledged();
    let leader = play.stage.pair.leader;
    let struck = Instant::now();
    let cluster = &mut play.stage.pair;
    let since = match way {
        Way::Killed => {
            cluster.nodes[leader].kill().await;
            cluster.promoted().await
        }
        Way::Switched => cluster.switch_over().await,
        Way::Frozen => {
            cluster.nodes[leader].signal_patroni(Signal::SIGSTOP);
            cluster.promoted().await
        }
        Way::EtcdFrozen => cluster.lose_etcd().await,
        Way::StandbyKilled => {
            let standby = cluster.standby();
            cluster.nodes[standby].kill().await;
            Instant::now()
        }
    };
    let recovered = play.ready_since(since).await;
    let since_strike = struck.elapsed();
    println!("    writes go on {since_strike:.1?} after the strike");
    play.scene().further(60).await;
    let left = if way == Way::Frozen { wake(play, leader).await } else { Vec::new() };
    let cluster = &mut play.stage.pair;
    for node in &mut cluster.nodes {
        if !node.is_started() {
            node.start();
        }
    }
    let begun = Instant::now();
    cluster.settle().await;
    println!("    both are there again {:.1?} later", begun.elapsed());
    play.scene().further(60).await;
    let acknowledged = play.scene().acknowledged() - before;
    let since_promotion = (way != Way::StandbyKilled).then_some(recovered);
    Act { way, acknowledged, since_promotion, since_strike, left }
}

/// Lets the old leader's Patroni go on, which finds that it is not the leader any more; gives the log that its `PostgreSQL`
/// had until then. A process that knows of that one alone acknowledges nothing, neither before nor meanwhile.
async fn wake(play: &mut Play<Patroni>, old: usize) -> Vec<Recorded> {
    let stuck = play.stage.serve(&play.stage.pair.service_url_of(old), &[]);
    for _ in 0..2 {
        refused(&stuck).await;
    }
    let cluster = &mut play.stage.pair;
    let left = log_after(&cluster.url_of(old), Cursor::Start).await;
    let settled = CancellationToken::new();
    let meanwhile = async {
        while !settled.is_cancelled() {
            refused(&stuck).await;
        }
    };
    let wake = async {
        assert!(cluster.takes_writes(old).await, "PostgreSQL runs on as a primary without its Patroni");
        cluster.nodes[old].signal_patroni(Signal::SIGCONT);
        cluster.settle().await;
        settled.cancel();
    };
    tokio::join!(meanwhile, wake);
    left
}

async fn refused(stuck: &Service) {
    let answer = stuck.create(some_task("on the old primary")).await.expect(503);
    println!("    the old primary alone: 503 {}", answer.body["code"]);
}
