//! The writer as its callers see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot};

use super::answer::{Accepted, WriteError};
use crate::domain::command::Command;
use crate::domain::position::Position;

/// A command on its way to the writer.
pub struct Submission {
    /// What is asked for.
    pub command: Command,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Result<Accepted, WriteError>>,
}

/// Sends commands to the writer: cheap to clone.
#[derive(Clone)]
pub struct WriterHandle {
    queue: mpsc::Sender<Submission>,
    acknowledged: Arc<AtomicU64>,
}

impl WriterHandle {
    /// A handle, and the queue's other end, which holds `capacity` submissions at most.
    #[must_use]
    pub fn new(capacity: usize) -> (Self, mpsc::Receiver<Submission>) {
        let (queue, submissions) = mpsc::channel(capacity);
        (Self { queue, acknowledged: Arc::default() }, submissions)
    }

    /// Has the command decided and its events appended. Answers within the writer's deadline, whatever the
    /// database does.
    ///
    /// # Errors
    /// [`WriteError`], which says whether anything was written.
    pub async fn submit(&self, command: Command) -> Result<Accepted, WriteError> {
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(Submission { command, answer }).map_err(|_| WriteError::Unavailable)?;
        // The writer answers everything that it took before it ends; if it was torn down, nobody knows.
        let accepted = answered.await.unwrap_or(Err(WriteError::OutcomeUnknown))?;
        self.acknowledged.fetch_max(accepted.task.position.get(), Ordering::AcqRel);
        Ok(accepted)
    }

    /// The highest position that this process has acknowledged to a caller: what its reads must show.
    #[must_use]
    pub fn acknowledged(&self) -> Position {
        Position::new(self.acknowledged.load(Ordering::Acquire))
    }
}
