//! One thing that goes wrong at a time, and what the machine does about it; whole worlds are in `tests/simulation`.

use uuid::Uuid;

use super::{Answer, Generation, Input, Known, Limits, Machine, OpenFault, Output, Seen, State};
use crate::domain::position::Position;
use crate::oasis::published::Found;

pub(super) const LIMITS: Limits = Limits {
    in_flight: 4,
    in_flight_bytes: 40,
    read_back: 4,
    reads: 3,
    answer_ms: 100,
    retry_first_ms: 5,
    retry_most_ms: 40,
    look_again_ms: 30,
    recheck_ms: 60,
    scrub_reads: 2,
    scrub_every_ms: 10,
    scrub_pass_ms: 1000,
};

fn id(number: u64) -> Uuid {
    Uuid::from_u128(u128::from(number))
}

pub(super) fn at(position: u64) -> Position {
    Position::new(position)
}

/// A relay that has caught up with an empty stream, and its generation.
pub(super) fn following(events: &[u64]) -> (Machine, Generation) {
    let mut machine = Machine::new(LIMITS);
    let opening = machine.handle(0, Input::Tick);
    let generation = Generation(1);
    assert_eq!(opening, [Output::Open { generation }]);
    let opened = machine.handle(0, Input::Opened { generation, last: at(0), head: at(events.len() as u64) });
    assert_eq!(opened, [Output::Follow { follow: generation, after: at(0) }]);
    assert_eq!(machine.state(), State::Following);
    let sent = machine.handle(0, entries(generation, events));
    assert_eq!(sent, publishes(generation, 1, events.len().min(LIMITS.in_flight) as u64));
    (machine, generation)
}

pub(super) fn entries(follow: Generation, numbers: &[u64]) -> Input {
    let entry = |n: &u64| Known { position: at(*n), id: id(*n), bytes: 7 };
    Input::Entries { follow, entries: numbers.iter().map(entry).collect() }
}

pub(super) fn publishes(generation: Generation, from: u64, to: u64) -> Vec<Output> {
    (from..=to).map(|n| Output::Publish { generation, position: at(n) }).collect()
}

fn acked(generation: Generation, position: u64, answer: Answer) -> Input {
    Input::Acked { generation, position: at(position), answer }
}

pub(super) fn stored(generation: Generation, position: u64) -> Input {
    acked(generation, position, Answer::Stored { sequence: position })
}

pub(super) fn ours(generation: Generation, position: u64) -> Input {
    Input::Read { generation, position: at(position), found: Found::Ours(id(position)) }
}

#[test]
fn acknowledgements_pass_positions_in_order_and_make_room() {
    let (mut machine, generation) = following(&[1, 2, 3, 4, 5, 6]);
    assert_eq!(machine.handle(1, stored(generation, 2)), []);
    assert_eq!(machine.proven(), at(0), "1 is not proven yet");
    assert_eq!(machine.handle(1, stored(generation, 1)), publishes(generation, 5, 6));
    assert_eq!(machine.proven(), at(2));
    for position in 3..=6 {
        machine.handle(2, stored(generation, position));
    }
    assert_eq!(machine.proven(), at(6));
}

#[test]
fn what_is_in_flight_is_bounded_in_bytes_but_one_event_always_goes() {
    let (mut machine, generation) = following(&[]);
    let large = |n| Known { position: at(n), id: id(n), bytes: 41 };
    let sent = machine.handle(0, Input::Entries { follow: generation, entries: vec![large(1), large(2)] });
    assert_eq!(sent, publishes(generation, 1, 1));
    assert!(!machine.wants_entries());
    assert_eq!(machine.handle(0, stored(generation, 1)), publishes(generation, 2, 2));
}

#[test]
fn a_lost_acknowledgement_is_settled_by_reading() {
    let (mut machine, generation) = following(&[1, 2]);
    assert_eq!(machine.handle(99, Input::Tick), [], "not yet");
    assert_eq!(machine.handle(100, Input::Tick), [], "given up; waits");
    assert_eq!(machine.proven(), at(0));
    let next = Generation(generation.0 + 1);
    assert_eq!(machine.handle(105, Input::Tick), [Output::Open { generation: next }]);
    // Both had gone in.
    let reads = machine.handle(106, Input::Opened { generation: next, last: at(2), head: at(2) });
    assert_eq!(reads, [1, 2].map(|n| Output::Read { generation: next, position: at(n) }));
    machine.handle(107, ours(next, 1));
    machine.handle(107, ours(next, 2));
    assert_eq!((machine.proven(), machine.state()), (at(2), State::Following));
}

#[test]
fn a_late_answer_to_an_earlier_attempt_is_ignored() {
    let (mut machine, generation) = following(&[1, 2]);
    machine.handle(100, Input::Tick);
    machine.handle(105, Input::Tick);
    let next = Generation(generation.0 + 1);
    let sent = machine.handle(106, Input::Opened { generation: next, last: at(0), head: at(2) });
    assert_eq!(sent, publishes(next, 1, 2));
    assert_eq!(machine.handle(107, acked(generation, 1, Answer::Refused)), []);
    assert_eq!(machine.handle(107, stored(generation, 1)), []);
    assert_eq!(machine.proven(), at(0), "a late acknowledgement proves nothing");
    machine.handle(108, stored(next, 1));
    assert_eq!(machine.proven(), at(1));
}

#[test]
fn a_duplicate_or_another_sequence_proves_nothing() {
    for answer in [Answer::Duplicate, Answer::Refused, Answer::Stored { sequence: 2 }] {
        let (mut machine, generation) = following(&[1]);
        assert_eq!(machine.handle(1, acked(generation, 1, answer)), []);
        assert_eq!(machine.proven(), at(0), "{answer:?}");
        // And what comes after it in this attempt does not count either.
        machine.handle(1, stored(generation, 1));
        assert_eq!(machine.proven(), at(0), "{answer:?}");
        let next = Generation(generation.0 + 1);
        assert_eq!(machine.handle(6, Input::Tick), [Output::Open { generation: next }]);
    }
}

/// A relay that follows, and then does not lead any more; 1 and 2 are in the stream.
fn standing_by() -> (Machine, Generation) {
    let (mut machine, generation) = following(&[1, 2, 3]);
    machine.handle(1, stored(generation, 1));
    machine.handle(1, stored(generation, 2));
    assert_eq!(machine.handle(2, Input::Led(false)), [Output::Unfollow]);
    (machine, generation)
}

#[test]
fn one_that_does_not_lead_publishes_nothing_and_looks_at_the_last_message_alone() {
    let (mut machine, generation) = standing_by();
    assert!(!machine.wants_entries());
    assert_eq!(machine.handle(2, entries(generation, &[4])), [], "late from the log");
    assert_eq!(machine.handle(2, stored(generation, 3)), [], "published while it still led");
    assert_eq!((machine.proven(), machine.state()), (at(2), State::Following));
    let next = Generation(generation.0 + 1);
    let now = machine.next_tick();
    assert_eq!(machine.handle(now, Input::Tick), [Output::Open { generation: next }]);
    let looked = machine.handle(now, Input::Opened { generation: next, last: at(9), head: at(9) });
    assert_eq!(looked, [Output::Read { generation: next, position: at(9) }]);
    let asked = machine.handle(now, ours(next, 9));
    assert_eq!(asked, [Output::AskLog { generation: next, position: at(9), id: id(9) }]);
    machine.handle(now, Input::LogSays { generation: next, position: at(9), holds: true });
    assert_eq!((machine.proven(), machine.state()), (at(9), State::Following));
}

#[test]
fn one_that_does_not_lead_finds_what_the_ledger_lost() {
    let (mut machine, generation) = standing_by();
    let next = Generation(generation.0 + 1);
    machine.handle(machine.next_tick(), Input::Tick);
    let looked = machine.handle(70, Input::Opened { generation: next, last: at(3), head: at(2) });
    assert_eq!(looked, [2, 3].map(|n| Output::Read { generation: next, position: at(n) }));
    machine.handle(70, ours(next, 2));
    machine.handle(70, Input::LogSays { generation: next, position: at(2), holds: true });
    machine.handle(70, ours(next, 3));
    let lost = machine.handle(70, Input::LogSays { generation: next, position: at(3), holds: false });
    assert_eq!(lost, [Output::SetHold { position: at(3), id: id(3), seen: Seen::InStream }]);
}

#[test]
fn one_that_does_not_lead_compares_all_that_it_is_asked_to() {
    let (mut machine, generation) = standing_by();
    let next = Generation(generation.0 + 1);
    assert_eq!(machine.handle(3, Input::Recheck), [Output::Open { generation: next }]);
    let compares = machine.handle(3, Input::Opened { generation: next, last: at(3), head: at(3) });
    assert_eq!(compares[0], Output::Follow { follow: next, after: at(0) });
    machine.handle(3, entries(next, &[1, 2, 3]));
    (1..=2).for_each(|n| assert_eq!(machine.handle(3, ours(next, n)), []));
    assert!(machine.compared() < Some(next));
    assert_eq!(machine.handle(3, ours(next, 3)), [Output::Unfollow]);
    assert_eq!(machine.compared(), Some(next));
}

#[test]
fn one_that_leads_again_reads_back_before_it_publishes() {
    let (mut machine, generation) = standing_by();
    let next = Generation(generation.0 + 1);
    assert_eq!(machine.handle(3, Input::Led(true)), [Output::Open { generation: next }]);
    let looked = machine.handle(3, Input::Opened { generation: next, last: at(1), head: at(3) });
    let read = Output::Read { generation: next, position: at(1) };
    assert_eq!(looked, [Output::Follow { follow: next, after: at(0) }, read]);
    machine.handle(3, entries(next, &[1, 2, 3]));
    assert_eq!(machine.handle(3, ours(next, 1)), publishes(next, 2, 3), "2 was lost with the stream's end");
}

#[test]
fn while_nats_is_away_the_waits_grow_up_to_their_bound() {
    let mut machine = Machine::new(LIMITS);
    let (mut now, mut waits) = (0, Vec::new());
    for _ in 0..6 {
        let out = machine.handle(now, Input::Tick);
        let [Output::Open { generation }] = out[..] else { panic!("{out:?}") };
        machine.handle(now, Input::OpenFailed { generation, fault: OpenFault::Unreachable });
        assert_eq!(machine.state(), State::Connecting);
        waits.push(machine.next_tick() - now);
        now = machine.next_tick();
    }
    assert_eq!(waits, [5, 10, 20, 40, 40, 40]);
}

/// Else whoever gave the lease back meanwhile would not ask for it until it next looks at the stream's end.
#[test]
fn what_failed_before_a_new_connection_no_longer_counts() {
    let (mut machine, _) = following(&[1]);
    machine.handle(1, Input::Led(false));
    for _ in 0..5 {
        let now = machine.next_tick();
        machine.handle(now, Input::Tick);
        let generation = machine.generation();
        machine.handle(now, Input::OpenFailed { generation, fault: OpenFault::Unreachable });
    }
    let now = machine.next_tick();
    machine.handle(now, Input::Connected);
    let generation = machine.generation();
    machine.handle(now, Input::Opened { generation, last: at(0), head: at(1) });
    assert_eq!(machine.state(), State::Following);
}

#[test]
fn refusals_without_end_are_told() {
    let (mut machine, _) = following(&[1]);
    let mut now = 1;
    for _ in 0..3 {
        let generation = machine.generation();
        machine.handle(now, acked(generation, 1, Answer::Refused));
        now = machine.next_tick();
        machine.handle(now, Input::Tick);
        let generation = machine.generation();
        machine.handle(now, Input::Opened { generation, last: at(0), head: at(1) });
    }
    assert_eq!(machine.state(), State::Failing);
    machine.handle(now, stored(machine.generation(), 1));
    assert_eq!(machine.state(), State::Following);
}
