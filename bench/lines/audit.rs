//! How fast `audit verify` goes through an export, beside a plain SHA-256 pass over the same file.

use std::fs::File;
use std::io::{BufWriter, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tokio::process::Command;
use uuid::Uuid;
use vtid_ledger::audit::file::{ExportWriter, Header};
use vtid_ledger::clock::Clock;
use vtid_ledger::domain::record::LedgerId;
use vtid_ledger::domain::time::Timestamp;

use crate::figures::{Figure, rate};
use crate::records::{Plan, creates};
use crate::report::Report;
use crate::row::{Goal, Runs};
use crate::seed::Tasks;
use crate::servers::program;
use crate::{Bench, BenchError};

/// Events of each task.
const VERSIONS: u64 = 10;
/// Over how long they were recorded.
const SPAN_MILLIS: i64 = 10 * 24 * 3_600_000;

/// Rounds of both, over one file.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<(), BenchError> {
    let events = bench.settings.by_scale(200_000, 2_000_000);
    let path = std::env::temp_dir().join(format!("vtid-bench-{}.ndjson", std::process::id()));
    let at = |error| BenchError::File { path: path.clone(), error };
    let written = path.clone();
    tokio::task::spawn_blocking(move || write(&written, events)).await??;
    let outcome = compare(bench, report, &path, events).await;
    std::fs::remove_file(&path).map_err(at)?;
    outcome
}

async fn compare(bench: &Bench, report: &mut Report, path: &Path, events: u64) -> Result<(), BenchError> {
    let at = |error| BenchError::File { path: path.to_owned(), error };
    let bytes = std::fs::metadata(path).map_err(at)?.len();
    let mut runs = Runs::default();
    for _ in 0..bench.settings.rounds {
        let hashed = hash(path).map_err(at)?;
        let verified = verify(path).await?;
        runs.yardstick.push(figure(events, hashed));
        runs.ledger.push(figure(events, verified));
        let megabytes = |time| rate(bytes, time) / 1e6;
        eprintln!("  SHA-256 {:.0} MB/s, verify {:.0} MB/s", megabytes(hashed), megabytes(verified));
    }
    let scale = format!("{events} events, {} MB", bytes / 1_000_000);
    let what = "`audit verify` of an export, events";
    report.row(runs.rates(what, &scale, "a SHA-256 pass over the file", Goal::AtLeast(0.5))?);
    Ok(())
}

fn figure(events: u64, time: Duration) -> Figure {
    Figure { rate: rate(events, time), p50: time, p99: time }
}

/// An export as `audit export` writes it, of records as the ledger prints them.
pub(super) fn write(path: &Path, events: u64) -> Result<(), BenchError> {
    let at = |error| BenchError::File { path: path.to_owned(), error };
    let to = Clock::system().now();
    let from = Timestamp::from_millis(to.millis() - SPAN_MILLIS);
    let ledger = LedgerId(Uuid::from_u128(7));
    // Of one year, in which the numbers count on.
    let from = if from.year() == to.year() { from } else { to };
    let plan = Plan {
        ledger,
        head: 0,
        from,
        to,
        tasks: Tasks { year: to.year(), first: 1, count: (events / VERSIONS).max(1) },
        first_version: 1,
        count: events,
        creates: creates()?.into(),
    };
    let out = BufWriter::with_capacity(1 << 20, File::create(path).map_err(at)?);
    let mut writer = ExportWriter::begin(out, Header::new(ledger, events)).map_err(at)?;
    plan.each(|recorded| writer.record(&recorded.body).map_err(at))?;
    let (out, _) = writer.end().map_err(at)?;
    let file = out.into_inner().map_err(|error| at(error.into_error()))?;
    // Written back, so that the disk is quiet while it is read from memory.
    file.sync_all().map_err(at)
}

fn hash(path: &Path) -> std::io::Result<Duration> {
    let begun = Instant::now();
    std::hint::black_box(digest(path)?);
    Ok(begun.elapsed())
}

/// Its SHA-256.
pub(super) fn digest(path: &Path) -> std::io::Result<[u8; 32]> {
    let (mut file, mut buffer, mut hash) = (File::open(path)?, vec![0; 1 << 20], Sha256::new());
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hash.finalize().into());
        }
        hash.update(&buffer[..read]);
    }
}

/// The whole program, its start included.
async fn verify(path: &Path) -> Result<Duration, BenchError> {
    let begun = Instant::now();
    let output =
        Command::new(program()).args(["audit", "verify", "--json", "--file"]).arg(path).output().await;
    let output = output.map_err(|error| BenchError::Program { program: program().to_owned(), error })?;
    let time = begun.elapsed();
    if output.status.success() {
        return Ok(time);
    }
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    Err(BenchError::Output { program: "audit verify".to_owned(), output })
}
