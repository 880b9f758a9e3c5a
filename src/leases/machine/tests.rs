//! One thing at a time, and what the machine does about it; whole worlds are in `tests/simulation`.

use super::{Attempt, Input, Limits, Machine, Millis, Output};

const LIMITS: Limits = Limits {
    lasts_ms: 300,
    drift_ms: 10,
    renew_ms: 100,
    answer_ms: 50,
    retry_ms: 20,
    margin_ms: 1,
    busy_ms: 30,
    unable_ms: 80,
    trial_ms: 150,
    rest_ms: 1_000,
};

fn keep(attempt: u64) -> Vec<Output> {
    vec![Output::Keep { attempt: Attempt(attempt) }]
}

fn give_back(attempt: u64) -> Vec<Output> {
    vec![Output::GiveBack { attempt: Attempt(attempt), number: 1 }]
}

fn kept(attempt: u64) -> Input {
    Input::Kept { attempt: Attempt(attempt), term: 1, number: i64::try_from(attempt).unwrap(), left_ms: 300 }
}

fn taken(attempt: u64, left_ms: Millis) -> Input {
    Input::Taken { attempt: Attempt(attempt), left_ms }
}

/// One that asked at 0 and was told at 5 that the lease is its own.
fn holder() -> Machine {
    let mut machine = Machine::new(LIMITS);
    assert_eq!(machine.handle(0, Input::Tick), keep(1), "at once");
    assert_eq!(machine.handle(5, kept(1)), []);
    machine
}

#[test]
fn it_counts_from_before_the_question_and_renews() {
    let mut machine = holder();
    assert_eq!(machine.held_until(5), Some(290));
    assert_eq!(machine.next_tick(), Some(100));
    assert_eq!(machine.handle(100, Input::Tick), keep(2));
    machine.handle(140, kept(2));
    assert_eq!(machine.held_until(289), Some(390));
}

#[test]
fn it_steps_down_when_it_could_not_renew() {
    let mut machine = holder();
    machine.handle(100, Input::Tick);
    assert_eq!(machine.handle(150, Input::Tick), [], "given up");
    assert_eq!(machine.handle(160, kept(2)), [], "an answer that comes later counts for nothing");
    assert_eq!(machine.held_until(160), Some(290));
    assert_eq!(machine.handle(170, Input::Tick), keep(3));
    machine.handle(171, Input::Failed { attempt: Attempt(3) });
    assert_eq!((machine.held_until(289), machine.held_until(290)), (Some(290), None));
}

#[test]
fn one_that_was_frozen_holds_nothing_when_it_wakes() {
    let machine = holder();
    assert_eq!(machine.held_until(5_000), None, "before anything is handled");
}

#[test]
fn it_asks_again_when_anothers_lease_ends() {
    let mut machine = Machine::new(LIMITS);
    machine.handle(0, Input::Tick);
    machine.handle(5, taken(1, 200));
    assert_eq!(machine.next_tick(), Some(206));
    assert_eq!(machine.handle(205, Input::Tick), []);
    assert_eq!(machine.handle(206, Input::Tick), keep(2));
    // Nobody's lease is longer than a lease.
    machine.handle(210, taken(2, 9_999));
    assert_eq!(machine.next_tick(), Some(511));
    assert_eq!(machine.handle(300, Input::Freed), keep(3), "at once when it was given back");
}

#[test]
fn whoever_holds_another_lets_others_go_first() {
    let mut machine = Machine::new(LIMITS);
    machine.handle(0, Input::Busy(true));
    machine.handle(5, taken(1, 200));
    assert_eq!(machine.next_tick(), Some(236));
    assert_eq!(machine.handle(10, Input::Freed), []);
    assert_eq!(machine.next_tick(), Some(40));
}

#[test]
fn a_clean_stop_gives_back() {
    let mut machine = holder();
    assert_eq!(machine.handle(50, Input::Stop), give_back(2));
    assert_eq!(machine.held_until(50), None);
    assert!(!machine.has_ended());
    machine.handle(55, Input::GivenBack { attempt: Attempt(2) });
    assert!(machine.has_ended());
}

#[test]
fn a_stop_waits_for_what_was_asked_before() {
    let mut machine = Machine::new(LIMITS);
    machine.handle(0, Input::Tick);
    assert_eq!(machine.handle(5, Input::Stop), []);
    assert_eq!(machine.handle(6, kept(1)), give_back(2));
    assert_eq!(machine.handle(60, Input::Tick), [], "nobody answers");
    assert!(machine.has_ended());
}

#[test]
fn one_that_can_not_do_the_work_lets_others_in_and_asks_again_later() {
    let mut machine = holder();
    assert_eq!(machine.handle(6, Input::Able(false)), []);
    assert_eq!(machine.handle(100, Input::Tick), keep(2));
    machine.handle(101, kept(2));
    assert_eq!(machine.next_tick(), Some(155), "it has tried for long enough");
    assert_eq!(machine.handle(155, Input::Tick), [Output::GiveBack { attempt: Attempt(3), number: 2 }]);
    machine.handle(156, Input::GivenBack { attempt: Attempt(3) });
    assert_eq!(machine.handle(160, Input::Freed), [], "its own");
    assert_eq!(machine.next_tick(), Some(1_156));
    assert_eq!(machine.handle(500, Input::Able(true)), keep(4), "at once when it can");
}
