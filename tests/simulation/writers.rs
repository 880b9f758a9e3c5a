//! Several writers on one log, with every fault that an append can meet, by the thousand seeds.

use std::collections::BTreeMap;

use super::faults::{ALL_FAULTS, Fault};
use super::world::World;

/// Runs `seeds`; a failing one is named, and runs the same again by itself.
fn run(seeds: std::ops::Range<u64>, may_lose: bool) -> BTreeMap<Fault, u64> {
    let mut fired = BTreeMap::new();
    for seed in seeds {
        let run = std::panic::catch_unwind(|| World::new(seed).run(may_lose));
        let counts = run.unwrap_or_else(|panic| {
            eprintln!("seed {seed} fails (may_lose: {may_lose})");
            std::panic::resume_unwind(panic)
        });
        for (fault, count) in counts {
            *fired.entry(fault).or_default() += count;
        }
    }
    fired
}

#[test]
fn nothing_is_lost_doubled_or_answered_wrongly() {
    let mut fired = run(0..1_000, false);
    for (fault, count) in run(4_900..5_900, true) {
        *fired.entry(fault).or_default() += count;
    }
    println!("{fired:#?}");
    for fault in ALL_FAULTS {
        assert!(fired.get(&fault).is_some_and(|count| *count > 0), "{fault:?} never fired");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..20 {
        assert_eq!(World::new(seed).run(false), World::new(seed).run(false), "seed {seed}");
    }
}
