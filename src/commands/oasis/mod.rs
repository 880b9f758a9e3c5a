//! `vtid-ledger oasis …`: the OASIS events on `JetStream`.
#![expect(
    clippy::doc_markdown,
    reason = "some of these comments are also the text of --help, which shows no Markdown"
)]

mod check;
mod rebuild;
mod recover;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::database_url;
use crate::config::{ConfigError, DatabaseArgs};
use crate::database::{self, DatabaseError};
use crate::dev::Endpoints;
use crate::log::connect::pool;
use crate::log::schema::ledger_id;
use crate::oasis::connect::{Nats, NatsArgs, NatsSettingError};
use crate::oasis::rebuild::RebuildError;
use crate::oasis::recover::{RecoverError, Site, Unrecoverable};
use crate::oasis::scan::ScanError;
use crate::oasis::stored::StoredError;
use crate::oasis::stream::StreamArgs;
use crate::oasis::tail::{self, TailArgs, TailError};

/// What can be done with the OASIS events.
#[derive(Debug, Subcommand)]
pub enum OasisCommand {
    /// Print OASIS events as they come
    Tail(TailCommand),
    /// Compare every message of the stream with the ledger, and name each difference
    Check(Places),
    /// List the events that the stream has beyond a ledger that lost history, and with --yes put them back
    Recover(RecoverCommand),
    /// Delete the stream, make it again, and publish the ledger from its first event on
    Rebuild(RebuildCommand),
}

/// `tail`, and where to look for NATS when it is not told.
#[derive(Debug, Args)]
pub struct TailCommand {
    #[command(flatten)]
    tail: TailArgs,
    /// The folder of a running `vtid-ledger dev`, whose NATS is used where NATS_URL is not set
    #[arg(long, value_name = "FOLDER", default_value = ".vtid")]
    data: PathBuf,
}

/// `recover`.
#[derive(Debug, Args)]
pub struct RecoverCommand {
    #[command(flatten)]
    places: Places,
    /// Append what was listed to the ledger, byte for byte, and let writes go on
    #[arg(long)]
    yes: bool,
}

/// `rebuild`.
#[derive(Debug, Args)]
pub struct RebuildCommand {
    #[command(flatten)]
    places: Places,
    /// Give up the events that the stream has and the ledger lost: they are named, and gone for good
    #[arg(long)]
    accept_loss: bool,
}

/// Where the ledger and its stream are.
#[derive(Debug, Args)]
pub struct Places {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    nats: NatsArgs,
    #[command(flatten)]
    stream: StreamArgs,
    /// The folder of a running `vtid-ledger dev`, whose servers are used where DATABASE_URL or NATS_URL is not set
    #[arg(long, value_name = "FOLDER", default_value = ".vtid")]
    data: PathBuf,
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub enum OasisFailure {
    /// `tail`.
    #[error(transparent)]
    Tail(#[from] TailError),
    /// A setting.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// NATS.
    #[error(transparent)]
    Nats(#[from] NatsSettingError),
    /// Stream and log can't be compared.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// `recover` did not put back what it was to.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// It can't.
    #[error(transparent)]
    Unrecoverable(#[from] Unrecoverable),
    /// `rebuild` did not end.
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    /// `check` found differences.
    #[error("stream and ledger differ at {0} sequences")]
    Different(u64),
    /// `rebuild` would give up events.
    #[error(
        "nothing was changed: {0}; `vtid-ledger oasis recover` puts back what the stream has, --accept-loss gives it up"
    )]
    WouldLose(String),
    /// The output is closed, or full.
    #[error("can't print: {0}")]
    Output(#[from] std::io::Error),
}

impl From<StoredError> for OasisFailure {
    fn from(error: StoredError) -> Self {
        Self::Scan(error.into())
    }
}

impl From<sqlx::Error> for OasisFailure {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Connections of a command.
const CONNECTIONS: u32 = 3;

impl Places {
    /// Reaches the database, which must be migrated, and NATS.
    async fn reach(&mut self) -> Result<Site, OasisFailure> {
        let url = database_url(&self.database, &self.data)?;
        if self.nats.url.is_none() {
            self.nats.url = Endpoints::read(&self.data).map(|running| running.nats);
        }
        let database = database::options(&url, "vtid-ledger oasis")?;
        database::check(&url, &database).await?;
        let client = Nats::connect_now(&self.nats, "vtid-ledger oasis").await?;
        let pool = pool(database.clone(), CONNECTIONS);
        let ledger = ledger_id(&pool).await?;
        Ok(Site { pool, database, ledger, client, stream: self.stream.clone() })
    }
}

/// Runs it.
///
/// # Errors
/// [`OasisFailure`].
pub async fn run(command: OasisCommand) -> Result<(), OasisFailure> {
    let mut out = std::io::stdout();
    match command {
        OasisCommand::Tail(TailCommand { mut tail, data }) => {
            if tail.nats.url.is_none() {
                tail.nats.url = Endpoints::read(&data).map(|endpoints| endpoints.nats);
            }
            Ok(tail::run(&tail, &mut out).await?)
        }
        OasisCommand::Check(mut places) => check::run(&places.reach().await?, &mut out).await,
        OasisCommand::Recover(RecoverCommand { mut places, yes }) => {
            recover::run(&places.reach().await?, yes, &mut out).await
        }
        OasisCommand::Rebuild(RebuildCommand { mut places, accept_loss }) => {
            let site = places.reach().await?;
            rebuild::run(&site, &places.nats, accept_loss, &mut out).await
        }
    }
}
