//! What a projector tells of itself.

use crate::domain::position::Position;

/// How far a projection has come, as far as this process knows, and how its projector fares.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ProjectorStatus {
    /// Every event up to here is in the read table; another replica's projector may have come further since.
    pub position: Position,
    /// How the projector fares.
    pub state: ProjectorState,
}

/// How a projector fares.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum ProjectorState {
    /// It does not know its cursor yet.
    #[default]
    Starting,
    /// It follows the log.
    Following,
    /// The database does not do what it is asked to; the projector tries again.
    Unavailable {
        /// What the database said.
        reason: String,
    },
    /// The log does not hold an event that was projected or was to be: the ledger lost history. The projector asks
    /// for the hold and goes on from where the database stands.
    OtherPast {
        /// The event that the log does not hold.
        position: Position,
    },
    /// It can't apply an event and does not go on past it. It tries again, so that an upgrade or a rebuild heals it.
    Stopped {
        /// The event.
        position: Position,
        /// Why it can't be applied.
        reason: String,
        /// This program can't read it: the process is not ready.
        unreadable: bool,
    },
    /// Code of a later revision projects or rebuilds; this process only watches.
    Superseded {
        /// That code's revision.
        revision: i32,
    },
}

impl ProjectorStatus {
    /// Whether this process could project, as far as it knows: a later version, or one that can read the next event,
    /// goes first.
    #[must_use]
    pub fn is_able(&self) -> bool {
        !matches!(
            self.state,
            ProjectorState::Superseded { .. } | ProjectorState::Stopped { unreadable: true, .. }
        )
    }
}

impl ProjectorState {
    /// What is wrong, for people; none while it follows or starts.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        match self {
            Self::Starting | Self::Following => None,
            Self::Unavailable { reason } => Some(format!("the projector can't work: {reason}")),
            Self::OtherPast { position } => {
                Some(format!("the log does not hold the event that was at position {position}"))
            }
            Self::Stopped { position, reason, .. } => {
                Some(format!("the event at position {position} can't be projected: {reason}"))
            }
            Self::Superseded { revision } => {
                Some(format!("a later version (revision {revision}) keeps the read table"))
            }
        }
    }
}
