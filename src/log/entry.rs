//! An event on its way to the followers.

use std::sync::Arc;

use crate::domain::position::Position;
use crate::domain::record::Recorded;
use crate::domain::task::Task;

/// A task before and after one event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Transition {
    /// None for a task's first event.
    pub before: Option<Arc<Task>>,
    /// The fold up to and with the event.
    pub after: Arc<Task>,
}

/// An event of the log with its record, and what it did to its task where that is known already.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The event and its exact bytes.
    pub recorded: Recorded,
    /// Known where this process's writer decided the event; else [`super::folder::Folder`] finds it.
    pub transition: Option<Transition>,
}

impl Entry {
    /// An event as read from the log.
    #[must_use]
    pub fn read(recorded: Recorded) -> Self {
        Self { recorded, transition: None }
    }

    /// The event's position.
    #[must_use]
    pub fn position(&self) -> Position {
        self.recorded.event.position
    }

    /// About how many bytes it holds in memory.
    #[must_use]
    pub fn approximate_bytes(&self) -> usize {
        // The record, the event parsed from it, and two states: a rough upper bound.
        512 + 4 * self.recorded.body.len()
    }
}
