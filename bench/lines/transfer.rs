//! `audit export` and `audit import`: how fast, and whether their memory stays flat while the ledger grows.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::Command;

use super::audit::{digest, write};
use crate::figures::rate;
use crate::proc::memory;
use crate::report::Report;
use crate::row::{Against, Goal, Row, Value};
use crate::servers::program;
use crate::{Bench, BenchError};

/// How often the memory is looked at.
const PAUSE: Duration = Duration::from_millis(5);

/// One run of the program.
struct Ran {
    time: Duration,
    memory: u64,
}

/// Both ways of so many events.
struct Transfer {
    events: u64,
    import: Ran,
    export: Ran,
}

/// A ledger, and one of ten times as many events.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<(), BenchError> {
    let events = bench.settings.by_scale(200_000, 1_000_000);
    let small = there_and_back(bench, events / 10).await?;
    let large = there_and_back(bench, events).await?;
    let (scale, against) = (format!("{events} events"), format!("{} events", events / 10));
    for (name, of) in [("import", &large.import), ("export", &large.export)] {
        let value = Value::Rate(rate(large.events, of.time));
        report.row(Row::alone(&format!("`audit {name}`, events"), &scale, value, Goal::None));
    }
    for (name, few, many) in
        [("import", &small.import, &large.import), ("export", &small.export, &large.export)]
    {
        let what = format!("the most memory of `audit {name}`");
        let row = Row::alone(&what, &scale, Value::Bytes(many.memory), Goal::AtMost(1.5));
        let against = Against { name: against.clone(), value: Value::Bytes(few.memory) };
        report.row(Row { against: Some(against), ..row });
    }
    Ok(())
}

/// An export into an empty ledger, and out of it again: the same bytes, and so the same root.
async fn there_and_back(bench: &Bench, events: u64) -> Result<Transfer, BenchError> {
    let folder = bench.servers.folder();
    let (given, back) = (folder.join("transfer-in.ndjson"), folder.join("transfer-out.ndjson"));
    let written = given.clone();
    tokio::task::spawn_blocking(move || write(&written, events)).await??;
    let ledger = bench.servers.ledger("transfer").await?;
    let import = run(ledger.owner_url(), &["audit", "import"], &given).await?;
    let export = run(ledger.owner_url(), &["audit", "export", "--out"], &back).await?;
    eprintln!("  {events} events: in {:.1?}, out {:.1?}", import.time, export.time);
    let same = same(given.clone(), back.clone()).await?;
    for path in [&given, &back] {
        std::fs::remove_file(path).map_err(|error| BenchError::File { path: path.clone(), error })?;
    }
    ledger.end(&bench.servers).await?;
    if same {
        return Ok(Transfer { events, import, export });
    }
    let output = "other bytes than those that were imported".to_owned();
    Err(BenchError::Output { program: "audit export".to_owned(), output })
}

async fn run(database: &str, arguments: &[&str], file: &Path) -> Result<Ran, BenchError> {
    let lost = |error| BenchError::Program { program: program().to_owned(), error };
    let begun = Instant::now();
    let mut child = Command::new(program())
        .args(arguments)
        .arg(file)
        .env_clear()
        .env("DATABASE_URL", database)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(lost)?;
    let mut most = 0;
    while let (Some(pid), None) = (child.id(), child.try_wait().map_err(lost)?) {
        // One that has just ended has none.
        most = memory(pid).map_or(most, |memory| memory.most.max(most));
        tokio::time::sleep(PAUSE).await;
    }
    let output = child.wait_with_output().await.map_err(lost)?;
    if output.status.success() {
        return Ok(Ran { time: begun.elapsed(), memory: most });
    }
    let output_text = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(BenchError::Output { program: arguments.join(" "), output: output_text })
}

/// Whether two files have the same bytes.
async fn same(left: PathBuf, right: PathBuf) -> Result<bool, BenchError> {
    let compare = move || {
        let digest =
            |path: &PathBuf| digest(path).map_err(|error| BenchError::File { path: path.clone(), error });
        Ok::<bool, BenchError>(digest(&left)? == digest(&right)?)
    };
    tokio::task::spawn_blocking(compare).await?
}
