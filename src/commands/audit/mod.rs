//! `vtid-ledger audit …`: what happened, and whether it is still what happened.
#![expect(
    clippy::doc_markdown,
    reason = "some of these comments are also the text of --help, which shows no Markdown"
)]

mod diff;
mod history;
mod print;
mod replay;
mod transfer;
mod verify;
mod verify_proof;
mod who;

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::database_url;
use crate::audit::error::AuditError;
use crate::audit::replay::Point;
use crate::audit::verify::Trusted;
use crate::audit::who::Question;
use crate::config::{ConfigError, DatabaseArgs};
use crate::database::{self, DatabaseError};
use crate::dev::Endpoints;
use crate::domain::text::{ActorId, Tenant};
use crate::domain::time::GivenTime;
use crate::domain::vtid::Vtid;
use crate::log::connect::pool;
use crate::log::schema::ledger_id;
use crate::log::servers::Servers;
use crate::oasis::connect::{Nats, NatsArgs, NatsSettingError};
use crate::oasis::recover::Site;
use crate::oasis::stream::StreamArgs;
use crate::tlog::checkpoint::{Checkpoint, CheckpointError, MAX_BYTES};
use crate::tlog::key::PublicKey;

pub use verify_proof::{Proven, VerifyProofArgs, VerifyProofFailure};

/// What an auditor can ask.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Tell what happened to a task: who changed what, when, and by which request
    History(HistoryCommand),
    /// List all that one actor did
    Who(WhoCommand),
    /// Print the tasks as they stood at some point, from the log alone
    Replay(ReplayCommand),
    /// Compare the read table and the snapshots with the log; fails on any difference
    Diff(DiffCommand),
    /// Write the whole log, byte for byte, with its proofs, into one file
    Export(ExportCommand),
    /// Read an exported file into a ledger without events, as the database's owner
    Import(ImportCommand),
    /// Recompute everything, and name the first position that is wrong; fails if one is
    Verify(VerifyCommand),
    /// Check that a record is in the ledger, by a proof that was downloaded: /vtid/VTID/proof or /events/POSITION/proof
    VerifyProof(VerifyProofArgs),
}

/// Where the ledger is.
#[derive(Debug, Args)]
pub struct Place {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The folder of a running `vtid-ledger dev`, whose servers are used where DATABASE_URL is not set
    #[arg(long, value_name = "FOLDER", default_value = ".vtid")]
    data: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `history`.
#[derive(Debug, Args)]
pub struct HistoryCommand {
    /// The task, such as VTID-2026-0042
    #[arg(value_parser = read_vtid)]
    vtid: Vtid,
    #[command(flatten)]
    place: Place,
}

/// `who`.
#[derive(Debug, Args)]
pub struct WhoCommand {
    /// The actor, as events bear it: a token's sub
    #[arg(value_parser = read_actor)]
    actor: ActorId,
    /// Only what was recorded at this time or later, such as 2026-11-28T09:30:00Z
    #[arg(long, value_name = "TIME", value_parser = read_time)]
    since: Option<GivenTime>,
    /// Only what was recorded at this time or earlier
    #[arg(long, value_name = "TIME", value_parser = read_time)]
    until: Option<GivenTime>,
    /// Only tasks of this tenant
    #[arg(long, value_parser = Tenant::parse)]
    tenant: Option<Tenant>,
    #[command(flatten)]
    place: Place,
}

/// `replay`.
#[derive(Debug, Args)]
pub struct ReplayCommand {
    /// Up to and with this position, or this time, such as 2026-11-28T09:30:00Z [default: all of it]
    #[arg(long, value_name = "POSITION|TIME")]
    to: Option<Point>,
    /// What to print [default: a table on a terminal, else ndjson]
    #[arg(long, value_enum, conflicts_with = "json")]
    into: Option<replay::Into>,
    /// An exported file, instead of a database
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// `diff`.
#[derive(Debug, Args)]
pub struct DiffCommand {
    #[command(flatten)]
    place: Place,
}

/// `export`.
#[derive(Debug, Args)]
pub struct ExportCommand {
    /// The file to write; - for standard output
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    place: Place,
}

/// `import`.
#[derive(Debug, Args)]
pub struct ImportCommand {
    /// The exported file
    file: PathBuf,
    #[command(flatten)]
    trust: Trust,
    #[command(flatten)]
    place: Place,
}

/// `verify`.
#[derive(Debug, Args)]
pub struct VerifyCommand {
    /// An exported file, instead of a database
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    trust: Trust,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    nats: NatsArgs,
    #[command(flatten)]
    stream: StreamArgs,
}

/// What the auditor holds himself.
#[derive(Debug, Args)]
pub struct Trust {
    /// A checkpoint that you kept, or were given by a witness, to compare with; may be given more than once
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// A verifier key that you know the ledger by, instead of those that it names itself: fails if none of its
    /// checkpoints is signed with it; may be given more than once
    #[arg(long, value_name = "VKEY", value_parser = verify_proof::parse_log_key)]
    key: Vec<PublicKey>,
}

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

fn read_vtid(text: &str) -> Result<Vtid, crate::domain::vtid::MalformedVtid> {
    Vtid::parse_possible(text)
}

fn read_actor(text: &str) -> Result<ActorId, String> {
    ActorId::parse(text)
        .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

fn read_time(text: &str) -> Result<GivenTime, &'static str> {
    GivenTime::parse(text).map_err(|_| "must be a time such as 2026-11-28T09:30:00Z")
}

impl Place {
    /// How to reach the database.
    async fn reach(&self) -> Result<Servers, AuditFailure> {
        let url = database_url(&self.database, &self.data)?;
        let servers = database::options(&url, "vtid-ledger audit")?;
        database::check_sessions(&servers).await?;
        Ok(servers)
    }
}

impl Trust {
    fn read(self) -> Result<Trusted, AuditFailure> {
        let checkpoints =
            self.checkpoint.iter().map(|path| read_checkpoint(path)).collect::<Result<_, _>>()?;
        Ok(Trusted { keys: self.key, checkpoints })
    }
}

fn read_checkpoint(path: &Path) -> Result<Checkpoint, AuditFailure> {
    use std::io::Read;
    let mut note = Vec::new();
    let file = std::fs::File::open(path);
    file.and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut note))
        .map_err(|error| AuditFailure::File(path.to_owned(), error))?;
    Checkpoint::parse(&note).map_err(|error| AuditFailure::Checkpoint(path.to_owned(), error))
}

impl VerifyCommand {
    /// The stream, if it is known where that is.
    async fn site(&mut self, servers: &Servers) -> Result<Option<Site>, AuditFailure> {
        if self.nats.url.is_none() && self.place.database.url().is_err() {
            self.nats.url = Endpoints::read(&self.place.data).map(|running| running.nats);
        }
        if self.nats.url.is_none() {
            return Ok(None);
        }
        let client = Nats::connect_now(&self.nats, "vtid-ledger audit").await?;
        let pool = pool(servers.clone(), 3);
        let ledger = ledger_id(&pool).await?;
        let (database, stream) = (servers.clone(), self.stream.clone());
        Ok(Some(Site { pool, database, ledger, client, stream }))
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
