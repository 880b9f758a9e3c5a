//! The writer at tiny bounds: every order of what can happen between two of them, with each fault and each pair.

use std::time::Instant;

use vtid_ledger::domain::vtid::Vtid;

use super::commands::{Ask, Patch};
use super::explore::explore;
use super::faults::Fault;
use super::writer_world::{Plan, WriterWorld};

const MAX_STATES: usize = 3_000_000;

pub(super) fn first() -> Vtid {
    Vtid::first_of(2025)
}

fn walk(what: &str, world: WriterWorld, fired: &[Fault]) {
    let (begun, tally) = (Instant::now(), world.tally.clone());
    let explored = explore(world, MAX_STATES).unwrap_or_else(|broken| panic!("{what}: {broken}"));
    println!("{what}: {explored:?}, {:?}", begun.elapsed());
    for fault in fired {
        assert!(tally.of(*fault) > 0, "{what}: {fault:?} never came to pass");
    }
}

#[test]
fn a_create_and_two_patches() {
    let plans = [
        Plan::new(0, Ask::Create),
        Plan::new(1, Ask::Patch(first(), Patch::Complete)),
        Plan::new(0, Ask::Patch(first(), Patch::Activate)),
    ];
    walk("no fault, from the start,", WriterWorld::new(&plans, None), &[]);
    let world = WriterWorld::new(&plans, None).warm();
    walk("one fault", world.with(1, &Fault::OF_A_WRITER), &Fault::OF_A_WRITER);
}
