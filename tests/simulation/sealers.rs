//! Sealers at tiny bounds: every order of deliveries, each fault, and of one sealer each pair of them; long runs of all faults; and the known
//! wrong shells.

use std::time::Instant;

use fastrand::Rng;

use super::explore::{Explored, Violation, World as _, explore};
use super::sealer_world::{Fault, Flaw, Walk};
use super::tally::Tally;

const MAX_STATES: usize = 3_000_000;
const RUNS: u64 = 3_000;

#[derive(Default)]
struct Walks {
    tally: Tally<Fault>,
    explored: Vec<Explored>,
}

impl Walks {
    fn walk(&mut self, sealers: usize, faults: &[Fault]) {
        let explored = explore(Walk::new(sealers, 2, faults, &self.tally), MAX_STATES);
        self.explored.push(explored.unwrap_or_else(|broken| panic!("{sealers}, {faults:?}: {broken}")));
    }

    fn end(self, begun: Instant) -> Tally<Fault> {
        let states: usize = self.explored.iter().map(|one| one.states).sum();
        let largest = self.explored.iter().map(|one| one.states).max().unwrap_or(0);
        let walks = self.explored.len();
        println!("{walks} walks, {states} states ({largest} in the largest), {:?}", begun.elapsed());
        self.tally
    }
}

#[test]
fn two_sealers_and_each_fault() {
    let (mut walks, begun) = (Walks::default(), Instant::now());
    for fault in Fault::ALL {
        walks.walk(2, &[fault]);
    }
    walks.end(begun);
}

#[test]
fn a_sealer_and_each_pair_of_faults() {
    let (mut walks, begun) = (Walks::default(), Instant::now());
    for (n, first) in Fault::ALL.into_iter().enumerate() {
        Fault::ALL[n + 1..].iter().for_each(|second| walks.walk(1, &[first, *second]));
    }
    // What a failover lost can only be given up where somebody noticed.
    walks.walk(1, &[Fault::Failover, Fault::OldTail, Fault::AcceptLoss]);
    let tally = walks.end(begun);
    for fault in Fault::ALL {
        assert!(tally.of(fault) > 0, "{fault:?} never came to pass");
    }
}

fn run(mut walk: Walk, seed: u64) -> Result<(), String> {
    let mut rng = Rng::with_seed(seed);
    for _ in 0..rng.usize(10..120) {
        let steps = walk.steps();
        walk.take(&steps[rng.usize(..steps.len())])?;
    }
    walk.settle(seed.is_multiple_of(2))
}

#[test]
fn whatever_happened_it_seals_or_says_why_not() {
    let tally = Tally::default();
    for seed in 0..RUNS {
        let walk = Walk::new(2, 4, &Fault::ALL, &tally);
        run(walk, seed).unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
    }
    for fault in Fault::ALL {
        assert!(tally.of(fault) > 0, "{fault:?} never came to pass");
    }
}

fn broken(flaw: Flaw, faults: &[Fault]) -> Violation {
    let walk = Walk::new(2, 2, faults, &Tally::default()).flawed(flaw);
    explore(walk, MAX_STATES).expect_err("a wrong sealer is found")
}

#[test]
fn wrong_sealers_are_found() {
    for (flaw, faults, told) in [
        (Flaw::AnySession, [Fault::Failover].as_slice(), "said not to"),
        (Flaw::NoOutside, &[Fault::Failover], "given out"),
        (Flaw::NoWitness, &[Fault::Wipe], "witnessed"),
        (Flaw::KeepsAnything, &[Fault::Failover, Fault::OldTail], "said not to"),
        (Flaw::NoFloor, &[Fault::Failover, Fault::Recover], "given out"),
        (Flaw::NoOwn, &[Fault::Tamper, Fault::Crash], "before it"),
        (Flaw::NoCompare, &[], "goes back"),
    ] {
        let found = broken(flaw, faults);
        println!("{flaw:?}: {found}");
        assert!(found.broken.contains(told), "{flaw:?}: {found}");
    }
}

#[test]
fn a_hold_that_is_never_lifted_is_found() {
    let tally = Tally::default();
    let run = |seed| run(Walk::new(2, 4, &Fault::ALL, &tally).flawed(Flaw::KeepsHold), seed);
    let told = (0..RUNS).find_map(|seed| run(seed).err()).expect("a wrong sealer is found");
    assert!(told.contains("neither sealed nor told"), "{told}");
}
