//! The load on the ledger: `wrk`, a real HTTP client.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::BenchError;
use crate::figures::{Figure, as_f64};
use crate::seed::{STATUSES, TENANTS, Tasks};

/// What every create asks for, the yardstick's row and the peers' events hold as much.
pub(crate) const CREATE: &str = include_str!("wrk/create.json");

/// What is asked of the ledger.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Load<'a> {
    /// `POST /vtid/create`, by the callers with these tokens in turn; by nobody in particular if there are none.
    Create { tokens: &'a [String] },
    /// `GET /vtid/{vtid}`, at random of these.
    Get { tasks: Tasks },
    /// `PATCH /vtid/{vtid}`, of these in turn.
    Patch { tasks: Tasks },
    /// `GET /vtid/list`, 50 by tenant and status, at random of what the seed has.
    List,
}

/// A finished run: its figures, and how many requests were answered with 200.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) figure: Figure,
    pub(crate) answered: u64,
}

/// How many threads a load generator uses.
pub(crate) fn threads(connections: u32) -> u32 {
    connections.min(2)
}

/// Runs `load` for `time` over `connections`. A run with any other answer than 200, or a broken connection, is an error.
pub(crate) async fn run(
    base: &str,
    load: Load<'_>,
    connections: u32,
    time: Duration,
) -> Result<Run, BenchError> {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/wrk");
    let threads = threads(connections).to_string();
    let mut command = Command::new("wrk");
    command.args(["--timeout", "10s", "--threads", &threads]);
    command.args(["--connections", &connections.to_string()]);
    command.args(["--duration", &format!("{}s", time.as_secs())]);
    command.env("BENCH_BODY", CREATE).env("BENCH_DONE", scripts.join("done.lua"));
    let (script, arguments) = match load {
        Load::Create { tokens } => {
            command.env("BENCH_TOKENS", tokens.join(" "));
            ("create.lua", Vec::new())
        }
        Load::Get { tasks } => ("get.lua", tasks.arguments()),
        Load::Patch { tasks } => ("patch.lua", [tasks.arguments(), vec![threads]].concat()),
        Load::List => {
            let tenants = [TENANTS.start(), TENANTS.end()].map(u64::to_string);
            (
                "list.lua",
                tenants.into_iter().chain(STATUSES.map(|status| status.as_str().to_owned())).collect(),
            )
        }
    };
    command.arg("--script").arg(scripts.join(script)).args([base, "--"]).args(arguments);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true).output().await;
    let output = output.map_err(|error| BenchError::Program { program: "wrk".into(), error })?;
    let text = String::from_utf8_lossy(&output.stdout);
    let unclear = || BenchError::Output { program: "wrk".to_owned(), output: text.clone().into_owned() };
    if !output.status.success() {
        return Err(unclear());
    }
    parse(&text).ok_or_else(unclear)?
}

/// Reads the line that the scripts print. Their times are microseconds; wrk counts answers of 400 and more as errors,
/// and the ledger has no others beside 200.
fn parse(text: &str) -> Option<Result<Run, BenchError>> {
    let line = text.lines().find_map(|line| line.strip_prefix("BENCH "))?;
    let numbers = line.split(' ').map(|number| number.parse().ok()).collect::<Option<Vec<u64>>>()?;
    let &[answered, elapsed, connect, read, write, status, timeout, p50, p99] = numbers.as_slice() else {
        return None;
    };
    let failed = connect + read + write + status + timeout;
    if failed > 0 || answered == 0 {
        return Some(Err(BenchError::Answers { line: line.to_owned() }));
    }
    let rate = as_f64(answered) / Duration::from_micros(elapsed).as_secs_f64();
    let figure = Figure { rate, p50: Duration::from_micros(p50), p99: Duration::from_micros(p99) };
    Some(Ok(Run { figure, answered }))
}
