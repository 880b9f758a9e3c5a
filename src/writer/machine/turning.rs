//! What a turn is to settle, and how far it has come.

use super::group::{Decided, Knowledge, Pending, Verdict, unsent};
use super::io::Failure;
use crate::domain::record::Recorded;
use crate::log::head::Head;
use crate::writer::answer::WriteError;

/// What a turn is to settle.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Unsettled {
    /// Nothing of these was sent.
    Undecided(Vec<Pending>),
    /// An append that did not simply succeed.
    Append(Decided, Failure),
}

/// How far a turn has come.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Turning {
    /// Waiting for the lock.
    Opening(Unsettled),
    /// Within the turn, states are being loaded.
    Loading(Vec<Pending>, Knowledge),
    /// Closing with an append.
    Appending(Decided),
    /// Our events were there: closing with a write. Then this is the rest of the log.
    Confirming(Decided, After),
    /// Closing with the hold.
    Holding(Unsettled),
    /// Closing without a write; then these are the answers.
    Ending(Vec<(Pending, Verdict)>),
}

/// What follows after our own events.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum After {
    /// These events.
    Events(Vec<Recorded>),
    /// More than is worth folding.
    Far(Head),
}

impl Turning {
    /// Each command, and what its caller is told should its deadline pass now.
    pub(super) fn under_way(&mut self) -> Vec<(&mut Pending, WriteError)> {
        match self {
            Self::Opening(Unsettled::Undecided(group))
            | Self::Holding(Unsettled::Undecided(group))
            | Self::Loading(group, _) => unsent(group),
            Self::Opening(Unsettled::Append(decided, _)) | Self::Holding(Unsettled::Append(decided, _)) => {
                let sent = decided.maybe_sent;
                decided.pendings(sent)
            }
            Self::Appending(decided) | Self::Confirming(decided, _) => decided.pendings(true),
            Self::Ending(verdicts) => {
                let told = |verdict: &Verdict| match verdict {
                    Err(WriteError::OutcomeUnknown) => WriteError::OutcomeUnknown,
                    _ => WriteError::Unavailable,
                };
                verdicts.iter_mut().map(|(pending, verdict)| (pending, told(verdict))).collect()
            }
        }
    }
}

impl Unsettled {
    /// An append that ended in `failure`.
    pub(super) fn append(mut decided: Decided, failure: Failure) -> Self {
        decided.maybe_sent |= failure == Failure::Unknown;
        Self::Append(decided, failure)
    }

    /// Everybody is answered with `error`, save those whose events may be in the log or yet go in.
    pub(super) fn refused(self, error: &WriteError) -> Vec<(Pending, Verdict)> {
        match self {
            Self::Undecided(group) => {
                group.into_iter().map(|pending| (pending, Err(error.clone()))).collect()
            }
            Self::Append(decided, _) => decided.refused(error),
        }
    }

    pub(super) fn into_group(self) -> Vec<Pending> {
        match self {
            Self::Undecided(group) => group,
            Self::Append(decided, _) => decided.into_group(),
        }
    }
}

impl Decided {
    /// Whether the event that follows on the head is this group's first.
    pub(super) fn came_next(&self, next: Option<uuid::Uuid>) -> bool {
        let first = self.entries.first().map(|entry| entry.recorded.event.id);
        first.is_some() && first == next
    }
}
