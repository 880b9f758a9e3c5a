//! Structured logs: JSON for machines under `serve`, lines for people under `dev`. And [`metrics`] and [`traces`].
//!
//! A thread of its own writes the lines, as many at once as are there, so that no request waits for standard error
//! nor pays a system call for its line. None is dropped: where standard error takes nothing, whoever logs waits, as
//! it would if it wrote by itself. Lines that were not yet written when the process is killed are lost with it.

mod json;
pub mod metrics;
pub mod traces;

use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::TryInitError;
use tracing_subscriber::{fmt, layer::SubscriberExt, util::SubscriberInitExt};

use json::JsonLine;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For reading on a terminal.
    Pretty,
}

/// The filter cannot be used, or logs were set up before.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `LOG` has another form.
    #[error("LOG ({filter:?}) is not a filter such as info or info,vtid_ledger=debug: {error}")]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        error: tracing_subscriber::filter::ParseError,
    },
    /// Only one subscriber can be there.
    #[error("logs are set up already: {0}")]
    Twice(#[from] TryInitError),
}

/// Lines that wait to be written, at most; then whoever logs waits.
const LINES_WAITING_MAX: usize = 8 * 1024;
/// Bytes that are written at once, about.
const WRITE_BYTES: usize = 64 * 1024;

/// How long lines wait for others after some were written: to wake the thread for each costs more than the line.
const GATHER: Duration = Duration::from_millis(10);

/// The thread that writes, while there is one.
static WRITING: Mutex<Option<WorkerGuard>> = Mutex::new(None);

/// Sends log lines to standard error, until the [`Finish`] of the process.
///
/// # Errors
/// [`TelemetryError`].
pub fn init(format: LogFormat, filter: &str) -> Result<(), TelemetryError> {
    let parsed = EnvFilter::try_new(filter)
        .map_err(|error| TelemetryError::Filter { filter: filter.to_owned(), error })?;
    let registry = tracing_subscriber::registry().with(parsed);
    let (lines_out, writing) = writer();
    match format {
        LogFormat::Json => {
            let lines = fmt::layer().json().event_format(JsonLine);
            registry.with(lines.with_writer(lines_out)).try_init()?;
        }
        LogFormat::Pretty => {
            let lines = fmt::layer().with_target(false).with_ansi(io::stderr().is_terminal());
            registry.with(lines.with_writer(lines_out)).try_init()?;
        }
    }
    *WRITING.lock().unwrap_or_else(PoisonError::into_inner) = Some(writing);
    Ok(())
}

/// The writer writes out what it has whenever no further line waits.
fn writer() -> (NonBlocking, WorkerGuard) {
    let standard_error = BufWriter::with_capacity(WRITE_BYTES, io::stderr());
    NonBlockingBuilder::default()
        .lossy(false)
        .buffered_lines_limit(LINES_WAITING_MAX)
        .thread_name("log")
        .finish(Gathering(standard_error))
}

/// Pauses after it has written out what it had.
struct Gathering<W>(W);

impl<W: Write> Write for Gathering<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        let written = self.0.flush();
        std::thread::sleep(GATHER);
        written
    }
}

/// Has all lines written when it is dropped, within a second or so; nothing may be logged after it.
#[derive(Debug)]
pub struct Finish;

impl Drop for Finish {
    fn drop(&mut self) {
        drop(WRITING.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}
