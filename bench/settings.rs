//! What is measured, and for how long: by environment.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::BenchError;

/// Every line, or group of lines, by the name that `BENCH_ONLY` takes.
pub(crate) const NAMES: [&str; 20] = [
    "creates",
    "patches",
    "gets",
    "oasis",
    "versions",
    "time_travel",
    "cpu",
    "memory",
    "tokens",
    "replicas",
    "disk",
    "snapshot",
    "audit_verify",
    "audit_transfer",
    "peers",
    "growth",
    "list",
    "rebuild",
    "large",
    "start",
];

/// How large everything is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Minutes; smaller than what the goals ask for.
    Quick,
    /// What the goals ask for.
    Full,
}

/// What is measured, and for how long.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) scale: Scale,
    /// Of one run.
    pub(crate) run: Duration,
    pub(crate) rounds: u64,
    /// How long a snapshot is open under load before what is beside it is measured.
    pub(crate) snapshot: Duration,
    /// Events of the largest log; a tenth of them create a task.
    pub(crate) events: u64,
    only: BTreeSet<String>,
}

impl Settings {
    /// Reads the environment.
    pub(crate) fn read() -> Result<Self, BenchError> {
        let scale = match std::env::var("BENCH_SCALE").as_deref() {
            Err(_) | Ok("quick") => Scale::Quick,
            Ok("full") => Scale::Full,
            Ok(_) => return Err(BenchError::Setting { name: "BENCH_SCALE", form: "quick or full" }),
        };
        let by_scale = |quick, full| if scale == Scale::Quick { quick } else { full };
        let seconds = "a number from 1 to 3600";
        Ok(Self {
            scale,
            run: Duration::from_secs(number("BENCH_SECONDS", by_scale(3, 8), 1..=3_600, seconds)?),
            rounds: number("BENCH_ROUNDS", 3, 1..=100, "a number from 1 to 100")?,
            snapshot: Duration::from_secs(number(
                "BENCH_SNAPSHOT_SECONDS",
                by_scale(15, 120),
                1..=3_600,
                seconds,
            )?),
            events: number(
                "BENCH_EVENTS",
                by_scale(100_000, 10_000_000),
                100_000..=100_000_000,
                "a number from 100000 to 100000000",
            )?,
            only: only()?,
        })
    }

    /// Whether a line is to be measured.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.contains(name)
    }

    /// Whether it is every line.
    pub(crate) fn wants_all(&self) -> bool {
        self.only.is_empty()
    }

    /// How many events the growing log has whenever it is measured: ten times as many each time.
    pub(crate) fn stages(&self) -> Vec<u64> {
        let divisors: &[u64] = if self.scale == Scale::Quick { &[10, 1] } else { &[100, 10, 1] };
        divisors.iter().map(|divisor| self.events / divisor).collect()
    }

    /// Tasks of the largest log.
    pub(crate) fn tasks(&self) -> u64 {
        self.events / 10
    }

    /// The first for a quick run, the second for a full one.
    pub(crate) fn by_scale<T>(&self, quick: T, full: T) -> T {
        if self.scale == Scale::Quick { quick } else { full }
    }
}

fn number(
    name: &'static str,
    default: u64,
    allowed: std::ops::RangeInclusive<u64>,
    form: &'static str,
) -> Result<u64, BenchError> {
    let Ok(text) = std::env::var(name) else { return Ok(default) };
    let given = text.parse().ok().filter(|given| allowed.contains(given));
    given.ok_or(BenchError::Setting { name, form })
}

fn only() -> Result<BTreeSet<String>, BenchError> {
    let text = std::env::var("BENCH_ONLY").unwrap_or_default();
    let names: BTreeSet<String> =
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    match names.iter().find(|name| !NAMES.contains(&name.as_str())) {
        Some(name) => Err(BenchError::NoSuchLine { name: name.clone(), known: NAMES.join(", ") }),
        None => Ok(names),
    }
}
