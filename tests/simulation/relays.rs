//! Relays at tiny bounds: every order of deliveries, and every pair of faults.

use std::time::Instant;

use super::explore::explore;
use super::relay_faults::{Fault, Tally};
use super::relay_steps::Walk;
use super::stream_model::Lookup;

const LOOKUPS: [Lookup; 2] = [Lookup::IdFirst, Lookup::SequenceFirst];

fn holds(what: &str, walk: Walk) -> usize {
    let begun = Instant::now();
    let explored = explore(walk, 2_000_000).unwrap_or_else(|violation| panic!("{what}: {violation}"));
    println!("{what}: {explored:?} in {:?}", begun.elapsed());
    explored.states
}

#[test]
fn without_faults() {
    for lookup in LOOKUPS {
        holds("two relays", Walk { appends: 1, ..Walk::new(2, 2, lookup) });
    }
}

#[test]
fn single() {
    let tally = Tally::default();
    for fault in Fault::CAUSES {
        let walk = Walk { tally: tally.clone(), ..Walk::new(2, 2, Lookup::IdFirst) };
        holds(&format!("{fault:?}"), walk.with(&[fault]));
    }
}

#[test]
fn pairs() {
    let tally = Tally::default();
    for (n, first) in Fault::CAUSES.into_iter().enumerate() {
        for second in &Fault::CAUSES[n..] {
            let walk = Walk { tally: tally.clone(), ..Walk::new(2, 2, Lookup::IdFirst) };
            holds(&format!("{first:?} {second:?}"), walk.with(&[first, *second]));
        }
    }
}
#[test]
fn tune() {
    let pairs = [(Fault::NatsAway, Fault::NatsAway), (Fault::Disconnected, Fault::LogTailLost), (Fault::Crashed, Fault::StoreLost), (Fault::AnswerTwice, Fault::TailLost)];
    for (relays, events, appends, eager) in [(2, 2, 0, false), (2, 2, 0, true), (2, 1, 0, true), (1, 2, 0, false), (1,2,1,true), (1,3,0,true)] {
        for (a, b) in pairs {
            let walk = Walk { appends, eager, ..Walk::new(relays, events, Lookup::IdFirst) };
            holds(&format!("{relays} {events} {appends} {eager} {a:?} {b:?}"), walk.with(&[a, b]));
        }
    }
}
