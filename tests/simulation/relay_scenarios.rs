//! Relays in one world at a time, by hand: what goes wrong in it, and what they do about it.

use vtid_ledger::oasis::published::Found;
use vtid_ledger::oasis::relay::machine::{Input, Seen, State};

use super::plain_log::{at, id};
use super::relay::Request;
use super::relay_calm::LIMITS;
use super::relay_world::RelayWorld;
use super::stream_model::Lookup;

fn world(relays: usize, events: u64) -> RelayWorld {
    RelayWorld::new(LIMITS, relays, events, Lookup::SequenceFirst)
}

fn caught_up(relays: usize, events: u64) -> RelayWorld {
    let mut world = world(relays, events);
    settle(&mut world, RelayWorld::caught_up);
    world
}

fn settle(world: &mut RelayWorld, done: impl Fn(&RelayWorld) -> bool) {
    world.settle(done).unwrap_or_else(|broken| panic!("{broken}"));
}

fn settles_as(world: &mut RelayWorld, state: State) {
    settle(world, |world| world.relays.iter().all(|relay| relay.machine.state() == state));
}

fn stops_at(world: &mut RelayWorld, sequence: u64) {
    settles_as(world, State::Stopped { sequence: at(sequence) });
}

#[test]
fn a_start_reads_the_end_of_the_stream_back_before_it_publishes() {
    let mut world = world(1, 12);
    world.stream.messages = (1..=10).map(|n| Found::Ours(id(n))).collect();
    let mut read = Vec::new();
    while world.relays[0].machine.proven() < at(12) {
        if let Some(Request::Read { position, .. }) = world.relays[0].requests.front() {
            read.push(position.get());
            read.dedup();
        }
        world.calm_step(0).unwrap();
    }
    assert_eq!(read, [7, 8, 9, 10]);
    assert_eq!(world.stream.last(), 12);
}

#[test]
fn a_lost_tail_is_noticed_and_put_back() {
    let mut world = caught_up(1, 9);
    world.lose_tail(5);
    settle(&mut world, RelayWorld::caught_up);
    assert_eq!(world.relays[0].holds, []);
}

#[test]
fn a_lost_store_is_put_back_from_the_first_event_on() {
    let mut world = caught_up(1, 30);
    world.lose_tail(0);
    settle(&mut world, RelayWorld::caught_up);
}

#[test]
fn a_tail_lost_at_a_reconnect_and_filled_by_others_is_seen() {
    let mut world = caught_up(1, 9);
    // The last one is right again, the one before it is not.
    world.stream.messages[7] = Found::Foreign;
    world.disconnect(0).unwrap();
    assert_eq!(world.relays[0].machine.state(), State::Connecting);
    world.connect(0).unwrap();
    stops_at(&mut world, 8);
}

#[test]
fn two_relays_at_once_do_no_harm() {
    let mut world = caught_up(2, 25);
    (26..=60).for_each(|_| world.log.append());
    settle(&mut world, RelayWorld::caught_up);
    assert!(world.relays.iter().all(|relay| relay.holds.is_empty()));
}

/// Somebody else's message takes 5 while 5, 6 and 7 are under way: 6 and 7 are ACCEPTED.
#[test]
fn a_foreign_message_under_the_publishes_in_flight_stops_the_relay_there() {
    let mut world = caught_up(1, 4);
    (5..=7).for_each(|_| world.log.append());
    while world.relays[0].requests.len() < 3 {
        world.calm_step(0).unwrap();
    }
    assert!(world.relays[0].requests.iter().all(Request::is_publish), "{:?}", world.relays[0].requests);
    world.stream.publish_foreign();
    stops_at(&mut world, 5);
    assert_eq!(world.stream.messages[5..], [6, 7].map(|n| Found::Ours(id(n))), "JetStream takes them");
    assert_eq!(world.relays[0].machine.proven(), at(4));
    // It looks again, finds the same, and publishes nothing.
    for _ in 0..200 {
        world.calm_step(0).unwrap();
        assert_eq!(world.relays[0].machine.state(), State::Stopped { sequence: at(5) });
    }
    assert_eq!((world.stream.last(), world.relays[0].holds.len()), (7, 0));
    // A start anew finds it too, and a rebuilt stream heals it without one.
    world.crash(0);
    stops_at(&mut world, 5);
    world.lose_tail(0);
    settle(&mut world, RelayWorld::caught_up);
}

#[test]
fn a_foreign_message_past_the_end_is_found_while_nothing_is_published() {
    let mut world = caught_up(1, 4);
    world.stream.publish_foreign();
    stops_at(&mut world, 5);
    assert_eq!(world.relays[0].holds, []);
}

/// The stream lost its last message and somebody else's took its place, unnoticed by the connection.
#[test]
fn the_last_proven_message_is_looked_at_again_and_again() {
    let mut world = caught_up(1, 9);
    world.lose_tail(8);
    world.stream.publish_foreign();
    stops_at(&mut world, 9);
}

#[test]
fn a_hole_in_the_stream_is_not_passed() {
    let mut world = caught_up(1, 6);
    world.stream.messages[3] = Found::Nothing;
    world.crash(0);
    // What the model of the stream says of a hole is not asked here.
    while world.relays[0].machine.state() != (State::Stopped { sequence: at(4) }) {
        world.calm_step(0).unwrap();
    }
}

/// The database was restored without its last commits; subscribers have seen them.
#[test]
fn a_stream_longer_than_the_log_sets_the_hold() {
    let mut world = caught_up(1, 6);
    world.crash(0);
    world.log.lose_tail(4);
    settles_as(&mut world, State::LedgerBehind { position: at(5) });
    assert_eq!(world.relays[0].holds, [(at(5), id(5), Seen::InStream)]);
    settle(&mut world, |world| world.log.hold);
    // The operator appends the lost records again: nothing is left to tell.
    world.log.recover(6);
    settle(&mut world, RelayWorld::caught_up);
}

#[test]
fn other_events_written_over_lost_ones_set_the_hold() {
    let mut world = caught_up(1, 6);
    world.crash(0);
    world.log.lose_tail(4);
    (5..=7).for_each(|_| world.log.append());
    settles_as(&mut world, State::LedgerBehind { position: at(5) });
    assert_eq!(world.relays[0].holds, [(at(5), id(5), Seen::InStream)]);
    // The operator gives them up: the stream is made again.
    world.lose_tail(0);
    settle(&mut world, RelayWorld::caught_up);
}

#[test]
fn a_follower_whose_past_is_gone_sets_the_hold() {
    let mut world = caught_up(1, 6);
    world.log.lose_tail(5);
    assert!(world.read_log(0, 1).unwrap());
    assert_eq!(world.relays[0].machine.state(), State::LedgerBehind { position: at(6) });
    assert_eq!(world.relays[0].holds, [(at(6), id(6), Seen::InLog)]);
}

/// The ledger lost its end while the relay runs: found without a restart.
#[test]
fn a_log_that_shrinks_under_a_running_relay_sets_the_hold() {
    let mut world = caught_up(1, 6);
    world.log.lose_tail(4);
    // Its reader of the log is slow: the regular look at the stream finds it.
    let mut feed = world.relays[0].feed.take();
    while world.relays[0].holds.is_empty() {
        world.relays[0].feed = feed.filter(|feed| feed.after < at(5));
        world.calm_step(0).unwrap();
        feed = world.relays[0].feed;
    }
    assert_eq!(world.relays[0].holds, [(at(5), id(5), Seen::InStream)]);
}

#[test]
fn whoever_asks_learns_when_stream_and_log_were_compared() {
    let mut world = world(1, 6);
    assert_eq!(world.relays[0].machine.compared(), None);
    settle(&mut world, RelayWorld::caught_up);
    world.tell(0, Input::Recheck).unwrap();
    let asked = world.relays[0].machine.generation();
    assert!(world.relays[0].machine.compared() < Some(asked));
    settle(&mut world, |world| world.relays[0].machine.compared() >= Some(asked));
}
