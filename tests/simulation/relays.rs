//! Relays at tiny bounds: every order of deliveries, each fault and each pair of them; and the known wrong relays.

use std::time::Instant;

use super::explore::{Explored, Violation, explore};
use super::relay_faults::{Fault, Tally};
use super::relay_steps::{AT_ONCE, Walk};
use super::relay_world::Flaw;
use super::stream_model::Lookup;

const MAX_STATES: usize = 1_000_000;
const LOOKUPS: [Lookup; 2] = [Lookup::IdFirst, Lookup::SequenceFirst];

/// Walks of one test, all of which must keep every promise.
#[derive(Default)]
struct Walks {
    tally: Tally<Fault>,
    explored: Vec<Explored>,
}

impl Walks {
    fn walk(&mut self, walk: Walk, faults: &[Fault]) {
        let walk = Walk { tally: self.tally.clone(), ..walk }.with(faults);
        let lookup = walk.world.stream.lookup();
        let explored = explore(walk, MAX_STATES);
        let explored = explored.unwrap_or_else(|broken| panic!("{faults:?}, {lookup:?}: {broken}"));
        self.explored.push(explored);
    }

    fn each(&mut self, faults: &[Fault], walk: impl Fn(Lookup) -> Walk) {
        for lookup in LOOKUPS {
            faults.iter().for_each(|fault| self.walk(walk(lookup), &[*fault]));
        }
    }

    fn pairs(&mut self, faults: &[Fault], walk: impl Fn(Lookup) -> Walk) {
        for lookup in LOOKUPS {
            for (n, first) in faults.iter().enumerate() {
                faults[n..].iter().for_each(|second| self.walk(walk(lookup), &[*first, *second]));
            }
        }
    }

    /// Tells how much was seen, and asserts that each of these came to pass.
    fn end(self, begun: Instant, fired: &[Fault]) {
        let states: usize = self.explored.iter().map(|one| one.states).sum();
        let settled: usize = self.explored.iter().map(|one| one.settled).sum();
        let largest = self.explored.iter().map(|one| one.states).max().unwrap_or(0);
        let walks = self.explored.len();
        let took = begun.elapsed();
        println!("{walks} walks, {states} states ({settled} settled, {largest} in the largest), {took:?}");
        for fault in fired {
            assert!(self.tally.of(*fault) > 0, "{fault:?} never came to pass");
        }
    }
}

#[test]
fn two_relays_in_every_order() {
    let (mut walks, begun) = (Walks::default(), Instant::now());
    for lookup in LOOKUPS {
        walks.walk(Walk { appends: 1, ..Walk::new(2, 2, lookup) }, &[]);
        walks.walk(Walk { any_order: true, ..Walk::new(2, 2, lookup) }, &[]);
    }
    walks.end(begun, &[Fault::RepeatTold]);
}

#[test]
fn two_relays_and_each_fault() {
    let (mut walks, begun) = (Walks::default(), Instant::now());
    walks.each(&Fault::CAUSES, |lookup| Walk::new(2, 2, lookup));
    walks.end(begun, &Fault::CAUSES);
}

#[test]
fn two_relays_and_each_pair_of_faults() {
    let (mut walks, begun) = (Walks::default(), Instant::now());
    walks.pairs(&Fault::CAUSES, |lookup| Walk { eager: true, ..Walk::new(2, 1, lookup) });
    walks.end(begun, &Fault::CAUSES);
}

#[test]
fn one_relay_while_the_log_grows_and_each_pair_of_faults() {
    let (mut walks, begun) = (Walks::default(), Instant::now());
    walks.pairs(&Fault::CAUSES, |lookup| Walk { eager: true, appends: 1, ..Walk::new(1, 2, lookup) });
    walks.end(begun, &[Fault::CAUSES.as_slice(), &Fault::OUTCOMES].concat());
}

#[test]
fn tune() {
    for (n, first) in Fault::CAUSES.into_iter().enumerate() {
        for second in &Fault::CAUSES[n..] {
            let (mut walks, begun) = (Walks::default(), Instant::now());
            walks.walk(Walk { eager: true, ..Walk::new(2, 2, Lookup::IdFirst) }, &[first, *second]);
            print!("{first:?} {second:?}: ");
            walks.end(begun, &[]);
        }
    }
}
