//! The primary freezes, a standby takes its place, and then it wakes up and takes itself for the primary still.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::domain::record::Recorded;

use super::pair::Replication;
use super::stage::Stage;
use crate::faults::checker::Evidence;
use crate::support::service::some_task;
use crate::support::stream::log_after;

/// Longer than a statement of the writer may take in these tests.
const ASLEEP: Duration = Duration::from_millis(2_500);

/// Shorter than anybody waits: all connections are still on the old primary when it wakes up.
const DOZING: Duration = Duration::ZERO;

async fn frozen_for(asleep: Duration, what: &str) {
    let mut play = Stage::set(Replication::Synchronous, 2).await.play().await;
    let old = play.stage.pair.primary;
    play.stage.pair.nodes[old].signal(Signal::SIGSTOP);
    play.stage.pair.promote().await;
    let promoted = Instant::now();
    tokio::time::sleep(asleep).await;
    play.stage.pair.nodes[old].signal(Signal::SIGCONT);
    let recovered = play.ready_since(promoted).await;
    play.scene().further(60).await;

    // A process that knows of the old primary alone. Its commits wait for the standby that has left, so that it never
    // acknowledges a thing; and the stream has what the old primary lacks.
    let stuck = play.stage.serve(&play.stage.pair.service_url_of(old), &[]);
    for _ in 0..2 {
        let answer = stuck.create(some_task("on the old primary")).await.expect(503);
        println!("    the old primary alone: 503 {}", answer.body["code"]);
    }
    drop(stuck);

    let (stage, evidence) = play.end(what, recovered).await;
    let left = log_after(&stage.pair.nodes[old].server().url(super::pair::DATABASE), Cursor::Start).await;
    acknowledged_none_of_its_own(&left, &evidence);
}

/// Nobody was told of what the old primary's log has, and the other's has not.
pub(super) fn acknowledged_none_of_its_own(left: &[Recorded], evidence: &Evidence) {
    let acknowledged: BTreeMap<&str, u64> = (evidence.history.iter())
        .filter_map(|call| Some((call.request.as_str(), call.acknowledged()?)))
        .collect();
    let apart = left.iter().zip(&evidence.log).position(|(one, other)| one != other).unwrap_or(left.len());
    println!("    the old primary has {} events, {} of them its own", left.len(), left.len() - apart);
    for event in &left[apart..] {
        let request = event.event.origin.request_id.as_str();
        let told = acknowledged.get(request);
        assert!(
            told.is_none_or(|position| *position != event.event.position.get()),
            "{request} was acknowledged by the old primary"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_slept_through_its_replacement_forks_nothing() {
    frozen_for(ASLEEP, "primary frozen (SIGSTOP), standby promoted, old primary woken").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_leave_an_old_primary_that_still_answers() {
    frozen_for(DOZING, "the same, woken at once: every connection is still on the old primary").await;
}
