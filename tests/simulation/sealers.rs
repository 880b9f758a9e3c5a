//! Sealers at tiny bounds: every order of deliveries, each fault and each pair of them; long runs of all faults; and the known
//! wrong shells.

use std::time::Instant;

use fastrand::Rng;

use super::explore::{Violation, World as _, explore};
use super::sealer_world::{Fault, Flaw, Walk};
use super::tally::Tally;

const MAX_STATES: usize = 3_000_000;
/// As many as are needed for one to be given out, lost and written anew.
const APPENDS: u8 = 2;
const RUNS: u64 = 3_000;

#[test]
fn two_sealers_and_each_pair_of_faults() {
    let (tally, begun) = (Tally::default(), Instant::now());
    let (mut walks, mut states, mut largest) = (0, 0, 0);
    for (n, first) in Fault::ALL.into_iter().enumerate() {
        for second in &Fault::ALL[n + 1..] {
            let faults = [first, *second];
            let explored = explore(Walk::new(APPENDS, &faults, &tally), MAX_STATES);
            let explored = explored.unwrap_or_else(|broken| panic!("{faults:?}: {broken}"));
            (walks, states) = (walks + 1, states + explored.states);
            largest = largest.max(explored.states);
        }
    }
    println!("{walks} walks, {states} states ({largest} in the largest), {:?}", begun.elapsed());
    for fault in Fault::ALL {
        // That one takes a failover before it, and the pair is walked.
        assert!(tally.of(fault) > 0, "{fault:?} never came to pass");
    }
}

#[test]
fn whatever_happened_it_seals_or_says_why_not() {
    let tally = Tally::default();
    for seed in 0..RUNS {
        let mut rng = Rng::with_seed(seed);
        let mut walk = Walk::new(4, &Fault::ALL, &tally);
        for _ in 0..rng.usize(10..120) {
            let steps = walk.steps();
            let step = &steps[rng.usize(..steps.len())];
            walk.take(step).unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
        }
        walk.settle().unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
    }
    for fault in Fault::ALL {
        assert!(tally.of(fault) > 0, "{fault:?} never came to pass");
    }
}

fn broken(flaw: Flaw, faults: &[Fault]) -> Violation {
    let walk = Walk::new(3, faults, &Tally::default()).flawed(flaw);
    explore(walk, MAX_STATES).expect_err("a wrong sealer is found")
}

#[test]
fn wrong_sealers_are_found() {
    for (flaw, faults, told) in [
        (Flaw::AnySession, [Fault::Failover].as_slice(), "given out"),
        (Flaw::NoOutside, &[Fault::Failover], "given out"),
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
