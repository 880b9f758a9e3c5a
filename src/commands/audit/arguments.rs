//! What is typed behind `vtid-ledger audit`, and what it says of where the ledger is and what the auditor holds.
#![expect(
    clippy::doc_markdown,
    reason = "some of these comments are also the text of --help, which shows no Markdown"
)]

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::verify_proof::{VerifyProofArgs, parse_log_key};
use super::{AuditFailure, replay};
use crate::audit::replay::Point;
use crate::audit::verify::Trusted;
use crate::commands::database_url;
use crate::config::DatabaseArgs;
use crate::database;
use crate::dev::Endpoints;
use crate::domain::text::{ActorId, Tenant};
use crate::domain::time::GivenTime;
use crate::domain::vtid::{MalformedVtid, Vtid};
use crate::log::connect::pool;
use crate::log::schema::ledger_id;
use crate::log::servers::Servers;
use crate::oasis::connect::{Nats, NatsArgs};
use crate::oasis::recover::Site;
use crate::oasis::stream::StreamArgs;
use crate::tlog::checkpoint::{Checkpoint, MAX_BYTES};
use crate::tlog::key::PublicKey;

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
pub(super) struct Place {
    #[command(flatten)]
    pub(super) database: DatabaseArgs,
    /// The folder of a running `vtid-ledger dev`, whose servers are used where DATABASE_URL is not set
    #[arg(long, value_name = "FOLDER", default_value = ".vtid")]
    pub(super) data: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// `history`.
#[derive(Debug, Args)]
pub struct HistoryCommand {
    /// The task, such as VTID-2026-0042
    #[arg(value_parser = read_vtid)]
    pub(super) vtid: Vtid,
    #[command(flatten)]
    pub(super) place: Place,
}

/// `who`.
#[derive(Debug, Args)]
pub struct WhoCommand {
    /// The actor, as events bear it: a token's sub
    #[arg(value_parser = read_actor)]
    pub(super) actor: ActorId,
    /// Only what was recorded at this time or later, such as 2026-11-28T09:30:00Z
    #[arg(long, value_name = "TIME", value_parser = read_time)]
    pub(super) since: Option<GivenTime>,
    /// Only what was recorded at this time or earlier
    #[arg(long, value_name = "TIME", value_parser = read_time)]
    pub(super) until: Option<GivenTime>,
    /// Only tasks of this tenant
    #[arg(long, value_parser = Tenant::parse)]
    pub(super) tenant: Option<Tenant>,
    #[command(flatten)]
    pub(super) place: Place,
}

/// `replay`.
#[derive(Debug, Args)]
pub struct ReplayCommand {
    /// Up to and with this position, or this time, such as 2026-11-28T09:30:00Z [default: all of it]
    #[arg(long, value_name = "POSITION|TIME")]
    pub(super) to: Option<Point>,
    /// What to print [default: a table on a terminal, else ndjson]
    #[arg(long, value_enum, conflicts_with = "json")]
    pub(super) into: Option<replay::Into>,
    /// An exported file, instead of a database
    #[arg(long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) place: Place,
}

/// `diff`.
#[derive(Debug, Args)]
pub struct DiffCommand {
    #[command(flatten)]
    pub(super) place: Place,
}

/// `export`.
#[derive(Debug, Args)]
pub struct ExportCommand {
    /// The file to write, in place of one of that name once it is whole; a device or pipe; - for standard output
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,
    #[command(flatten)]
    pub(super) place: Place,
}

/// `import`.
#[derive(Debug, Args)]
pub struct ImportCommand {
    /// The exported file
    pub(super) file: PathBuf,
    #[command(flatten)]
    pub(super) trust: Trust,
    #[command(flatten)]
    pub(super) place: Place,
}

/// `verify`.
#[derive(Debug, Args)]
pub struct VerifyCommand {
    /// An exported file, instead of a database
    #[arg(long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) trust: Trust,
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    pub(super) nats: NatsArgs,
    #[command(flatten)]
    pub(super) stream: StreamArgs,
}

/// What the auditor holds himself.
#[derive(Debug, Args)]
pub(super) struct Trust {
    /// A checkpoint that you kept, or were given by a witness, to compare with; may be given more than once
    #[arg(long, value_name = "FILE")]
    pub(super) checkpoint: Vec<PathBuf>,
    /// A verifier key that you know the ledger by, instead of those that it names itself: fails if none of its
    /// checkpoints is signed with it; may be given more than once
    #[arg(long, value_name = "VKEY", value_parser = parse_log_key)]
    pub(super) key: Vec<PublicKey>,
}

fn read_vtid(text: &str) -> Result<Vtid, MalformedVtid> {
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
    pub(super) async fn reach(&self) -> Result<Servers, AuditFailure> {
        let url = database_url(&self.database, &self.data)?;
        let servers = database::options(&url, "vtid-ledger audit")?;
        database::check_sessions(&servers).await?;
        Ok(servers)
    }
}

impl Trust {
    pub(super) fn read(self) -> Result<Trusted, AuditFailure> {
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
    pub(super) async fn site(&mut self, servers: &Servers) -> Result<Option<Site>, AuditFailure> {
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
