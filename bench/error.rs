//! Why there is no figure.

use std::path::PathBuf;

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    #[error("{program}: {error} (`make bench-deps` installs what is missing)")]
    Program { program: PathBuf, error: std::io::Error },
    #[error("{path}: {error}")]
    File { path: PathBuf, error: std::io::Error },
    #[error("{program} did not do its work: {output}")]
    Output { program: String, output: String },
    #[error(
        "not all answers were 200 (requests, µs, errors of connect, read, write, status, timeout, p50, p99): {line}"
    )]
    Answers { line: String },
    #[error("{answered} writes were answered, and the log grew by {grown}")]
    Log { answered: u64, grown: u64 },
    #[error("{name} has to be {form}")]
    Setting { name: &'static str, form: &'static str },
    #[error("no line has this name: {name} (there are {known})")]
    NoSuchLine { name: String, known: String },
    #[error("the log has {found} events after a seed that should have brought it to {wanted}")]
    Seed { wanted: u64, found: u64 },
    #[error("the seed's own words are refused: {0}")]
    Refused(String),
    #[error("{what} did not come about within {seconds} s; last seen: {seen}")]
    Patience { what: &'static str, seconds: u64, seen: String },
    #[error("the ledger's statement has a form that this benchmark can't give to pgbench: {0}")]
    Statement(String),
    #[error("{needed} bytes are needed on the disk of {folder}, and {free} are free")]
    NoRoom { needed: u64, free: u64, folder: PathBuf },
    #[error("/proc does not tell {0} (Linux alone has it)")]
    Proc(String),
    #[error("the answer {0} is not the ledger's")]
    Answer(String),
    #[error("no rounds")]
    NoRounds,
    #[error("interrupted")]
    Interrupted,
    #[error("these lines failed: {0}")]
    Lines(String),
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
    #[error("NATS: {0}")]
    Nats(async_nats::Error),
    #[error(transparent)]
    Task(#[from] tokio::task::JoinError),
}
