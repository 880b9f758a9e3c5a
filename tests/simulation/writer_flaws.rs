//! Worlds that are known to be wrong for a writer: each is found, by the shortest way; and without its flaw nothing is.

use vtid_ledger::domain::vtid::Vtid;

use super::commands::{Ask, Patch};
use super::explore::{Violation, explore};
use super::faults::Fault;
use super::writer_exhaustive::first;
use super::writer_shell::Flaw;
use super::writer_world::{Plan, WriterWorld};

const MAX_STATES: usize = 1_000_000;

/// The world of a flaw is like any other but for it.
struct Scene<'a> {
    plans: &'a [Plan],
    faults: &'a [Fault],
    left: u8,
    decisions: u8,
}

impl Scene<'_> {
    fn world(&self, flaw: Option<Flaw>) -> WriterWorld {
        let mut world = WriterWorld::new(self.plans, flaw).warm().with(self.left, self.faults);
        world.decisions = self.decisions;
        world
    }

    /// The flaw is found, in these words, and nothing without it.
    fn shows(&self, flaw: Flaw, words: &str) {
        let right = explore(self.world(None), MAX_STATES).unwrap_or_else(|broken| panic!("{broken}"));
        let found = explore(self.world(Some(flaw)), MAX_STATES).unwrap_err();
        println!("{flaw:?}, {} steps (without it {right:?}): {found}", found.steps.len());
        assert!(found.broken.contains(words), "{}", found.broken);
    }
}

#[test]
fn an_append_without_an_answer_that_is_looked_up_and_called_not_written() {
    let plans = [Plan::new(0, Ask::Create)];
    let faults = [Fault::AppendLongAfter, Fault::DeadlinePassed];
    let scene = Scene { plans: &plans, faults: &faults, left: 2, decisions: 0 };
    scene.shows(Flaw::LooksUp, "was told that nothing was written, and goes in");
}

#[test]
fn a_look_up_is_wrong_only_once_the_append_comes_late() {
    let plans = [Plan::new(0, Ask::Create), Plan::new(1, Ask::Patch(first(), Patch::Complete))];
    let faults = [Fault::AppendLostBefore, Fault::AppendLostAfter, Fault::DeadlinePassed];
    let scene = Scene { plans: &plans, faults: &faults, left: 2, decisions: 0 };
    let found: Option<Violation> = explore(scene.world(Some(Flaw::LooksUp)), MAX_STATES).err();
    assert!(found.is_none(), "without the late commit nothing shows: {}", found.unwrap());
}

#[test]
fn a_refusal_answered_from_a_head_that_was_never_confirmed() {
    let plans = [Plan::new(0, Ask::Create), Plan::new(1, Ask::Patch(first(), Patch::Complete))];
    let scene = Scene { plans: &plans, faults: &[], left: 0, decisions: 0 };
    scene.shows(Flaw::Unconfirmed, "true at no moment between question and answer");
}

#[test]
fn an_exclusive_lock_that_others_ignore() {
    let plans = [Plan::new(0, Ask::Create), Plan::new(1, Ask::Create)];
    let scene = Scene { plans: &plans, faults: &[Fault::AppendLostBefore], left: 1, decisions: 0 };
    scene.shows(Flaw::LockIgnored, "an append within the turn was beaten");
}

#[test]
fn no_comparison_after_a_reconnect() {
    let plans = [Plan::new(0, Ask::Create), Plan::new(1, Ask::Create)];
    let scene = Scene { plans: &plans, faults: &[Fault::FailedOver], left: 1, decisions: 0 };
    scene.shows(Flaw::Uncompared, "is given out again");
}

#[test]
fn a_turn_that_asks_for_the_first_event_of_an_append_alone() {
    let plans =
        [Plan::new(0, Ask::CreateComplete), Plan::new(1, Ask::Patch(Vtid::first_of(2025), Patch::Note))];
    let faults = [Fault::FailedOver, Fault::AppendLostAfter];
    let scene = Scene { plans: &plans, faults: &faults, left: 2, decisions: 1 };
    scene.shows(Flaw::FirstEventOnly, "is handed over and not in the log");
}
