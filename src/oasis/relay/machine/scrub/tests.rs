//! What is read again, when, and what comes of a message that is not the ledger's.

use super::super::tests::{LIMITS, at, entries, following, ours, publishes, stored};
use crate::oasis::published::Found;
use crate::oasis::relay::machine::{Generation, Input, Machine, Output, State};

fn reads(generation: Generation, positions: &[u64]) -> Vec<Output> {
    positions.iter().map(|n| Output::Read { generation, position: at(*n) }).collect()
}

fn no_event(generation: Generation, position: u64) -> Input {
    Input::Read { generation, position: at(position), found: Found::Nothing }
}

/// A relay with so many events in the stream, all of them acknowledged at time 0.
fn with_published(count: u64) -> (Machine, Generation) {
    let events: Vec<u64> = (1..=count).collect();
    let (mut machine, generation) = following(&events);
    for position in 1..=count {
        machine.handle(0, stored(generation, position));
    }
    (machine, generation)
}

/// Answers what is asked, and gives what was asked for next, and when.
fn next_reads(machine: &mut Machine, generation: Generation, asked: &[u64]) -> (u64, Vec<Output>) {
    for position in asked {
        assert_eq!(machine.handle(0, ours(generation, *position)), []);
    }
    let due = machine.next_tick();
    (due, machine.handle(due, Input::Tick))
}

#[test]
fn the_whole_stream_is_read_a_little_at_a_time_and_again_once_it_is_time() {
    let (mut machine, generation) = with_published(5);
    assert_eq!(next_reads(&mut machine, generation, &[]), (0, reads(generation, &[1, 2])));
    assert_eq!(machine.scrubbed(), at(0));
    assert_eq!(next_reads(&mut machine, generation, &[2, 1]).1, reads(generation, &[3, 4]));
    assert_eq!(machine.scrubbed(), at(2));
    assert_eq!(next_reads(&mut machine, generation, &[3, 4]).1, reads(generation, &[5]));
    machine.handle(20, ours(generation, 5));
    assert_eq!(machine.scrubbed(), at(5));
    // Nothing is left to read until the stream's end is looked at, or the pass begins again.
    assert_eq!(machine.next_tick(), LIMITS.recheck_ms);
    let mut now = 0;
    let again = loop {
        let out = machine.handle(now, Input::Tick);
        let generation = machine.generation();
        if let [Output::Open { .. }] = out[..] {
            let looked = machine.handle(now, Input::Opened { generation, last: at(5), head: at(5) });
            assert_eq!(looked, reads(generation, &[5]));
            assert_eq!(machine.handle(now, ours(generation, 5)), []);
        } else if !out.is_empty() {
            break out;
        }
        now = machine.next_tick();
    };
    assert_eq!((now, again), (LIMITS.scrub_pass_ms, reads(machine.generation(), &[1, 2])));
}

#[test]
fn what_is_not_answered_is_asked_for_once_more() {
    let (mut machine, generation) = with_published(3);
    assert_eq!(machine.handle(0, Input::Tick), reads(generation, &[1, 2]));
    machine.handle(1, ours(generation, 1));
    // In flight is something that keeps the stream's end from being looked at meanwhile.
    assert_eq!(machine.handle(50, entries(generation, &[4])), publishes(generation, 4, 4));
    assert_eq!(machine.handle(99, Input::Tick), []);
    assert_eq!(machine.handle(100, Input::Tick), reads(generation, &[2, 3]));
}

#[test]
fn a_new_attempt_reads_again_what_was_not_answered() {
    let (mut machine, generation) = with_published(3);
    assert_eq!(machine.handle(0, Input::Tick), reads(generation, &[1, 2]));
    let next = Generation(generation.0 + 1);
    assert_eq!(machine.handle(60, Input::Tick), [Output::Open { generation: next }]);
    machine.handle(60, Input::Opened { generation: next, last: at(3), head: at(3) });
    machine.handle(60, ours(next, 3));
    assert_eq!(machine.handle(60, ours(generation, 1)), [], "too late");
    machine.handle(100, Input::Tick);
    assert_eq!((machine.scrubbed(), machine.handle(100, ours(next, 1))), (at(0), vec![]));
    assert_eq!(machine.scrubbed(), at(1));
}

/// Its sequence may have been taken by another's message just before.
#[test]
fn the_message_below_a_publish_after_a_pause_is_read_as_soon_as_that_is_stored() {
    let (mut machine, generation) = with_published(5);
    machine.handle(0, Input::Tick);
    assert_eq!(machine.handle(1, entries(generation, &[6])), publishes(generation, 6, 6));
    // While 6 is under way it is too early: 5 may still be lost before.
    assert_eq!(next_reads(&mut machine, generation, &[1, 2]).1, reads(generation, &[3, 4]));
    machine.handle(12, stored(generation, 6));
    assert_eq!(next_reads(&mut machine, generation, &[3, 4]).1, reads(generation, &[5, 6]));
    // Read already: once, although it was in the way of the pass as well.
    machine.handle(22, ours(generation, 5));
    machine.handle(22, ours(generation, 6));
    assert_eq!((machine.scrubbed(), machine.next_tick()), (at(6), 12 + LIMITS.recheck_ms));
}

#[test]
fn a_message_that_is_not_the_ledgers_stops_the_relay_until_it_is() {
    let (mut machine, generation) = with_published(8);
    machine.handle(0, Input::Tick);
    let mut attempt = Generation(generation.0 + 1);
    assert_eq!(machine.handle(1, no_event(generation, 2)), [Output::Open { generation: attempt }]);
    let opened = |attempt| Input::Opened { generation: attempt, last: at(8), head: at(8) };
    // It is looked at first, and then whether the log has what stands behind it.
    assert_eq!(machine.handle(1, opened(attempt)), reads(attempt, &[2]));
    assert_eq!(machine.handle(1, ours(attempt, 8)), [], "not asked for");
    assert_eq!(machine.handle(1, no_event(attempt, 2)), reads(attempt, &[8]));
    machine.handle(1, ours(attempt, 8));
    machine.handle(1, Input::LogSays { generation: attempt, position: at(8), holds: true });
    assert_eq!(machine.state(), State::Stopped { sequence: at(2) });
    // The reading from further back does not come to it: it is looked at all the same.
    let now = machine.next_tick();
    attempt = Generation(attempt.0 + 1);
    assert_eq!(machine.handle(now, Input::Tick), [Output::Open { generation: attempt }]);
    let follow = Output::Follow { follow: attempt, after: at(4) };
    assert_eq!(machine.handle(now, opened(attempt)), [vec![follow], reads(attempt, &[2])].concat());
    assert_eq!(machine.handle(now, ours(attempt, 2)), reads(attempt, &[5, 6, 7]), "it is there again");
    machine.handle(now, entries(attempt, &[5, 6, 7, 8]));
    (5..=8).for_each(|n| drop(machine.handle(now, ours(attempt, n))));
    assert_eq!((machine.state(), machine.proven()), (State::Following, at(8)));
}

/// What stands there now was published anew.
#[test]
fn a_stream_that_is_shorter_now_has_nothing_to_be_looked_at() {
    let (mut machine, generation) = with_published(8);
    machine.handle(0, Input::Tick);
    machine.handle(1, no_event(generation, 2));
    let attempt = machine.generation();
    let opened = machine.handle(1, Input::Opened { generation: attempt, last: at(0), head: at(8) });
    assert_eq!(opened, [Output::Follow { follow: attempt, after: at(0) }]);
    assert_eq!(machine.state(), State::Following);
    assert_eq!(machine.scrubbed(), at(0), "from the first message again");
}

#[test]
fn one_that_does_not_lead_reads_nothing_again() {
    let (mut machine, _) = with_published(3);
    machine.handle(0, Input::Led(false));
    assert_eq!(machine.next_tick(), LIMITS.recheck_ms);
}

#[test]
fn after_a_new_connection_the_whole_stream_is_read_again() {
    let (mut machine, generation) = with_published(2);
    machine.handle(0, Input::Tick);
    machine.handle(0, ours(generation, 1));
    machine.handle(0, ours(generation, 2));
    assert_eq!(machine.scrubbed(), at(2));
    assert_eq!(machine.handle(5, Input::Connected).len(), 1);
    let attempt = machine.generation();
    machine.handle(5, Input::Opened { generation: attempt, last: at(2), head: at(2) });
    machine.handle(5, entries(attempt, &[1, 2]));
    (1..=2).for_each(|n| drop(machine.handle(5, ours(attempt, n))));
    let now = machine.next_tick();
    assert_eq!(machine.handle(now, Input::Tick), reads(attempt, &[1, 2]));
    assert!(now < LIMITS.recheck_ms);
}
