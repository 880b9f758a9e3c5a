//! Other event stores on the same PostgreSQL, each a program in `bench/peers/` with its own best settings.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;

use crate::figures::{Figure, median, rate};
use crate::lines::told;
use crate::report::{Report, millis};
use crate::stand::Stand;
use crate::{Bench, BenchError, MANY};

const TASKS: u64 = 1_000;
/// A peer that is not installed ends with this.
const NOT_INSTALLED: i32 = 3;
/// What a peer takes longer than its run, to make its tables and to connect.
const GRACE: Duration = Duration::from_mins(1);
const DATABASE: &str = "peer";

/// The line that a peer prints.
#[derive(Debug, Deserialize)]
struct Told {
    name: String,
    version: String,
    appended: u64,
    failed: u64,
    seconds: f64,
    p50_ms: f64,
    p99_ms: f64,
}

/// What came of all runs of one peer.
struct Peer {
    folder: String,
    outcome: Outcome,
}

enum Outcome {
    NotInstalled,
    Failed(String),
    Ran { name: String, version: String, figures: Vec<Figure>, failed: u64, appended: u64 },
}

/// Beside ledger and `pgbench`, in turn, in each round.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<(), BenchError> {
    let programs = programs()?;
    let stand = Stand::new(bench, "peers", TASKS).await?;
    let (mut ledger, mut inserts) = (Vec::new(), Vec::new());
    let mut peers: Vec<Peer> = Vec::new();
    for round in 0..bench.settings.rounds {
        ledger.push(stand.creates(MANY, bench.settings.run).await?);
        inserts.push(bench.yardstick.inserts(MANY, bench.settings.run).await?);
        for (index, program) in programs.iter().enumerate() {
            if round == 0 {
                let folder = program.parent().and_then(Path::file_name).unwrap_or_default();
                let outcome = run(bench, program).await?;
                peers.push(Peer { folder: folder.to_string_lossy().into_owned(), outcome });
            } else if let Outcome::Ran { .. } = &peers[index].outcome {
                let outcome = run(bench, program).await?;
                peers[index].outcome.add(outcome);
            }
        }
    }
    report.section("Peers", table(&ledger, &inserts, &peers)?);
    stand.end(&bench.servers).await
}

fn programs() -> Result<Vec<PathBuf>, BenchError> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/peers");
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(&folder).map_err(|error| BenchError::File { path: folder, error })?;
    let mut programs: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path().join("run")).filter(|program| program.is_file()).collect();
    programs.sort();
    Ok(programs)
}

/// On an empty database.
async fn run(bench: &Bench, program: &Path) -> Result<Outcome, BenchError> {
    let database = bench.servers.fresh_database(DATABASE).await?;
    let seconds = bench.settings.run.as_secs().to_string();
    let mut command = Command::new(program);
    command.args(["--database", &database, "--clients", &MANY.to_string(), "--seconds", &seconds]);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let Ok(output) = tokio::time::timeout(bench.settings.run + GRACE, command.output()).await else {
        return Ok(Outcome::Failed("took too long".to_owned()));
    };
    let output = output.map_err(|error| BenchError::Program { program: program.to_path_buf(), error })?;
    bench.servers.drop_database(DATABASE).await?;
    if output.status.code() == Some(NOT_INSTALLED) {
        return Ok(Outcome::NotInstalled);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().rev().find_map(|line| serde_json::from_str::<Told>(line).ok());
    let Some(peer) = line.filter(|_| output.status.success()) else {
        let complaint = String::from_utf8_lossy(&output.stderr).replace(['\n', '|'], " ");
        return Ok(Outcome::Failed(format!("{}: {complaint:.200}", output.status)));
    };
    let time = |ms: f64| Duration::try_from_secs_f64(ms / 1000.0).unwrap_or_default();
    let figure = Figure {
        rate: rate(peer.appended, time(peer.seconds * 1000.0)),
        p50: time(peer.p50_ms),
        p99: time(peer.p99_ms),
    };
    told(&peer.name, figure);
    let Told { name, version, appended, failed, .. } = peer;
    Ok(Outcome::Ran { name, version, figures: vec![figure], failed, appended })
}

impl Outcome {
    fn add(&mut self, other: Self) {
        match (self, other) {
            (
                Self::Ran { figures, failed, appended, .. },
                Self::Ran { figures: more, failed: more_failed, appended: more_appended, .. },
            ) => {
                figures.extend(more);
                *failed += more_failed;
                *appended += more_appended;
            }
            (this, other) => *this = other,
        }
    }
}

fn table(ledger: &[Figure], inserts: &[Figure], peers: &[Peer]) -> Result<String, BenchError> {
    let (own, rows) = (median(ledger)?, median(inserts)?);
    let mut table = String::from(
        "64 clients, in turn, each on an empty database of the same PostgreSQL; a failed append is one that its caller \
         did not get.\n\n\
         | what | appends /s | p50 ms | p99 ms | failed | ÷ pgbench | the ledger does so many times as much |\n\
         |---|--:|--:|--:|--:|--:|--:|\n",
    );
    let line = |what: &str, figure: &Figure, failed: &str| {
        let (p50, p99, rate) = (millis(figure.p50), millis(figure.p99), figure.rate);
        let (by_rows, by_own) = (rate / rows.rate, own.rate / rate);
        format!("| {what} | {rate:.0} | {p50:.2} | {p99:.2} | {failed} | {by_rows:.2} | {by_own:.2} |\n")
    };
    table.push_str(&line("the ledger: creates over HTTP, with projection and JetStream", &own, "0"));
    table.push_str(&line("pgbench: single-row inserts", &rows, "0"));
    for Peer { folder, outcome } in peers {
        let told = match outcome {
            Outcome::Ran { name, version, figures, failed, appended } => {
                let of = format!("{failed} of {}", appended + failed);
                line(&format!("{name} {version}"), &median(figures)?, &of)
            }
            Outcome::NotInstalled => {
                format!("| {folder} | not installed (`bench/peers/{folder}/install`) | | | | | |\n")
            }
            Outcome::Failed(why) => format!("| {folder} | failed: {why} | | | | | |\n"),
        };
        table.push_str(&told);
    }
    Ok(table)
}
