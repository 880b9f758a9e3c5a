//! The commands of `vtid-ledger`.

pub mod audit;
pub mod dev;
pub mod keygen;
pub mod migrate;
pub mod oasis;
pub mod openapi;
pub mod projection;
pub mod serve;
pub mod token;
pub mod witness;

use std::path::Path;
use std::process::ExitCode;

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;
use crate::config::{ConfigError, DatabaseArgs};
use crate::dev::Endpoints;
use crate::telemetry;

/// Runs a command on a runtime of its own; an error is told on standard error, with its causes.
pub fn run<E: std::error::Error>(command: impl Future<Output = Result<(), E>>) -> ExitCode {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    match run_on(runtime, command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// One thread fewer than there are cores, unless `TOKIO_WORKER_THREADS` says otherwise: a create wakes several tasks one
/// after another, and to wake one on another core costs more than most of them do. PostgreSQL and NATS have work for the
/// core that is left.
fn runtime() -> std::io::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if std::env::var_os("TOKIO_WORKER_THREADS").is_none() {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        builder.worker_threads(cores.saturating_sub(1).max(1));
    }
    builder.enable_all().build()
}

/// When this returns, or unwinds, nothing runs any more, and the log is written.
fn run_on<T>(runtime: Runtime, command: impl Future<Output = T>) -> T {
    // The runtime is dropped first: its tasks may log to the last.
    let _finish = telemetry::Finish;
    let runtime = runtime;
    runtime.block_on(command)
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Many errors name their cause themselves.
        if !told.contains(&text) {
            told = format!("{told}: {text}");
        }
        cause = error.source();
    }
    eprintln!("vtid-ledger: {told}");
    ExitCode::FAILURE
}

/// The database's address: as it is set, or else that of the `dev` which runs in the folder `data`.
fn database_url(database: &DatabaseArgs, data: &Path) -> Result<String, ConfigError> {
    let running = |missing| Endpoints::read(data).map(|running| running.postgres).ok_or(missing);
    database.url().map(str::to_owned).or_else(running)
}

/// A part of the process ended by itself; the log says why.
#[derive(Debug, thiserror::Error)]
#[error("a part of the ledger ended by itself: see the log")]
pub struct Broken;

/// Waits for Ctrl-C or SIGTERM, or until `app` is broken, and stops it.
async fn run_until_told<E: From<std::io::Error> + From<Broken>>(app: App) -> Result<(), E> {
    let told = tokio::select! {
        told = told_to_stop() => told.map_err(E::from),
        () = app.broken() => Err(E::from(Broken)),
    };
    app.stop().await;
    told
}

/// Waits for Ctrl-C or SIGTERM.
async fn told_to_stop() -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
