//! Serving `/metrics`, and what there is to do only where it is served.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Metrics;
use crate::http::ready::Readiness;
use crate::http::{metrics_app, serve};
use crate::log::pool::Pool;
use crate::log::servers::Servers;
use crate::oasis::relay::RelayStatus;
use crate::projections::connections::ReadConnections;
use crate::projections::read::Reader;

/// Whom to ask when Prometheus asks.
pub struct Sources {
    metrics: Arc<Metrics>,
    readiness: watch::Receiver<Readiness>,
    relay: watch::Receiver<RelayStatus>,
    reads: ReadConnections,
    past: ReadConnections,
    followers: Pool,
}

impl Sources {
    /// What is counted, what the process and its relay know of themselves, and the connections of reads, of those of the
    /// past, and of followers.
    #[must_use]
    pub fn new(
        metrics: &Arc<Metrics>,
        readiness: &watch::Receiver<Readiness>,
        relay: watch::Receiver<RelayStatus>,
        [reads, past]: [&Reader; 2],
        followers: &Pool,
    ) -> Self {
        let (metrics, readiness) = (Arc::clone(metrics), readiness.clone());
        let [reads, past] = [reads, past].map(|reader| reader.connections().clone());
        Self {
            metrics,
            readiness,
            relay,
            reads: reads.clone(),
            past: past.clone(),
            followers: followers.clone(),
        }
    }

    /// Serves `/metrics` and looks up what only the database knows, until `stop` is cancelled.
    #[must_use]
    pub fn serve(
        self,
        (listener, address): (TcpListener, SocketAddr),
        database: Servers,
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
        process.read_pool("history", self.past.in_use());
        process.read_pool("followers", self.followers.in_use());
        self.metrics.text()
    }
}
