//! Why an audit could not be done. What it finds wrong is not among these, but in what it gives.

use crate::domain::position::Position;

/// Why it ended early.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The database did not answer, or refused.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// Its schema is an older one.
    #[error("the database's schema is not migrated: run `vtid-ledger migrate`")]
    NotMigrated,
    /// The log can't be read.
    #[error("the log: {0}")]
    Log(#[from] crate::log::read::ReadError),
    /// An event does not fold onto its task.
    #[error("the log does not fold: {0}")]
    Fold(#[from] crate::domain::evolve::EvolveError),
    /// The read table can't be walked.
    #[error(transparent)]
    Projection(#[from] crate::projections::tasks::ProjectionError),
    /// The stream can't be read.
    #[error(transparent)]
    Stream(#[from] crate::oasis::scan::ScanError),
    /// A file is no export, or not a whole one.
    #[error(transparent)]
    File(#[from] super::file::FileError),
    /// A file can't be read or written.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Positions are missing, or the log lost its end meanwhile.
    #[error(
        "the log has no event at position {0}: nothing was exported; `vtid-ledger audit verify` says more"
    )]
    Gap(Position),
    /// A record holds a line feed, and so can't be a line.
    #[error(
        "the record at position {0} is not one line: nothing was exported; `vtid-ledger audit verify` says more"
    )]
    NotALine(Position),
    /// There is no such task.
    #[error("there is no task {0}")]
    NoSuchTask(crate::domain::vtid::Vtid),
    /// The log does not go so far.
    #[error("the log ends at position {0}")]
    BeyondTheEnd(Position),
    /// An import can't be done.
    #[error(transparent)]
    Import(#[from] super::import::ImportError),
}

impl From<crate::oasis::stored::StoredError> for AuditError {
    fn from(error: crate::oasis::stored::StoredError) -> Self {
        Self::Stream(error.into())
    }
}
