//! The lines that need a large log: one ledger that grows tenfold from stage to stage, first by creates up to a tenth of
//! its events, then by patches of those tasks; and beside it an empty one, of its own, so that what is measured on that one
//! is not among the events of the next stage.

mod large;
mod level;
mod list;
mod rebuild;
mod start;

use std::path::Path;
use std::time::Duration;

use sqlx::Connection as _;

use crate::report::Report;
use crate::seed::{Seeder, Tasks};
use crate::servers::{Ledger, tidy};
use crate::stand::Stand;
use crate::{Bench, BenchError};
use level::Levels;

/// Their names in `BENCH_ONLY`.
pub(crate) const NAMES: [&str; 5] = ["growth", "list", "rebuild", "large", "start"];

/// For relay and projector to catch up with a seed.
const PATIENCE: Duration = Duration::from_mins(40);
/// On a nearly empty ledger, so that there is something to read.
const FIRST_TASKS: u64 = 8_000;
/// What an event takes on disk at most: in PostgreSQL and NATS together, with some room.
const EVENT_BYTES: u64 = 3_500;
/// Of a seed, before relay and projector are held up by it.
const MAX_VERSION: u64 = 1_000;

/// What was measured is told, whatever comes after it.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<(), BenchError> {
    let mut levels = Levels::default();
    let outcome = stages(bench, report, &mut levels).await;
    levels.tell(report);
    outcome
}

/// Stage by stage.
async fn stages(bench: &Bench, report: &mut Report, levels: &mut Levels) -> Result<(), BenchError> {
    room(bench.servers.folder(), bench.settings.events)?;
    bench.yardstick.fresh().await?;
    if bench.settings.wants("growth") {
        let outcome = empty(bench, levels).await;
        report.settle("growth", outcome)?;
    }
    let mut ledger = bench.servers.ledger("grown").await?;
    let (tasks, events) = (bench.settings.tasks(), bench.settings.events);
    let wants = |name: &str| bench.settings.wants(name);
    let (wants_large, wants_tasks) = (wants("large") || wants("start"), wants("list") || wants("rebuild"));
    for stage in bench.settings.stages() {
        if !(wants("growth") || wants_large || wants_tasks && stage <= tasks) {
            break;
        }
        let skipped = !wants("growth") && stage != events && !(wants_tasks && stage == tasks);
        if skipped {
            continue;
        }
        ledger = at_stage(bench, report, levels, ledger, stage).await?;
        if stage == tasks && wants("rebuild") {
            let outcome = rebuild::measure(bench, report, &ledger).await;
            report.settle("rebuild", outcome)?;
        }
        if stage == events && wants("large") {
            let outcome = large::measure(bench, report, &ledger).await;
            report.settle("large", outcome)?;
        }
        if stage == events && wants("start") {
            let outcome = start::measure(bench, report, &ledger).await;
            report.settle("start", outcome)?;
        }
    }
    ledger.end(&bench.servers).await
}

/// Measures creates without any event before them, then reads of the first few tasks: each on a ledger of its own.
async fn empty(bench: &Bench, levels: &mut Levels) -> Result<(), BenchError> {
    eprintln!("\n== no events");
    let stand = grow(bench, levels, bench.servers.ledger("empty").await?, 0).await?;
    level::creates(bench, &stand, levels).await?;
    stand.end(&bench.servers).await?;
    let stand = grow(bench, levels, bench.servers.ledger("first").await?, FIRST_TASKS).await?;
    level::reads(bench, &stand, levels).await?;
    stand.end(&bench.servers).await
}

/// Seeds, and measures what needs the program running.
async fn at_stage(
    bench: &Bench,
    report: &mut Report,
    levels: &mut Levels,
    ledger: Ledger,
    stage: u64,
) -> Result<Ledger, BenchError> {
    eprintln!("\n== {stage} events");
    let is_growth = bench.settings.wants("growth");
    let stand = grow(bench, levels, ledger, stage).await?;
    if is_growth {
        let outcome = level::creates(bench, &stand, levels).await;
        report.settle("growth", outcome)?;
    }
    if is_growth {
        let outcome = level::reads(bench, &stand, levels).await;
        report.settle("growth", outcome)?;
    }
    if stage == bench.settings.tasks() && bench.settings.wants("list") {
        let outcome = list::measure(bench, report, &stand).await;
        report.settle("list", outcome)?;
    }
    stand.stop().await
}

/// Brings the log to so many events and starts the program.
async fn grow(bench: &Bench, levels: &mut Levels, ledger: Ledger, events: u64) -> Result<Stand, BenchError> {
    let mut seeder = Seeder::open(&ledger).await?;
    let before = seeder.head();
    let wanted = events.saturating_sub(before);
    let begun = std::time::Instant::now();
    if events <= bench.settings.tasks().max(FIRST_TASKS) {
        seeder.create(wanted).await?;
    } else {
        patches(bench, &mut seeder, events).await?;
    }
    let seeding = begun.elapsed();
    let tasks = seeder.tasks();
    let head = seeder.finish().await?;
    let (stand, caught_up) = Stand::on(&bench.servers, ledger, tasks, PATIENCE).await?;
    let mut connection = stand.ledger.connect().await?;
    tidy(&mut connection, "vacuum (analyze) \"VtidLedger\"").await?;
    connection.close().await?;
    levels.begin(head, head - before, seeding, caught_up);
    Ok(stand)
}

/// First creates what is missing of the tasks, then patches all of them, over and over.
async fn patches(bench: &Bench, seeder: &mut Seeder, events: u64) -> Result<(), BenchError> {
    let there: u64 = seeder.seeded().await?.iter().map(|tasks| tasks.count).sum();
    let missing = bench.settings.tasks().saturating_sub(there);
    seeder.create(missing.min(events.saturating_sub(seeder.head()))).await?;
    let ranges: Vec<Tasks> = seeder.seeded().await?;
    for version in 2..=MAX_VERSION {
        for tasks in &ranges {
            let left = events.saturating_sub(seeder.head());
            if left == 0 {
                return Ok(());
            }
            seeder.patch(*tasks, version..=version, left).await?;
        }
    }
    Err(BenchError::Seed { wanted: events, found: seeder.head() })
}

/// Looks whether the disk has room.
fn room(folder: &Path, events: u64) -> Result<(), BenchError> {
    let needed = events * EVENT_BYTES;
    let found = nix::sys::statvfs::statvfs(folder)
        .map_err(|error| BenchError::File { path: folder.to_path_buf(), error: error.into() })?;
    let free = found.blocks_available() * found.fragment_size();
    if free >= needed {
        return Ok(());
    }
    Err(BenchError::NoRoom { needed, free, folder: folder.to_path_buf() })
}
