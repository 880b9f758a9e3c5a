//! Writers, projectors and relays of two or three replicas together on one database and one stream, with callers who ask
//! again and an auditor who reads along, and with every fault, by the hundred thousand seeds. The same seed gives the same run, to the step.
//!
//! `SIMULATION_SEED=n` runs one seed alone and prints its steps; `SIMULATION_SEEDS=n` runs so many, from
//! `SIMULATION_FROM=n` on.

mod auditor;
mod callers;
mod counts;
mod disasters;
mod leases;
mod operator;
mod projector;
mod relay;
mod replica;
mod run;
mod world;
mod writer;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use counts::Counts;
use world::World;

const SEEDS: u64 = 100_000;
const THREADS: u64 = 2;

/// A seed that breaks a promise, with what it broke.
struct Broken {
    seed: u64,
    what: String,
}

fn run_one(seed: u64, loud: bool) -> Result<Counts, Broken> {
    let run = catch_unwind(AssertUnwindSafe(|| World::new(seed, loud).run()));
    match run {
        Ok(Ok((counts, _))) => Ok(counts),
        Ok(Err(what)) => Err(Broken { seed, what }),
        Err(panic) => {
            let what = panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "a panic".to_owned());
            Err(Broken { seed, what })
        }
    }
}

/// The counts of all; the first seed of these that breaks a promise.
fn run_all(seeds: Range<u64>) -> Result<Counts, Broken> {
    let mut counts = Counts::default();
    for seed in seeds {
        counts.add(&run_one(seed, false)?);
    }
    Ok(counts)
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn everything_together() {
    if let Some(seed) = setting("SIMULATION_SEED") {
        if let Err(Broken { what, .. }) = run_one(seed, true) {
            panic!("seed {seed}: {what}");
        }
        return;
    }
    let (seeds, begun) = (setting("SIMULATION_SEEDS").unwrap_or(SEEDS), Instant::now());
    let (from, share) = (setting("SIMULATION_FROM").unwrap_or(0), seeds.div_ceil(THREADS));
    let threads: Vec<_> = (0..THREADS)
        .map(|n| std::thread::spawn(move || run_all(from + n * share..from + (n + 1) * share)))
        .collect();
    let mut counts = Counts::default();
    for thread in threads {
        match thread.join().unwrap() {
            Ok(more) => counts.add(&more),
            Err(Broken { seed, what }) => {
                // Once more, with its steps.
                drop(run_one(seed, true));
                panic!(
                    "seed {seed}: {what} (step by step: SIMULATION_SEED={seed} cargo test --test client everything_together -- --nocapture)"
                );
            }
        }
    }
    let took = begun.elapsed();
    println!("{seeds} seeds in {took:?}: {:.0} a second", Duration::from_secs(seeds).div_duration_f64(took));
    counts.each().for_each(|(fault, count)| println!("  {count:>9} {fault:?}"));
    for (fault, count) in counts.each() {
        assert!(count > 0, "{fault:?} never came to pass");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..50 {
        assert_eq!(World::new(seed, false).run(), World::new(seed, false).run(), "seed {seed}");
    }
}
