//! What a process stands on: settings that make sense, addresses to listen on, a database that fits.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::{AppOptions, StartError};
use crate::config::TuningArgs;
use crate::database::{self, DatabaseError};
use crate::http::WebOrigin;
use crate::leases::ProcessId;
use crate::log::connect::pool;
use crate::log::pool::Pool;
use crate::log::servers::Servers;
use crate::log::{EventLog, schema};
use crate::oasis::connect::Nats;
use crate::projections::elsewhere::ReadServers;

/// Records kept in memory for the followers: some two thousand, which are in the processor's cache when the next ones take
/// their place.
const TAIL_BYTES: usize = 8 << 20;
/// Connections of the projector's, relay's and memory's reads.
const FOLLOWER_CONNECTIONS: u32 = 4;

/// What has to be there before any part starts.
pub(super) struct Ground {
    pub(super) origins: Vec<WebOrigin>,
    pub(super) nats: Nats,
    pub(super) database: Servers,
    /// Where reads may go, if they may go elsewhere.
    pub(super) elsewhere: Option<ReadServers>,
    pub(super) listener: TcpListener,
    pub(super) address: SocketAddr,
    /// Where metrics are served, if they are.
    pub(super) scraped: Option<(TcpListener, SocketAddr)>,
    /// The followers' own connections, so that a flood of reads can't starve them.
    pub(super) followers: Pool,
    pub(super) log: EventLog,
    pub(super) process: ProcessId,
}

impl Ground {
    pub(super) async fn reach(options: &AppOptions) -> Result<Self, StartError> {
        let AppOptions { database_url, nats, listen, tuning, .. } = options;
        let origins = tuning.origins()?;
        let nats = Nats::connect(nats, "vtid-ledger").await?;
        let database = database::options(database_url, "vtid-ledger")?;
        let readers = tuning.read_url().map(|url| database::read_options(url, "vtid-ledger reads"));
        let elsewhere =
            readers.transpose()?.map(|servers| ReadServers::new(servers, tuning.read_connections));
        database::check(database_url, &database).await?;
        let (listener, address) = bind("--listen", *listen).await?;
        let scraped = bind_metrics(tuning).await?;
        let followers = pool(database.clone(), FOLLOWER_CONNECTIONS);
        let ledger = schema::ledger_id(&followers).await.map_err(DatabaseError::from)?;
        let process = ProcessId::random();
        tracing::info!(ledger = %ledger.0, %process, %address, "starting");
        let log = EventLog::new(followers.clone(), ledger, TAIL_BYTES);
        Ok(Self { origins, nats, database, elsewhere, listener, address, scraped, followers, log, process })
    }
}

async fn bind(flag: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let refused = |error| StartError::Listen { flag, address, error };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok((listener, address))
}

async fn bind_metrics(tuning: &TuningArgs) -> Result<Option<(TcpListener, SocketAddr)>, StartError> {
    match tuning.metrics_listen {
        Some(address) => bind("--metrics-listen", address).await.map(Some),
        None => Ok(None),
    }
}
