//! `vtid-ledger audit …`: what happened, and whether it is still what happened.

mod arguments;
mod diff;
mod history;
mod print;
mod replay;
mod transfer;
mod verify;
mod verify_proof;
mod who;

use std::io::{BufWriter, Write};
use std::path::PathBuf;

pub use self::arguments::AuditCommand;
use self::arguments::{
    DiffCommand, ExportCommand, HistoryCommand, ImportCommand, ReplayCommand, Trust, VerifyCommand,
    WhoCommand,
};
pub use self::verify_proof::{Proven, VerifyProofArgs, VerifyProofFailure};
use crate::audit::error::AuditError;
use crate::audit::who::Question;
use crate::config::ConfigError;
use crate::database::DatabaseError;
use crate::domain::time::GivenTime;
use crate::oasis::connect::NatsSettingError;
use crate::tlog::checkpoint::CheckpointError;

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub enum AuditFailure {
    /// A setting.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// NATS.
    #[error(transparent)]
    Nats(#[from] NatsSettingError),
    /// The audit could not be done.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// `diff` found differences.
    #[error("log and tables differ in {0} places")]
    Different(u64),
    /// `verify` found something wrong.
    #[error("WRONG: {0}")]
    Wrong(String),
    /// `verify-proof` found that nothing is proven.
    #[error(transparent)]
    Proof(#[from] VerifyProofFailure),
    /// A file can't be read or written.
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
    /// A kept checkpoint is none.
    #[error("{0}: {1}")]
    Checkpoint(PathBuf, CheckpointError),
    /// The output is closed, or full.
    #[error("can't print: {0}")]
    Output(#[from] std::io::Error),
    /// The same, of comma-separated values.
    #[error("can't print: {0}")]
    Csv(#[from] csv::Error),
}

impl From<sqlx::Error> for AuditFailure {
    fn from(error: sqlx::Error) -> Self {
        Self::Audit(error.into())
    }
}

/// Runs it.
///
/// # Errors
/// [`AuditFailure`]
pub async fn run(command: AuditCommand) -> Result<(), AuditFailure> {
    let mut out = BufWriter::new(std::io::stdout());
    let done = run_to(command, &mut out).await;
    // What was found is printed, whatever came of it.
    out.flush()?;
    done
}

async fn run_to(command: AuditCommand, out: &mut impl Write) -> Result<(), AuditFailure> {
    match command {
        AuditCommand::History(HistoryCommand { vtid, place }) => {
            history::run(&place.reach().await?, vtid, place.json, out).await
        }
        AuditCommand::Who(WhoCommand { actor, since, until, tenant, place }) => {
            let (since, until) = (since.map(GivenTime::rounded_up), until.map(GivenTime::cut));
            let question = Question { actor, since, until, tenant };
            who::run(&place.reach().await?, &question, place.json, out).await
        }
        AuditCommand::Replay(ReplayCommand { to, into, file, place }) => {
            let point = to.unwrap_or_default();
            let replayed = match file {
                Some(path) => replay::of_file(&path, point)?,
                None => replay::of_ledger(&place.reach().await?, point).await?,
            };
            replay::print(&replayed, into.unwrap_or_else(replay::Into::by_default), place.json, out)
        }
        AuditCommand::Diff(DiffCommand { place }) => diff::run(&place.reach().await?, place.json, out).await,
        AuditCommand::Export(ExportCommand { out, place }) => {
            transfer::run_export(&place.reach().await?, &out, place.json).await
        }
        AuditCommand::Import(ImportCommand { file, trust, place }) => {
            let trusted = trust.read()?;
            transfer::run_import(&place.reach().await?, &file, trusted, place.json, out).await
        }
        AuditCommand::Verify(command) => verify_what(command, out).await,
        AuditCommand::VerifyProof(args) => Ok(verify_proof::run(&args)?),
    }
}

async fn verify_what(mut command: VerifyCommand, out: &mut impl Write) -> Result<(), AuditFailure> {
    let trust = Trust {
        checkpoint: std::mem::take(&mut command.trust.checkpoint),
        key: std::mem::take(&mut command.trust.key),
    };
    let trusted = trust.read()?;
    let report = if let Some(path) = &command.file {
        verify::of_file(path, trusted)?
    } else {
        let servers = command.place.reach().await?;
        let site = command.site(&servers).await;
        verify::of_ledger(&servers, site, trusted).await?
    };
    verify::print(&report, command.place.json, out)
}
