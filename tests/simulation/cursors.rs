//! Projectors at tiny bounds: every order, each pair of faults; and the known wrong projectors.

use std::time::Instant;

use super::cursor_faults::Fault;
use super::cursor_steps::Walk;
use super::cursor_world::Flaw;
use super::explore::{Explored, Violation, explore};
use super::tally::Tally;

const MAX_STATES: usize = 1_000_000;

/// Walks of one test, all of which must keep every promise.
#[derive(Default)]
struct Walks {
    tally: Tally<Fault>,
    explored: Vec<Explored>,
}

impl Walks {
    fn walk(&mut self, walk: Walk, faults: &[Fault]) {
        let explored = explore(walk.counted(&self.tally).with(faults), MAX_STATES);
        self.explored.push(explored.unwrap_or_else(|broken| panic!("{faults:?}: {broken}")));
    }

    /// Tells how much was seen, and asserts that each of these came to pass.
    fn end(self, begun: Instant, fired: impl IntoIterator<Item = Fault>) {
        let states: usize = self.explored.iter().map(|one| one.states).sum();
        let settled: usize = self.explored.iter().map(|one| one.settled).sum();
        println!("{} walks, {states} states ({settled} settled), {:?}", self.explored.len(), begun.elapsed());
        for fault in fired {
            assert!(self.tally.of(fault) > 0, "{fault:?} never came to pass");
        }
    }
}

#[test]
fn two_projectors_and_each_pair_of_faults() {
    let (mut walks, begun) = (Walks::default(), Instant::now());
    for (n, first) in Fault::CAUSES.into_iter().enumerate() {
        for second in &Fault::CAUSES[n..] {
            walks.walk(Walk::new(2, 2, 0), &[first, *second]);
            walks.walk(Walk::new(2, 1, 1), &[first, *second]);
        }
    }
    walks.end(begun, Fault::CAUSES.into_iter().chain(Fault::OUTCOMES));
}

/// Lost history is written over by others before anybody finds out.
#[test]
fn a_database_that_is_put_back_and_written_on() {
    let (mut walks, begun) = (Walks::default(), Instant::now());
    walks.walk(Walk::new(2, 0, 2), &[Fault::PutBack]);
    for fault in Fault::CAUSES {
        walks.walk(Walk::new(1, 1, 2), &[Fault::PutBack, fault]);
    }
    walks.end(begun, [Fault::PutBack, Fault::NotInLog, Fault::Held]);
}

/// What is in memory of lost history must not get into a row by way of the events that follow on others'.
#[test]
fn states_of_lost_history_are_forgotten() {
    let (mut walks, begun) = (Walks::default(), Instant::now());
    for fault in [Fault::Idle, Fault::ApplyLostBefore] {
        let mut walk = Walk::new(2, 0, 3).written_elsewhere();
        walk.world.tasks = 1;
        walks.walk(walk, &[Fault::PutBack, fault]);
    }
    walks.end(begun, [Fault::PutBack, Fault::LostRace]);
}

/// The same walk with the right projector and with a wrong one.
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
fn a_cursor_moved_outside_the_transaction_is_found() {
    let walk = Walk::new(1, 2, 0).with(&[Fault::Crashed]);
    let found = finds(Flaw::CursorBeforeRows, &walk);
    assert!(found.broken.contains("the rows are {}, the fold up to the cursor is"), "{found}");
}

#[test]
fn a_cursor_that_moves_to_an_event_which_the_log_no_longer_holds_is_found() {
    let walk = Walk::new(1, 1, 1).with(&[Fault::PutBack]);
    let found = finds(Flaw::CursorPastTheLog, &walk);
    assert!(found.broken.contains("which the log does not hold"), "{found}");
}
