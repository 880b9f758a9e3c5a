//! What the peers in Rust share: arguments, a load, the line of figures. The same as `load.mjs`.

use std::fmt::Display;
use std::time::{Duration, Instant};

use clap::Parser;
use serde::Serialize;
use serde_json::Value;
use tokio::task::{JoinError, JoinSet};
use uuid::Uuid;

const RECORD: &str = include_str!("../../record.json");

/// The arguments of every peer.
#[derive(Debug, Parser)]
pub struct Options {
    /// The address of an empty database.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database: String,
    /// How many append at the same time.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub clients: u32,
    /// For how long.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
    /// The pool's size, if not the peer's usual one.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub connections: Option<u32>,
}

/// An event as the ledger records it, of a task of its own.
#[derive(Debug, Clone)]
pub struct Record {
    /// The task's id.
    pub subject: String,
    /// The event's type.
    pub kind: &'static str,
    /// The whole record.
    pub body: Value,
}

impl Record {
    fn like(template: &Value) -> Self {
        let mut body = template.clone();
        let subject = Uuid::new_v4().to_string();
        body["id"] = Uuid::new_v4().to_string().into();
        body["subject"] = subject.clone().into();
        Self { subject, kind: "vtid-created", body }
    }
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// `record.json` is not JSON, or the figures cannot be printed.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// A client panicked.
    #[error(transparent)]
    Client(#[from] JoinError),
    /// The database does not hold what was appended.
    #[error("{appended} appended, {failed} failed, but {stored} rows in the database")]
    Stored {
        /// How many appends were answered with success.
        appended: usize,
        /// How many were not.
        failed: usize,
        /// How many rows there are.
        stored: i64,
    },
}

/// What a load came to. The failed ones are in the latencies too.
#[derive(Debug)]
pub struct Figures {
    latencies: Vec<Duration>,
    failed: usize,
    elapsed: Duration,
}

#[derive(Serialize)]
struct Line<'a> {
    name: String,
    version: &'a str,
    appended: usize,
    failed: usize,
    seconds: f64,
    p50_ms: f64,
    p99_ms: f64,
}

/// Has every client append one event after the other, until the time is over and the last one is answered.
///
/// # Errors
/// When a client panics, or `record.json` is not JSON. A failed append is no error: it is counted.
pub async fn drive<A, F, E>(options: &Options, append: A) -> Result<Figures, LoadError>
where
    A: Fn(Record) -> F + Clone + Send + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Display + Send + 'static,
{
    let template: Value = serde_json::from_str(RECORD)?;
    let start = Instant::now();
    let end = start + Duration::from_secs(options.seconds);
    let mut clients = JoinSet::new();
    for _ in 0..options.clients {
        clients.spawn(client(append.clone(), template.clone(), end));
    }
    let mut figures = Figures { latencies: Vec::new(), failed: 0, elapsed: Duration::ZERO };
    while let Some(done) = clients.join_next().await {
        let (latencies, failed) = done?;
        figures.latencies.extend(latencies);
        figures.failed += failed;
    }
    figures.elapsed = start.elapsed();
    figures.latencies.sort_unstable();
    Ok(figures)
}

async fn client<A, F, E>(append: A, template: Value, end: Instant) -> (Vec<Duration>, usize)
where
    A: Fn(Record) -> F,
    F: Future<Output = Result<(), E>>,
    E: Display,
{
    let (mut latencies, mut failed) = (Vec::new(), 0);
    loop {
        let sent = Instant::now();
        if sent >= end {
            return (latencies, failed);
        }
        if let Err(error) = append(Record::like(&template)).await {
            if failed == 0 {
                eprintln!("A client's first failed append: {error}");
            }
            failed += 1;
        }
        latencies.push(sent.elapsed());
    }
}

impl Figures {
    /// Prints the line, if the `stored` rows bear it out. `lock` is the peer's `Cargo.lock`, which tells the version of
    /// its package `name`.
    ///
    /// # Errors
    /// When nothing was appended, or there are not exactly as many rows.
    pub fn report(&self, name: &str, lock: &str, stored: i64) -> Result<(), LoadError> {
        let appended = self.latencies.len() - self.failed;
        if appended == 0 || i64::try_from(appended) != Ok(stored) {
            return Err(LoadError::Stored { appended, failed: self.failed, stored });
        }
        let version = version(lock, name);
        let line = Line {
            name: format!("{name} {version}"),
            version,
            appended,
            failed: self.failed,
            seconds: rounded(self.elapsed.as_secs_f64()),
            p50_ms: self.percentile_ms(50),
            p99_ms: self.percentile_ms(99),
        };
        println!("{}", serde_json::to_string(&line)?);
        Ok(())
    }

    fn percentile_ms(&self, percent: usize) -> f64 {
        let place = (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
        rounded(self.latencies.get(place).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0))
    }
}

fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

fn version<'a>(lock: &'a str, package: &str) -> &'a str {
    let (_, rest) = lock.split_once(&format!("name = \"{package}\"\nversion = \"")).unwrap_or_default();
    rest.split('"').next().unwrap_or_default()
}
