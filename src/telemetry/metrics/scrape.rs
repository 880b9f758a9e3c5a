//! Serving `/metrics`, and what there is to do only where it is served.

use std::net::SocketAddr;
use std::sync::Arc;

use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Metrics;
use crate::http::ready::Readiness;
use crate::http::{metrics_app, serve};
use crate::oasis::relay::RelayStatus;
use crate::projections::connections::{PoolUse, ReadConnections};

/// Whom to ask when Prometheus asks.
pub struct Sources {
    metrics: Arc<Metrics>,
    readiness: watch::Receiver<Readiness>,
    relay: watch::Receiver<RelayStatus>,
    reads: ReadConnections,
    followers: PgPool,
}

impl Sources {
    /// What is counted, what the process and its relay know of themselves, and the connections of reads and followers.
    #[must_use]
    pub fn new(
        metrics: &Arc<Metrics>,
        readiness: &watch::Receiver<Readiness>,
        relay: watch::Receiver<RelayStatus>,
        reads: &ReadConnections,
        followers: &PgPool,
    ) -> Self {
        let (metrics, readiness) = (Arc::clone(metrics), readiness.clone());
        Self { metrics, readiness, relay, reads: reads.clone(), followers: followers.clone() }
    }

    /// Serves `/metrics` and looks up what only the database knows, until `stop` is cancelled.
    #[must_use]
    pub fn serve(
        self,
        (listener, address): (TcpListener, SocketAddr),
        database: PgConnectOptions,
        stop: &CancellationToken,
    ) -> [JoinHandle<()>; 2] {
        tracing::info!(metrics = %address, "serving metrics");
        let looking = self.metrics.database.clone().keep(database, stop.clone());
        let sources = Arc::new(self);
        let app = metrics_app(move || sources.text());
        [tokio::spawn(looking), tokio::spawn(serve(listener, app, stop.clone()))]
    }

    /// All metrics in Prometheus' text format, as they are now.
    fn text(&self) -> String {
        let process = &self.metrics.process;
        process.read(&self.readiness.borrow(), &self.relay.borrow());
        process.read_pool("reads", self.reads.in_use());
        let (size, idle) = (self.followers.size() as usize, self.followers.num_idle());
        let max = self.followers.options().get_max_connections() as usize;
        process.read_pool("followers", PoolUse { used: size.saturating_sub(idle), idle, max });
        self.metrics.text()
    }
}
