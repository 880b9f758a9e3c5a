//! Structured logs: JSON for machines under `serve`, lines for people under `dev`.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::TryInitError;
use tracing_subscriber::{fmt, layer::SubscriberExt, util::SubscriberInitExt};

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

/// Sends log lines to standard error.
///
/// # Errors
/// [`TelemetryError`].
pub fn init(format: LogFormat, filter: &str) -> Result<(), TelemetryError> {
    let parsed = EnvFilter::try_new(filter)
        .map_err(|error| TelemetryError::Filter { filter: filter.to_owned(), error })?;
    let registry = tracing_subscriber::registry().with(parsed);
    match format {
        LogFormat::Json => {
            let lines = fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false);
            registry.with(lines.with_writer(std::io::stderr)).try_init()?;
        }
        LogFormat::Pretty => {
            let lines = fmt::layer().with_target(false).with_ansi(std::io::stderr().is_terminal());
            registry.with(lines.with_writer(std::io::stderr)).try_init()?;
        }
    }
    Ok(())
}
