//! Resident memory of the program: when nobody asks for anything, and under its top load.

use std::time::Duration;

use crate::proc::memory;
use crate::report::Report;
use crate::row::{Goal, Row, Value};
use crate::stand::Stand;
use crate::{Bench, BenchError, MANY};

const TASKS: u64 = 10_000;
/// What a start leaves behind is given back by then, if ever.
const REST: Duration = Duration::from_secs(3);

/// By Linux' own count.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<(), BenchError> {
    let stand = Stand::new(bench, "memory", TASKS).await?.restart(&bench.servers).await?;
    tokio::time::sleep(REST).await;
    let pid = stand.service.pid()?;
    let idle = memory(pid)?.now;
    for _ in 0..bench.settings.rounds {
        stand.creates(MANY, bench.settings.run).await?;
        stand.patches(stand.tasks, MANY, bench.settings.run).await?;
        stand.gets(MANY, bench.settings.run).await?;
        stand.lists(MANY, bench.settings.run).await?;
    }
    let loaded = memory(pid)?.most;
    let limit = |megabytes: u64| Goal::NoMoreThan(Value::Bytes(megabytes * 1_000_000));
    report.row(Row::alone("resident memory, idle", "10,000 tasks", Value::Bytes(idle), limit(40)));
    let scale = "the most ever, creates, patches, GETs, lists at 64";
    report.row(Row::alone("resident memory under top load", scale, Value::Bytes(loaded), limit(200)));
    stand.end(&bench.servers).await
}
