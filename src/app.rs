//! The parts put together: one process of the ledger.

use std::net::SocketAddr;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::TuningArgs;
use crate::database::{self, DatabaseError};
use crate::health::{self, Watched};
use crate::http::ready::Readiness;
use crate::http::{Api, App as HttpApp, HttpLimits, serve};
use crate::log::connect::{connect, options, pool};
use crate::log::{EventLog, listen, schema};
use crate::oasis::connect::NatsSettings;
use crate::oasis::relay::{self, RelayOptions};
use crate::projections::projector;
use crate::projections::read::Reader;
use crate::writer::machine::WriterLimits;
use crate::writer::shell::{self as writer, WriterOptions};

/// Records kept in memory for the followers.
const TAIL_BYTES: usize = 32 << 20;
/// Within this time requests under way are answered once the process is told to stop…
const HTTP_GRACE: Duration = Duration::from_secs(7);
/// … and within this time after it everything else has ended.
const REST_GRACE: Duration = Duration::from_secs(2);

/// What a process of the ledger needs.
pub struct AppOptions {
    /// The primary's address.
    pub database_url: String,
    /// How to reach NATS.
    pub nats: NatsSettings,
    /// The stream's name.
    pub stream: String,
    /// Where to serve HTTP; port 0 takes any.
    pub listen: SocketAddr,
    /// Everything else.
    pub tuning: TuningArgs,
}

/// Why a process can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database can't be used.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The port is in use, or may not be taken.
    #[error("can't listen on {address}: {error} (another address: --listen ADDRESS:PORT)")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// What the machine said.
        error: std::io::Error,
    },
}

/// A running process of the ledger.
pub struct App {
    address: SocketAddr,
    readiness: watch::Sender<Readiness>,
    /// Stops HTTP first, then the writer, then the followers, so that whoever is answered is also projected.
    stop_http: CancellationToken,
    stop_writer: CancellationToken,
    stop_followers: CancellationToken,
    http: JoinHandle<()>,
    writer: JoinHandle<()>,
    followers: Vec<JoinHandle<()>>,
}

impl App {
    /// Starts every part. HTTP is served when this returns; `/readyz` tells when the writer has found the head.
    ///
    /// # Errors
    /// [`StartError`], naming what stands in the way.
    pub async fn start(settings: AppOptions, clock: Clock) -> Result<Self, StartError> {
        let address = settings.listen;
        let listen_error = |error| StartError::Listen { address, error };
        // First, since a port in use is the likeliest mistake, and nothing is to be undone.
        let listener = TcpListener::bind(address).await.map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;
        let database = database::options(&settings.database_url, "vtid-ledger")?;
        database::check(&settings.database_url, &database).await?;
        let readers = pool(database.clone(), settings.tuning.read_connections);
        let ledger = schema::ledger_id(&readers).await.map_err(DatabaseError::from)?;
        tracing::info!(ledger = %ledger.0, %address, "starting");
        let log = EventLog::new(readers.clone(), ledger, TAIL_BYTES);
        Ok(Self::assemble(settings, clock, listener, address, database, readers, log))
    }
}
