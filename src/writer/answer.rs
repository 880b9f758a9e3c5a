//! What a caller gets back for a command.

use std::sync::Arc;

use crate::domain::decide::Refusal;
use crate::domain::task::Task;

/// The command's events are in the log, durably.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Accepted {
    /// The task after the command's last event; its position and version are that event's.
    pub task: Arc<Task>,
    /// It had gone in before, under the same idempotency key.
    pub replayed: bool,
}

/// Why a command is not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
pub enum WriteError {
    /// The rules refuse it; nothing was written. The caller must ask for something else.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// Nothing was written: too many commands wait, the database is away, or the service stops. Try again.
    #[error("nothing was written; try again")]
    Unavailable,
    /// It may have been written: try again with the same idempotency key.
    #[error("it may have been written")]
    OutcomeUnknown,
    /// Nothing was written: the ledger lost history, and an operator must decide.
    #[error("the ledger lost history; nothing is written until an operator has decided")]
    LedgerBehind,
    /// Nothing was written: the database refuses this command, or the log is damaged. A bug.
    #[error("the log refuses this command")]
    Internal,
}
