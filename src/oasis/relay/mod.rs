//! The relay: the follower that puts every event of the log into the stream, at the sequence that is its position.
//!
//! [`machine`] decides, purely; the rest is the thin shell around it: [`shell`] runs it, [`feed`] reads the log,
//! [`wire`] speaks with `JetStream`, [`jobs`] are the requests that take a while.

mod feed;
mod jobs;
pub mod machine;
mod perform;
mod shell;
mod spans;
mod status;
mod wire;

use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::connect::Nats;
use super::stream::StreamArgs;
use crate::leases::Held;
use crate::log::EventLog;
use crate::telemetry::metrics::relay::RelayMetrics;
use crate::telemetry::traces::Traces;
use machine::Limits;
pub use machine::State;
pub use status::RelayStatus;

/// Requests for a comparison that wait at most.
const MAX_CHECKS: usize = 16;

/// How to relay.
#[derive(Debug, Clone)]
pub struct RelayOptions {
    /// The stream.
    pub stream: StreamArgs,
    /// Bounds and waits.
    pub limits: Limits,
    /// Nothing is published but while this is held.
    pub lease: Held,
    /// Where it counts what it does.
    pub metrics: RelayMetrics,
    /// Where the publishes' spans are begun.
    pub traces: Traces,
}

/// A running relay.
#[derive(Debug)]
pub struct RelayHandle {
    status: watch::Receiver<RelayStatus>,
    checks: mpsc::Sender<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// Begins to relay the log into the stream, until `stop` is cancelled. Neither NATS nor the database need be there.
#[must_use]
pub fn spawn(log: EventLog, nats: Nats, options: RelayOptions, stop: CancellationToken) -> RelayHandle {
    let (status, watched) = watch::channel(RelayStatus::default());
    let (checks, asked) = mpsc::channel(MAX_CHECKS);
    let task = tokio::spawn(shell::run(shell::Parts { log, nats, options, status, checks: asked, stop }));
    RelayHandle { status: watched, checks, task }
}

/// Asks a relay to compare stream and log.
#[derive(Debug, Clone)]
pub struct Comparer {
    checks: mpsc::Sender<oneshot::Sender<()>>,
}

impl Comparer {
    /// Has stream and log compared anew, and waits until they are and, where the ledger lost history, the hold is set.
    /// False if that took longer than `patience`: NATS may be away.
    pub async fn compare(&self, patience: Duration) -> bool {
        let (done, compared) = oneshot::channel();
        let compare = async { self.checks.send(done).await.is_ok() && compared.await.is_ok() };
        tokio::time::timeout(patience, compare).await.unwrap_or(false)
    }
}

impl RelayHandle {
    /// How the relay stands; changes are told.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<RelayStatus> {
        self.status.clone()
    }

    /// Asks this relay for comparisons.
    #[must_use]
    pub fn comparer(&self) -> Comparer {
        Comparer { checks: self.checks.clone() }
    }

    /// Waits for the relay's end, after its token was cancelled: a moment.
    pub async fn stopped(self) {
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the relay's task ended badly");
        }
    }
}
