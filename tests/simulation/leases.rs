//! Leases at tiny bounds: every order of deliveries, each fault and each pair of them; and the known wrong leases.

use std::time::Instant;

use vtid_ledger::leases::machine::Limits;

use super::explore::{Explored, Violation, explore};
use super::lease_faults::{Fault, Flaw};
use super::lease_world::{LIMITS, Walk};
use super::tally::Tally;

const MAX_STATES: usize = 2_000_000;

#[derive(Default)]
struct Walks {
    tally: Tally<Fault>,
    explored: Vec<Explored>,
}

impl Walks {
    fn walk(&mut self, processes: u32, faults: &[Fault]) {
        let explored = explore(Walk::new(processes, LIMITS, faults, &self.tally), MAX_STATES);
        self.explored.push(explored.unwrap_or_else(|broken| panic!("{processes}, {faults:?}: {broken}")));
    }

    fn end(self, begun: Instant) {
        let states: usize = self.explored.iter().map(|one| one.states).sum();
        let largest = self.explored.iter().map(|one| one.states).max().unwrap_or(0);
        println!(
            "{} walks, {states} states ({largest} in the largest), {:?}",
            self.explored.len(),
            begun.elapsed()
        );
        for fault in Fault::ALL {
            assert!(self.tally.of(fault) > 0, "{fault:?} never came to pass");
        }
    }
}

#[test]
fn two_processes_and_each_pair_of_faults() {
    let (mut walks, begun) = (Walks::default(), Instant::now());
    for (n, first) in Fault::ALL.into_iter().enumerate() {
        Fault::ALL[n..].iter().for_each(|second| walks.walk(2, &[first, *second]));
    }
    walks.end(begun);
}

#[test]
fn three_processes_and_each_fault() {
    let (mut walks, begun) = (Walks::default(), Instant::now());
    for fault in Fault::ALL {
        walks.walk(3, &[fault]);
    }
    walks.end(begun);
}

fn broken(flaw: Option<Flaw>, limits: Limits, faults: &[Fault]) -> Violation {
    let walk = Walk::new(2, limits, faults, &Tally::default());
    let walk = flaw.map_or(walk.clone(), |flaw| walk.flawed(flaw));
    explore(walk, MAX_STATES).expect_err("a wrong lease is found")
}

#[test]
fn wrong_leases_are_found() {
    // What would hide it: others ask a moment later than they may.
    let limits = Limits { answer_ms: 4, margin_ms: 0, ..LIMITS };
    for (flaw, faults) in [
        (Flaw::NoCompare, [].as_slice()),
        (Flaw::CountsFromAnswer, &[Fault::AnswerLate, Fault::Frozen]),
        (Flaw::NeverRunsOut, &[Fault::Frozen]),
    ] {
        let found = broken(Some(flaw), limits, faults);
        println!("{flaw:?}: {found}");
        assert!(found.broken.contains("2 processes hold"), "{flaw:?}: {found}");
    }
}

/// Without it, a clock that runs a little slower than `PostgreSQL`'s makes two holders.
#[test]
fn what_clocks_may_differ_by_is_needed() {
    let found =
        broken(None, Limits { drift_ms: 0, margin_ms: 0, ..LIMITS }, &[Fault::ClockSlow, Fault::Frozen]);
    assert!(found.broken.contains("2 processes hold"), "{found}");
}
