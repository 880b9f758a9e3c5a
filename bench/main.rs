//! Creates and GETs a second of the real program, side by side with `pgbench` on the same PostgreSQL: `make bench`.
//!
//! `BENCH_SECONDS` (8), `BENCH_ROUNDS` (3) and `BENCH_SNAPSHOT_SECONDS` (60) make it shorter or longer.

mod figures;
mod pgbench;
mod servers;
mod table;
mod tokens;
mod wrk;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::signal::unix::{SignalKind, signal};

use figures::{Figure, median};
use pgbench::{Work, Yardstick};
use servers::{Servers, Service};
use table::{Circumstances, Line};
use wrk::Load;

/// The many connections.
const MANY: u32 = 64;
/// Tasks that GETs read; the yardstick's script prints a number in four digits.
const TASKS: std::ops::RangeInclusive<u32> = 100..=9_999;

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
enum BenchError {
    #[error("{program}: {error} (`make bench-deps` installs what is missing)")]
    Program { program: PathBuf, error: std::io::Error },
    #[error("{path}: {error}")]
    File { path: PathBuf, error: std::io::Error },
    #[error("{program} did not do its work: {output}")]
    Output { program: &'static str, output: String },
    #[error(
        "not all answers were 200 (requests, µs, errors of connect, read, write, status, timeout, p50, p99): {line}"
    )]
    Answers { line: String },
    #[error("{answered} creates were answered, and the log grew by {grown}")]
    Log { answered: u64, grown: i64 },
    #[error("{name} has to be a number from 1 to 3600")]
    Setting { name: &'static str },
    #[error("the warm-up did not create the tasks to read: {0}")]
    WarmUp(String),
    #[error("no rounds")]
    NoRounds,
    #[error("interrupted")]
    Interrupted,
    #[error(transparent)]
    Servers(#[from] vtid_ledger::dev::DevError),
    #[error(transparent)]
    Migration(#[from] vtid_ledger::database::DatabaseError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Token(#[from] jsonwebtoken::errors::Error),
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    #[error(transparent)]
    Nats(#[from] Box<async_nats::ConnectError>),
}

struct Settings {
    run: Duration,
    rounds: u64,
    snapshot: Duration,
}

impl Settings {
    fn read() -> Result<Self, BenchError> {
        let number = |name, default| match std::env::var(name) {
            Err(_) => Ok(default),
            Ok(text) => match text.parse::<u64>() {
                Ok(number @ 1..=3600) => Ok(number),
                _ => Err(BenchError::Setting { name }),
            },
        };
        Ok(Self {
            run: Duration::from_secs(number("BENCH_SECONDS", 8)?),
            rounds: number("BENCH_ROUNDS", 3)?,
            snapshot: Duration::from_secs(number("BENCH_SNAPSHOT_SECONDS", 60)?),
        })
    }
}

/// How many threads a load generator uses.
fn threads(connections: u32) -> u32 {
    connections.min(2)
}

#[tokio::main]
async fn main() -> ExitCode {
    match bench().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Starts, measures, and ends everything that was started, whatever came of it.
async fn bench() -> Result<(), BenchError> {
    let settings = Settings::read()?;
    let servers = Servers::start().await?;
    // Dropping the measurement ends the programs that it has started.
    let measured = tokio::select! {
        measured = measure(&settings, &servers) => measured,
        () = interrupted() => Err(BenchError::Interrupted),
    };
    servers.stop().await?;
    let page = measured?;
    println!("\n{page}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/RESULTS.md");
    std::fs::write(&path, page).map_err(|error| BenchError::File { path, error })
}

async fn interrupted() {
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
        // Then they end the process, as ever, and the guards end the servers.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

async fn measure(settings: &Settings, servers: &Servers) -> Result<String, BenchError> {
    let circumstances = Circumstances::ask(servers).await?;
    let service = Service::start(servers, None).await?;
    let (prefix, count) = warm_up(&service).await?;
    let tasks = (prefix.as_str(), count);
    let (ledger, own) = (servers.ledger_url(), servers.yardstick_url());
    let yardstick = Yardstick::prepare(&ledger, &own, servers.folder(), tasks).await?;
    let subject = Subject { service: &service, database: &ledger, tasks, tokens: &[] };
    let mut lines = Vec::from(beside_pgbench(settings, &subject, &yardstick).await?);
    lines.extend(beside_snapshot(settings, &subject).await?);
    service.stop().await?;
    lines.push(tokens::compare(settings, servers, tasks).await?);
    Ok(table::page(settings, &circumstances, yardstick.body_bytes(), &lines))
}

/// Creates tasks for some seconds, and says which GETs can read: their VTIDs' prefix, and how many.
async fn warm_up(service: &Service) -> Result<(String, u32), BenchError> {
    wrk::run(service.base(), Load::Create { tokens: &[] }, MANY, Duration::from_secs(3)).await?;
    let body = r#"{"taskFamily":"DEPLOY","taskType":"service","description":"the last","tenant":"system"}"#;
    let client = vtid_ledger::fetch::client().no_proxy().build()?;
    let request = client.post(format!("{}/vtid/create", service.base()));
    let answer = request.header("content-type", "application/json").body(body).send().await?;
    let answer: serde_json::Value = answer.json().await?;
    let last = answer["vtid"].as_str().and_then(|vtid| vtid.rsplit_once('-'));
    let counted = last.and_then(|(prefix, number)| Some((format!("{prefix}-"), number.parse::<u32>().ok()?)));
    match counted {
        Some((prefix, number)) if number >= *TASKS.start() => Ok((prefix, number.min(*TASKS.end()))),
        _ => Err(BenchError::WarmUp(answer.to_string())),
    }
}

/// What is measured.
struct Subject<'a> {
    service: &'a Service,
    database: &'a str,
    tasks: (&'a str, u32),
    tokens: &'a [String],
}

impl Subject<'_> {
    async fn creates(&self, connections: u32, time: Duration) -> Result<Figure, BenchError> {
        let before = self.head().await?;
        let run =
            wrk::run(self.service.base(), Load::Create { tokens: self.tokens }, connections, time).await?;
        let grown = self.head().await? - before;
        // More may be in: requests that were under way when the time was up.
        if i64::try_from(run.answered).is_ok_and(|answered| grown < answered) {
            return Err(BenchError::Log { answered: run.answered, grown });
        }
        self.service.forget_log()?;
        Ok(run.figure)
    }

    async fn gets(&self, connections: u32, time: Duration) -> Result<Figure, BenchError> {
        let (prefix, count) = self.tasks;
        let run = wrk::run(self.service.base(), Load::Get { prefix, count }, connections, time).await?;
        self.service.forget_log()?;
        Ok(run.figure)
    }

    async fn head(&self) -> Result<i64, BenchError> {
        let mut connection = PgConnection::connect(self.database).await?;
        let head = sqlx::query_scalar("select coalesce(max(position), 0) from ledger.event");
        let head = head.fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(head)
    }
}

async fn beside_pgbench(
    settings: &Settings,
    subject: &Subject<'_>,
    yardstick: &Yardstick,
) -> Result<[Line; 3], BenchError> {
    let time = settings.run;
    let mut runs: [(Vec<Figure>, Vec<Figure>); 3] = Default::default();
    for round in 1..=settings.rounds {
        eprintln!("round {round} of {}", settings.rounds);
        for ((ledger, rows), clients) in runs.iter_mut().zip([MANY, 1]) {
            ledger.push(told("creates", subject.creates(clients, time).await?));
            rows.push(told("pgbench inserts", yardstick.run(Work::Insert, clients, time).await?));
        }
        runs[2].0.push(told("GETs", subject.gets(MANY, time).await?));
        runs[2].1.push(told("pgbench selects", yardstick.run(Work::Select, MANY, time).await?));
    }
    let line = |what, against, (ledger, rows): &(Vec<Figure>, Vec<Figure>)| line(what, ledger, against, rows);
    Ok([
        line("creates, 64 connections", "pgbench inserts, 64 clients", &runs[0])?,
        line("creates, 1 connection", "pgbench inserts, 1 client", &runs[1])?,
        line("GET one, 64 connections", "pgbench selects, 64 clients", &runs[2])?,
    ])
}

/// Old row versions can't be cleaned up while a snapshot is open that could see them: who updates rows gets slower.
async fn beside_snapshot(settings: &Settings, subject: &Subject<'_>) -> Result<[Line; 2], BenchError> {
    eprintln!("without an open snapshot");
    let (creates, gets) = both(settings, subject).await?;
    let mut connection = PgConnection::connect(subject.database).await?;
    sqlx::raw_sql("begin isolation level repeatable read; select count(*) from ledger.identity")
        .execute(&mut connection)
        .await?;
    eprintln!("beside an open snapshot, after {} s of creates", settings.snapshot.as_secs());
    subject.creates(MANY, settings.snapshot).await?;
    let (creates_beside, gets_beside) = both(settings, subject).await?;
    sqlx::raw_sql("commit").execute(&mut connection).await?;
    connection.close().await?;
    Ok([
        line("creates, 64 connections, beside an open snapshot", &creates_beside, "without it", &creates)?,
        line("GET one, 64 connections, beside an open snapshot", &gets_beside, "without it", &gets)?,
    ])
}

async fn both(settings: &Settings, subject: &Subject<'_>) -> Result<(Vec<Figure>, Vec<Figure>), BenchError> {
    let (mut creates, mut gets) = (Vec::new(), Vec::new());
    for _ in 0..settings.rounds {
        creates.push(told("creates", subject.creates(MANY, settings.run).await?));
        gets.push(told("GETs", subject.gets(MANY, settings.run).await?));
    }
    Ok((creates, gets))
}

fn told(what: &str, figure: Figure) -> Figure {
    eprintln!("  {what}: {:.0}/s", figure.rate);
    figure
}

fn line(
    what: &'static str,
    ledger: &[Figure],
    against: &'static str,
    rows: &[Figure],
) -> Result<Line, BenchError> {
    let (Some(ledger), Some(yardstick)) = (median(ledger), median(rows)) else {
        return Err(BenchError::NoRounds);
    };
    Ok(Line { what, ledger, against, yardstick })
}
