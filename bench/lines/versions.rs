//! Whether a task with a long past costs more than one with a short one.

use std::time::{Duration, Instant};

use reqwest::header::CONTENT_TYPE;

use crate::figures::middle_time;
use crate::load::CREATE;
use crate::report::Report;
use crate::row::{Goal, Row};
use crate::seed::{Seeder, Tasks};
use crate::stand::Stand;
use crate::{Bench, BenchError};

/// The patches that a task has behind it.
const LONG: u64 = 9_999;
const SHORT: u64 = 9;
/// How far apart snapshots of a task are: the long pasts end at every distance from one.
const APART: u64 = 64;
/// Before anything is timed, so that connections are there.
const WARM_UP: u64 = 20;
const PATIENCE: Duration = Duration::from_mins(10);

/// The times of patches of tasks with a long past, and of tasks with a short one.
#[derive(Default)]
struct Times {
    long: Vec<Duration>,
    short: Vec<Duration>,
}

/// On one connection; cold is the first patch of each task after a start of the program, warm the next one.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<(), BenchError> {
    let count = bench.settings.by_scale(10, 30);
    let ledger = bench.servers.ledger("versions").await?;
    let mut seeder = Seeder::open(&ledger).await?;
    let (long, short) = (seeder.create(count).await?, seeder.create(count).await?);
    seeder.patch(long, 2..=LONG + 1, u64::MAX).await?;
    seeder.patch(short, 2..=SHORT + 1, u64::MAX).await?;
    for index in 0..count {
        let further = index * APART / count;
        seeder.patch(long.at(index), LONG + 2..=LONG + 1 + further, u64::MAX).await?;
    }
    seeder.finish().await?;
    let (mut stand, _) = Stand::on(&bench.servers, ledger, short, PATIENCE).await?;
    let (mut cold, mut warm) = (Times::default(), Times::default());
    for _ in 0..bench.settings.rounds {
        stand = stand.restart(&bench.servers).await?;
        warm_up(&stand).await?;
        for times in [&mut cold, &mut warm] {
            for index in 0..count {
                times.long.push(patch(&stand, long, index).await?);
                times.short.push(patch(&stand, short, index).await?);
            }
        }
    }
    let scale = format!("{count} tasks of each kind, 1 connection");
    for (what, times) in [("patch number 10,000, cold", cold), ("patch number 10,000, warm", warm)] {
        let (long, short) = (middle_time(&times.long)?, middle_time(&times.short)?);
        report.row(Row::times(what, &scale, long, ("patch number 10", short), Goal::AtMost(1.5)));
    }
    stand.end(&bench.servers).await
}

async fn warm_up(stand: &Stand) -> Result<(), BenchError> {
    for _ in 0..WARM_UP {
        let request = stand.service.client().post(format!("{}/vtid/create", stand.service.base()));
        let request = request.header(CONTENT_TYPE, "application/json").body(CREATE);
        request.send().await?.error_for_status()?.bytes().await?;
    }
    Ok(())
}

async fn patch(stand: &Stand, tasks: Tasks, index: u64) -> Result<Duration, BenchError> {
    let request =
        stand.service.client().patch(format!("{}/vtid/{}", stand.service.base(), tasks.vtid(index)));
    let body = r#"{"metadata":{"attempt":1}}"#;
    let request = request.header(CONTENT_TYPE, "application/json").body(body);
    let begun = Instant::now();
    request.send().await?.error_for_status()?.bytes().await?;
    Ok(begun.elapsed())
}
