//! The writer at tiny bounds: every order of what can happen between two of them, with each fault and some pairs.

use std::time::Instant;

use vtid_ledger::domain::vtid::Vtid;

use super::commands::{Ask, Patch};
use super::explore::explore;
use super::faults::Fault;
use super::writer_world::{Plan, WriterWorld};

const MAX_STATES: usize = 1_000_000;

/// The first task that is created.
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

/// Every fault of a writer whose database keeps what it has, and what follows from them.
fn all_of_a_writer() -> Vec<Fault> {
    let outcomes = [Fault::LateAppendWentIn, Fault::LateAppendRefused];
    Fault::OF_A_WRITER.into_iter().chain(outcomes).collect()
}

#[test]
fn a_create_and_two_patches_of_it() {
    let plans = [
        Plan::new(0, Ask::Create),
        Plan::new(1, Ask::Patch(first(), Patch::Complete)),
        Plan::new(0, Ask::Patch(first(), Patch::Activate)),
    ];
    walk("no fault, from the start on", WriterWorld::new(&plans, None), &[]);
    let world = WriterWorld::new(&plans, None).warm();
    walk("each fault", world.with(1, &Fault::OF_A_WRITER), &all_of_a_writer());
}

#[test]
fn a_create_and_a_patch_with_each_pair_of_faults() {
    let plans = [Plan::new(0, Ask::Create), Plan::new(1, Ask::Patch(first(), Patch::Complete))];
    let world = WriterWorld::new(&plans, None).warm();
    walk("each pair of faults", world.with(2, &Fault::OF_A_WRITER), &all_of_a_writer());
}

#[test]
fn the_same_key_at_both_writers() {
    let plans = [
        Plan::new(0, Ask::Create).keyed(Some((0, true))),
        Plan::new(1, Ask::Create).keyed(Some((0, true))),
        Plan::new(1, Ask::Create).keyed(Some((0, false))),
    ];
    let world = WriterWorld::new(&plans, None).warm();
    walk("a key, each fault", world.with(1, &Fault::OF_A_WRITER), &[Fault::LateAppendWentIn]);
}

#[test]
fn a_version_that_one_of_two_finds() {
    let plans = [
        Plan::new(0, Ask::Create),
        Plan::new(0, Ask::PatchAt(first(), Patch::Note, 1)),
        Plan::new(1, Ask::PatchAt(first(), Patch::Block, 1)),
    ];
    let world = WriterWorld::new(&plans, None).warm();
    walk("an expected version, each fault", world.with(1, &Fault::OF_A_WRITER), &[Fault::LateAppendWentIn]);
}

#[test]
fn nonsense_under_a_key_that_may_be_known() {
    let plans = [
        Plan::new(0, Ask::Create).keyed(Some((0, true))),
        Plan::new(1, Ask::Nonsense).keyed(Some((0, false))),
    ];
    let world = WriterWorld::new(&plans, None).warm();
    walk("nonsense, each fault", world.with(1, &Fault::OF_A_WRITER), &[Fault::LateAppendWentIn]);
}

#[test]
fn a_log_that_loses_history() {
    let plans = [Plan::new(0, Ask::Create), Plan::new(1, Ask::Create)];
    let faults = [Fault::FailedOver, Fault::AppendLostAfter, Fault::AppendLongAfter, Fault::Crashed];
    let mut world = WriterWorld::new(&plans, None).warm().with(2, &faults);
    world.decisions = 1;
    let fired = [&faults[..], &[Fault::Recovered, Fault::LossAccepted]].concat();
    walk("a loss, and one fault more", world, &fired);
}

#[test]
fn a_deadline_that_passes_around_a_loss() {
    let plans = [Plan::new(0, Ask::CreateComplete)];
    let faults = [Fault::FailedOver, Fault::AppendLostAfter, Fault::AppendLongAfter, Fault::DeadlinePassed];
    let mut world = WriterWorld::new(&plans, None).warm().with(3, &faults);
    world.decisions = 1;
    let fired = [&faults[..], &[Fault::Recovered, Fault::LossAccepted]].concat();
    walk("a loss, a deadline, and one fault more", world, &fired);
}
