//! Relays at tiny bounds: every order of deliveries, each fault and each pair of them; and the known wrong relays.

use std::time::Instant;

use vtid_ledger::oasis::relay::machine::Limits;

use super::explore::{Explored, Violation, explore};
use super::relay_faults::Fault;
use super::relay_steps::{AT_ONCE, Walk};
use super::relay_world::Flaw;
use super::stream_model::Lookup;
use super::tally::Tally;

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

    fn pairs(&mut self, faults: &[Fault], walk: impl Fn() -> Walk) {
        for (n, first) in faults.iter().enumerate() {
            faults[n..].iter().for_each(|second| self.walk(walk(), &[*first, *second]));
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
    for lookup in LOOKUPS {
        for fault in Fault::CAUSES {
            walks.walk(Walk::new(2, 2, lookup), &[fault]);
        }
    }
    walks.end(begun, &Fault::CAUSES);
}

#[test]
fn two_relays_and_each_pair_of_faults() {
    let (mut walks, begun) = (Walks::default(), Instant::now());
    walks.pairs(&Fault::CAUSES, || Walk { eager: true, ..Walk::new(2, 1, Lookup::IdFirst) });
    walks.end(begun, &Fault::CAUSES);
}

#[test]
fn one_relay_while_the_log_grows_and_each_pair_of_faults() {
    let (mut walks, begun) = (Walks::default(), Instant::now());
    walks.pairs(&Fault::CAUSES, || Walk {
        eager: true,
        appends: 1,
        ..Walk::new(1, 2, Lookup::SequenceFirst)
    });
    walks.end(begun, &[Fault::CAUSES.as_slice(), &[Fault::LateStored, Fault::LateRefused]].concat());
}

/// Somebody else's message takes a sequence under two relays' publishes, some of which are lost, late or come to light
/// when their sender is long gone.
#[test]
fn a_foreign_message_and_another_fault() {
    let (mut walks, begun) = (Walks::default(), Instant::now());
    // Those around the whole stream or log have walks of their own.
    let faults = &Fault::CAUSES[..=Fault::Disconnected as usize];
    for fault in faults.iter().copied().chain([Fault::TailLost, Fault::Foreign]) {
        walks.walk(Walk { eager: true, ..Walk::new(2, 2, Lookup::IdFirst) }, &[Fault::Foreign, fault]);
    }
    walks.end(begun, &[Fault::Foreign, Fault::LateStored]);
}

/// History is lost, and others are written over it before anybody finds out.
#[test]
fn a_ledger_that_lost_history_and_goes_on() {
    let (mut walks, begun) = (Walks::default(), Instant::now());
    for lookup in LOOKUPS {
        let two = Walk { appends: 1, eager: true, ..Walk::new(2, 1, lookup) };
        walks.walk(two, &[Fault::LogTailLost]);
    }
    for fault in Fault::CAUSES {
        let one = Walk { appends: 2, eager: true, ..Walk::new(1, 1, Lookup::IdFirst) };
        walks.walk(one, &[Fault::LogTailLost, fault]);
    }
    walks.end(begun, &[Fault::LogTailLost]);
}

/// As a cluster may that has lost its leader: whoever is connected to another server notices nothing.
#[test]
fn a_tail_lost_behind_a_connection_that_lives() {
    let (mut walks, begun) = (Walks::default(), Instant::now());
    let silent =
        |relays, events| Walk { silent: true, eager: true, ..Walk::new(relays, events, Lookup::IdFirst) };
    for lost in [Fault::TailLost, Fault::StoreLost] {
        walks.walk(silent(2, 2), &[lost, Fault::AnswerLate]);
        for fault in Fault::CAUSES.into_iter().filter(|fault| *fault != Fault::Foreign) {
            walks.walk(silent(1, 3), &[lost, fault]);
        }
    }
    // Somebody else's message in the place of the last one: the sequence is the same.
    walks.walk(silent(1, 2), &[Fault::TailLost, Fault::Foreign]);
    walks.end(begun, &[Fault::TailLost, Fault::StoreLost]);
}

/// The look back is bounded; within its bound nothing is missed.
#[test]
fn a_look_back_that_is_shorter_than_the_stream() {
    let (mut walks, begun) = (Walks::default(), Instant::now());
    let faults = Fault::CAUSES.into_iter().filter(|fault| *fault != Fault::Foreign);
    let faults: Vec<Fault> = faults.collect();
    for most in [1, 2] {
        let limits = Limits { in_flight: most, read_back: most as u64, reads: 1, ..AT_ONCE };
        walks.pairs(&faults, || Walk { eager: true, ..Walk::new(1, 3, Lookup::IdFirst) }.limited(limits));
    }
    walks.end(begun, &faults);
}

/// The same walk with the right relay and with a wrong one.
fn finds(flaw: Flaw, right: &Walk) -> Violation {
    let mut wrong = right.clone();
    wrong.world.flaw = Some(flaw);
    if let Err(broken) = explore(right.clone(), MAX_STATES) {
        panic!("without the flaw: {broken}");
    }
    let found = explore(wrong, MAX_STATES).expect_err("the flaw is not found");
    println!("{flaw:?}: {found}");
    found
}

#[test]
fn a_relay_that_goes_on_from_the_last_sequence_is_found() {
    let walk = Walk::new(1, 2, Lookup::IdFirst).with(&[Fault::Foreign]);
    let found = finds(Flaw::GoesOnFromTheLast, &walk);
    assert!(found.broken.contains("over Foreign at sequence 1"), "{found}");
}

/// A publish is lost, the two after it are refused: two refusals, of which the second is told late.
#[test]
fn a_relay_without_generations_is_found() {
    let walk = Walk { any_order: true, max_attempts: 2, ..Walk::new(1, 3, Lookup::IdFirst) };
    let found = finds(Flaw::NoGenerations, &walk.with(&[Fault::RequestLost]));
    assert!(found.broken.contains("retries without end"), "{found}");
}
