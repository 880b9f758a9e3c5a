//! Faults on the real thing: the program, `PostgreSQL` and NATS are struck while callers write and read; afterwards every
//! answer, the log, the read table and the stream have to fit together.

mod backends;
pub(crate) mod callers;
pub(crate) mod checker;
mod clock;
mod disk;
mod flood;
mod folded;
mod halves;
pub(crate) mod history;
mod limit;
pub(crate) mod objection;
mod objects;
mod order;
mod perfect;
mod requests;
pub(crate) mod rounds;
pub(crate) mod stage;
mod store;
mod strikes;
mod table;
mod told;
mod wire;

use std::str::FromStr;

use rounds::plan;
use strikes::Fault;
use table::Report;

/// Those that strike in every run of the tests: one of each sort, alone, and soon over.
const SHORT: [Fault; 9] = [
    Fault::LedgerKilled,
    Fault::LedgerFrozen,
    Fault::PostgresKilled,
    Fault::BackendsTerminated,
    Fault::BackendsCancelled,
    Fault::CutBeforeAnswer,
    Fault::NatsKilled,
    Fault::StoreLost,
    Fault::HalfRequests,
];

fn setting<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().ok().unwrap_or_else(|| panic!("{name} is no number: {text}")))
}

/// Plays rounds among `faults`; the one of `FAULTS_ROUND` alone, where that is set.
async fn play(faults: &[Fault], rounds: usize, seed: u64) {
    let mut report = Report::default();
    let mut possible = Vec::new();
    for fault in faults {
        match fault.needs().iter().find_map(|need| need.missing()) {
            None => possible.push(*fault),
            Some(why) => report.skip(*fault, why),
        }
    }
    let rounds = plan(&possible, rounds, seed);
    println!("seed {seed}: FAULTS_SEED={seed} plays the same rounds again, FAULTS_ROUND=n one of them alone");
    for round in &rounds {
        println!("  {}: {}", round.number, round.name());
    }
    let only: Option<usize> = setting("FAULTS_ROUND");
    for round in rounds.iter().filter(|round| only.is_none_or(|only| round.number == only)) {
        round.play(&mut report).await;
    }
    let table = report.markdown(seed, rounds.len());
    println!("{table}");
    if let Ok(path) = std::env::var("FAULTS_REPORT") {
        std::fs::write(&path, &table).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    // All of them, unless there are fewer rounds than faults.
    let planned: Vec<Fault> = rounds.iter().flat_map(|round| round.faults.clone()).collect();
    let never = report.never_fired(&planned);
    assert!(only.is_some() || never.is_empty(), "these never struck: {never:?}");
}

#[test]
fn a_seed_plans_the_same_rounds_with_each_fault_alone_first() {
    let planned =
        |seed| plan(Fault::ALL, 500, seed).into_iter().map(|round| format!("{round:?}")).collect::<Vec<_>>();
    assert_eq!(planned(7), planned(7));
    assert_ne!(planned(7), planned(8));
    let rounds = plan(Fault::ALL, 500, 7);
    let (alone, pairs) = rounds.split_at(Fault::ALL.len());
    let mut once: Vec<Fault> = alone.iter().flat_map(|round| round.faults.clone()).collect();
    once.sort_unstable();
    assert_eq!(once, Fault::ALL);
    assert!(pairs.iter().all(|round| round.faults[0].part() < round.faults[1].part()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_in_short() {
    play(&SHORT, SHORT.len(), setting("FAULTS_SEED").unwrap_or(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: `make faults`"]
async fn all_of_them_alone_and_in_pairs() {
    let seed = setting("FAULTS_SEED").unwrap_or_else(|| fastrand::u64(..));
    // By the names that the code has for them, with commas between them.
    let faults: Vec<Fault> = match std::env::var("FAULTS_ONLY") {
        Ok(only) => Fault::ALL
            .iter()
            .copied()
            .filter(|fault| only.split(',').any(|name| format!("{fault:?}") == name))
            .collect(),
        Err(_) => Fault::ALL.to_vec(),
    };
    play(&faults, setting("FAULTS_ROUNDS").unwrap_or(60), seed).await;
}
