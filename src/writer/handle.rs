//! The writer as its callers see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot};

use super::answer::{Accepted, WriteError};
use crate::domain::command::Command;
use crate::domain::position::Position;
use crate::telemetry::traces::Below;

/// A command on its way to the writer.
pub struct Submission {
    /// What is asked for.
    pub command: Command,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Result<Accepted, WriteError>>,
    /// Where the append's span belongs, if the request is traced.
    pub below: Option<Below>,
}

/// Sends commands to the writer: cheap to clone.
#[derive(Clone)]
pub struct WriterHandle {
    queue: mpsc::Sender<Submission>,
    acknowledged: Acknowledged,
}

/// The highest position that the writer has acknowledged. Kept by the writer alone, which knows when the ledger has
/// lost history and with it what was acknowledged.
#[derive(Debug, Clone, Default)]
pub struct Acknowledged(Arc<AtomicU64>);

impl Acknowledged {
    pub(super) fn raise_to(&self, position: Position) {
        self.0.fetch_max(position.get(), Ordering::AcqRel);
    }

    pub(super) fn forget(&self) {
        self.0.store(0, Ordering::Release);
    }
}

impl WriterHandle {
    /// A handle, and the queue's other end, which holds `capacity` submissions at most.
    #[must_use]
    pub fn new(capacity: usize) -> (Self, mpsc::Receiver<Submission>) {
        let (queue, submissions) = mpsc::channel(capacity);
        (Self { queue, acknowledged: Acknowledged::default() }, submissions)
    }

    /// For the writer, to keep.
    pub(super) fn acknowledgements(&self) -> Acknowledged {
        self.acknowledged.clone()
    }

    /// Has the command decided and its events appended. Answers within the writer's deadline, whatever the
    /// database does.
    ///
    /// # Errors
    /// [`WriteError`], which says whether anything was written.
    pub async fn submit(&self, command: Command) -> Result<Accepted, WriteError> {
        self.submit_below(None, command).await
    }

    /// As [`Self::submit`], of a request that is traced.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn submit_below(&self, below: Option<Below>, command: Command) -> Result<Accepted, WriteError> {
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(Submission { command, answer, below }).map_err(|_| WriteError::Unavailable)?;
        // The writer answers everything that it took before it ends; if it was torn down, nobody knows.
        answered.await.unwrap_or(Err(WriteError::OutcomeUnknown))
    }

    /// The highest position that this process has acknowledged to a caller: what its reads must show.
    #[must_use]
    pub fn acknowledged(&self) -> Position {
        Position::new(self.acknowledged.0.load(Ordering::Acquire))
    }
}
