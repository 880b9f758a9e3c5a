//! The memory in a small world of pasts that are lost, against the fold of each.

mod logs;
mod world;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use world::World;

use super::machine::{FRESH_FOR, ROW_FOR};
use crate::domain::position::{Position, Version};

#[derive(Debug, Clone, Copy)]
enum Op {
    /// `far`: what others have written meanwhile is too much to be handed over.
    OwnWrite {
        task: u8,
        far: bool,
    },
    OthersWrite {
        task: u8,
    },
    Loss {
        events: usize,
    },
    /// `late`: what it has read arrives with the next one.
    Follow {
        max: usize,
        tail_first: bool,
        late: bool,
    },
    Get {
        task: u8,
    },
    /// Reads a row when the table is some events behind; [`Op::Offer`] comes any time later.
    ReadTable {
        task: u8,
        behind: u64,
    },
    Offer,
    Wait {
        seconds: u64,
    },
    DatabaseAway,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (0..4_u8, any::<bool>()).prop_map(|(task, far)| Op::OwnWrite { task, far }),
        4 => (0..4_u8).prop_map(|task| Op::OthersWrite { task }),
        1 => (1..4_usize).prop_map(|events| Op::Loss { events }),
        6 => (1..4_usize, any::<bool>(), any::<bool>())
            .prop_map(|(max, tail_first, late)| Op::Follow { max, tail_first, late }),
        12 => (0..4_u8).prop_map(|task| Op::Get { task }),
        4 => (0..4_u8, 0..4_u64).prop_map(|(task, behind)| Op::ReadTable { task, behind }),
        4 => Just(Op::Offer),
        1 => (0..3_u64).prop_map(|seconds| Op::Wait { seconds }),
        1 => Just(Op::DatabaseAway),
    ];
    proptest::collection::vec(op, 1..80)
}

#[test]
fn what_it_shows_is_the_fold_of_its_own_past() {
    let (counts, hits) = (Mutex::new(BTreeMap::<&str, usize>::new()), AtomicUsize::new(0));
    let config = Config { cases: 3000, failure_persistence: None, ..Config::default() };
    let strategy = (ops(), prop_oneof![Just(2_000), Just(1 << 20)], prop_oneof![Just(2_usize), Just(64)]);
    TestRunner::new(config)
        .run(&strategy, |(ops, bytes, recent)| {
            let mut world = World::new(bytes, recent);
            for op in ops {
                world.step(op);
            }
            hits.fetch_add(world.shown, Ordering::Relaxed);
            let mut counts = counts.lock().unwrap();
            for (what, count) in &world.happened {
                *counts.entry(what).or_default() += count;
            }
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
    let (counts, hits) = (counts.into_inner().unwrap(), hits.into_inner());
    assert!(hits > 3_000, "shown {hits} times: {counts:?}");
    for what in World::KINDS {
        assert!(counts.get(what).is_some_and(|count| *count > 20), "{what} hardly ever happened: {counts:?}");
    }
}

#[test]
fn an_own_write_is_shown_at_once_and_without_a_follower() {
    let mut world = World::standing();
    let written = world.own_write(0);
    let shown = world.get(0, written).unwrap();
    assert_eq!(shown.position, written);
}

#[test]
fn a_row_of_the_table_is_shown_for_a_while_and_then_asked_for_again() {
    let mut world = World::standing_on(1);
    world.read_table(0, 0);
    world.offer();
    assert!(world.get(0, Position::ZERO).is_some());
    world.wait(ROW_FOR);
    world.look();
    assert!(world.get(0, Position::ZERO).is_none(), "somebody may have edited the table by hand");
}

#[test]
fn a_row_from_before_a_change_is_not_taken() {
    let mut world = World::standing_on(1);
    world.read_table(0, 0);
    world.others_write(0);
    world.follow(8, true);
    world.offer();
    assert!(world.get(0, Position::ZERO).is_none());
}

#[test]
fn it_shows_nothing_once_it_has_not_seen_the_log_for_long() {
    let mut world = World::standing();
    let written = world.own_write(0);
    world.wait(FRESH_FOR);
    assert!(world.get(0, written).is_none());
    world.look();
    assert!(world.get(0, written).is_some());
    world.away();
    assert!(world.get(0, written).is_none(), "the database does not answer");
}

#[test]
fn another_past_of_the_same_length_is_not_taken_for_what_was_acknowledged() {
    let mut world = World::standing_on(1);
    world.others_write(0);
    world.follow(8, true);
    world.lose(1);
    // This process's writer was one event behind, and finds the log as it knows it.
    let written = world.own_write(1);
    assert!(world.get(0, written).is_none());
    world.look();
    assert!(world.get(1, written).is_none_or(|shown| shown.position >= written));
}

#[test]
fn entries_after_a_gap_are_not_taken() {
    let mut world = World::standing();
    (0..3).for_each(|_| world.others_write(0));
    assert_eq!(world.skip_one(), None);
}

#[test]
fn a_row_of_where_it_began_is_taken() {
    let mut world = World::standing_on(2);
    world.read_table(0, 0);
    world.others_write(1);
    world.follow(8, true);
    world.offer();
    assert!(world.get(0, Position::new(3)).is_some());
}

#[test]
fn what_was_read_before_a_loss_and_arrives_after_it_is_not_shown() {
    let mut world = World::standing_on(1);
    world.read_table(0, 0);
    world.offer();
    assert!(world.get(0, Position::ZERO).is_some());
    (0..2).for_each(|_| world.others_write(0));
    world.step(Op::Follow { max: 8, tail_first: false, late: true });
    world.lose(2);
    // Where the first of the two was.
    let written = world.own_write(1);
    assert!(world.get(0, written).is_none(), "it is not there yet");
    world.step(Op::Follow { max: 8, tail_first: false, late: false });
    assert!(world.get(0, written).is_none(), "it stands in another past");
    world.look();
    assert!(world.get(1, written).is_none_or(|shown| shown.value.version == Version::new(1)));
}

#[test]
fn a_head_that_was_read_before_a_loss_and_arrives_after_it_is_not_stood_at() {
    let mut world = World::new(1 << 20, 64);
    (0..3).for_each(|_| world.others_write(0));
    world.step(Op::Follow { max: 8, tail_first: false, late: true });
    world.lose(3);
    let written = world.own_write(1);
    world.step(Op::Follow { max: 8, tail_first: false, late: false });
    world.read_table(1, 0);
    world.offer();
    assert!(world.get(1, written).is_none(), "it stood in another past");
    world.look();
    assert!(world.get(1, written).is_none(), "and knows nothing of the tasks of this one yet");
    world.read_table(1, 0);
    world.offer();
    assert!(world.get(1, written).is_some());
}
