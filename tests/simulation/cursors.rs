//! Projectors at tiny bounds: every order, each pair of faults; and the known wrong projectors.

use std::time::Instant;

use super::cursor_steps::{Fault, Walk};
use super::cursor_world::Flaw;
use super::explore::{Violation, explore};
use super::tally::Tally;

const MAX_STATES: usize = 1_000_000;

#[test]
fn two_projectors_and_each_pair_of_faults() {
    let (tally, begun) = (Tally::default(), Instant::now());
    let (mut states, mut settled, mut walks) = (0, 0, 0);
    for (n, first) in Fault::CAUSES.into_iter().enumerate() {
        for second in &Fault::CAUSES[n..] {
            for (events, appends) in [(2, 0), (1, 1)] {
                let walk = Walk::new(2, events, appends).counted(&tally);
                let explored = explore(walk.with(&[first, *second]), MAX_STATES);
                let explored = explored.unwrap_or_else(|broken| panic!("{first:?}, {second:?}: {broken}"));
                println!("{first:?} {second:?} {events}+{appends} {explored:?}");
                states += explored.states;
                settled += explored.settled;
                walks += 1;
            }
        }
    }
    println!("{walks} walks, {states} states ({settled} settled), {:?}", begun.elapsed());
    for fault in Fault::CAUSES.into_iter().chain(Fault::OUTCOMES) {
        assert!(tally.of(fault) > 0, "{fault:?} never came to pass");
    }
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
