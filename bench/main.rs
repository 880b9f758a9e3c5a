//! What the ledger does a second, side by side with yardsticks on the same servers: `make bench`, `make bench-full`.
//!
//! `BENCH_SCALE=quick|full`, `BENCH_SECONDS` of a run, `BENCH_ROUNDS`, `BENCH_SNAPSHOT_SECONDS`, `BENCH_EVENTS` of the
//! largest log; `BENCH_ONLY=creates,list` measures these lines alone and prints them (see [`settings::NAMES`]).

mod bare;
mod circumstances;
mod error;
mod figures;
mod grown;
mod lines;
mod load;
mod peers;
mod pgbench;
mod proc;
mod records;
mod report;
mod row;
mod seed;
mod servers;
mod service;
mod settings;
mod sizes;
mod stand;

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use circumstances::Circumstances;
use error::BenchError;
use pgbench::Yardstick;
use report::Report;
use servers::Servers;
use settings::Settings;

/// The many connections.
const MANY: u32 = 64;

/// What every line needs.
struct Bench {
    settings: Settings,
    servers: Servers,
    yardstick: Yardstick,
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = if bare::is_asked() { bare::serve().await } else { bench().await };
    match outcome {
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
    let yardstick = Yardstick::prepare(&servers).await?;
    let mut report = Report::new(&settings, Circumstances::ask(&servers).await?);
    let bench = Bench { settings, servers, yardstick };
    // Dropping the measurement ends the programs that it has started.
    let measured = tokio::select! {
        measured = measure(&bench, &mut report) => measured,
        () = interrupted() => Err(BenchError::Interrupted),
    };
    println!("\n{}", report.page());
    bench.servers.stop().await?;
    measured?;
    report.verdict()
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

/// The cheap lines first. Whatever fails is told, and the rest goes on.
async fn measure(bench: &Bench, report: &mut Report) -> Result<(), BenchError> {
    for name in settings::NAMES {
        if grown::NAMES.contains(&name) || !bench.settings.wants(name) {
            continue;
        }
        eprintln!("\n== {name}");
        let outcome = match name {
            "creates" => lines::creates::measure(bench, report).await,
            "patches" => lines::patches::measure(bench, report).await,
            "gets" => lines::gets::measure(bench, report).await,
            "oasis" => lines::oasis::measure(bench, report).await,
            "versions" => lines::versions::measure(bench, report).await,
            "time_travel" => lines::time_travel::measure(bench, report).await,
            "cpu" => lines::cpu::measure(bench, report).await,
            "memory" => lines::memory::measure(bench, report).await,
            "tokens" => lines::tokens::measure(bench, report).await,
            "replicas" => lines::replicas::measure(bench, report).await,
            "disk" => lines::disk::measure(bench, report).await,
            "snapshot" => lines::snapshot::measure(bench, report).await,
            "audit_verify" => lines::audit::measure(bench, report).await,
            "audit_transfer" => lines::transfer::measure(bench, report).await,
            "peers" => peers::measure(bench, report).await,
            other => {
                Err(BenchError::NoSuchLine { name: other.to_owned(), known: settings::NAMES.join(", ") })
            }
        };
        report.settle(name, outcome)?;
    }
    if grown::NAMES.iter().any(|name| bench.settings.wants(name)) {
        let outcome = grown::measure(bench, report).await;
        report.settle("the growing log", outcome)?;
    }
    Ok(())
}
