//! When stream and ledger disagree.

use super::world::{Parcel, World, at, id};
use crate::oasis::published::Found;
use crate::oasis::relay::machine::{Input, Output, Seen, State};

fn state(world: &World) -> State {
    world.relays[0].machine.state()
}

fn hold(position: u64, number: u64, seen: Seen) -> Output {
    Output::SetHold { position: at(position), id: id(number), seen }
}

/// Somebody else's message takes 5 while 5, 6 and 7 are under way: 6 and 7 are ACCEPTED.
#[test]
fn a_foreign_message_under_the_publishes_in_flight_stops_the_relay_there() {
    let mut world = World::new(1, 4);
    world.settle(World::caught_up);
    world.log.extend(5..=7);
    while world.relays[0].parcels.len() < 3 {
        world.calm_step(0);
    }
    let publishes: Vec<Parcel> = std::mem::take(&mut world.relays[0].parcels);
    assert!(publishes.iter().all(|p| matches!(p, Parcel::Request(Output::Publish { .. }))), "{publishes:?}");
    world.stream.messages.push(Found::Foreign);
    for publish in publishes {
        world.deliver(0, publish);
    }
    assert_eq!(world.stream.messages[5..], [6, 7].map(|n| Found::Ours(id(n))), "JetStream takes them");
    world.settle(|world| state(world) == State::Stopped { sequence: at(5) });
    assert_eq!(world.relays[0].machine.proven(), at(4));
    // It looks again, finds the same, and publishes nothing.
    for _ in 0..200 {
        world.calm_step(0);
        assert_eq!(state(&world), State::Stopped { sequence: at(5) });
    }
    assert_eq!((world.stream.last(), world.relays[0].holds.len()), (7, 0));
    // A start anew finds it too, and a rebuilt stream heals it without one.
    world.crash(0);
    world.settle(|world| state(world) == State::Stopped { sequence: at(5) });
    world.stream.truncate(0);
    world.settle(World::caught_up);
    world.assert_prefix();
}

#[test]
fn a_foreign_message_past_the_end_is_found_while_nothing_is_published() {
    let mut world = World::new(1, 4);
    world.settle(World::caught_up);
    world.stream.messages.push(Found::Foreign);
    world.settle(|world| state(world) == State::Stopped { sequence: at(5) });
    assert_eq!(world.relays[0].holds, []);
}

/// The stream lost its last message and somebody else's took its place, unnoticed by the connection.
#[test]
fn the_last_proven_message_is_looked_at_again_and_again() {
    let mut world = World::new(1, 9);
    world.settle(World::caught_up);
    world.stream.messages[8] = Found::Foreign;
    world.settle(|world| state(world) == State::Stopped { sequence: at(9) });
}

#[test]
fn a_hole_in_the_stream_is_not_passed() {
    let mut world = World::new(1, 6);
    world.stream.messages = (1..=6).map(|n| Found::Ours(id(n))).collect();
    world.stream.messages[3] = Found::Nothing;
    world.settle(|world| state(world) == State::Stopped { sequence: at(4) });
}

/// The database was restored without its last commits; subscribers have seen them.
#[test]
fn a_stream_longer_than_the_log_sets_the_hold() {
    let mut world = World::new(1, 6);
    world.settle(World::caught_up);
    world.crash(0);
    world.log.truncate(4);
    world.settle(|world| state(world) == State::LedgerBehind { position: at(5) });
    assert_eq!(world.relays[0].holds, [hold(5, 5, Seen::InStream)]);
    // The operator appends the lost records again: nothing is left to tell.
    world.log = (1..=6).collect();
    world.settle(World::caught_up);
    world.assert_prefix();
}

#[test]
fn other_events_written_over_lost_ones_set_the_hold() {
    let mut world = World::new(1, 6);
    world.settle(World::caught_up);
    world.crash(0);
    world.log = vec![1, 2, 3, 4, 50, 60, 70];
    world.settle(|world| state(world) == State::LedgerBehind { position: at(5) });
    assert_eq!(world.relays[0].holds, [hold(5, 5, Seen::InStream)]);
    // The operator gives them up: the stream is made again.
    world.stream.truncate(0);
    world.settle(World::caught_up);
    world.assert_prefix();
}

#[test]
fn a_follower_whose_past_is_gone_sets_the_hold() {
    let mut world = World::new(1, 6);
    world.settle(World::caught_up);
    // The first follow was that of generation 1.
    let follow = crate::oasis::relay::machine::Generation(1);
    world.feed(0, Input::LogLost { follow, position: at(6), id: id(6) });
    assert_eq!(state(&world), State::LedgerBehind { position: at(6) });
    assert_eq!(world.relays[0].holds, [hold(6, 6, Seen::InLog)]);
}

/// The ledger lost its end while the relay runs: found by the regular look, without a restart.
#[test]
fn a_log_that_shrinks_under_a_running_relay_sets_the_hold() {
    let mut world = World::new(1, 6);
    world.settle(World::caught_up);
    world.log.truncate(4);
    world.settle(|world| state(world) == State::LedgerBehind { position: at(5) });
    assert_eq!(world.relays[0].holds, [hold(5, 5, Seen::InStream)]);
}

#[test]
fn whoever_asks_learns_when_stream_and_log_were_compared() {
    let mut world = World::new(1, 6);
    assert_eq!(world.relays[0].machine.compared(), None);
    world.settle(World::caught_up);
    world.feed(0, Input::Recheck);
    let asked = world.relays[0].machine.generation();
    assert!(world.relays[0].machine.compared() < Some(asked));
    world.settle(|world| world.relays[0].machine.compared() >= Some(asked));
}
