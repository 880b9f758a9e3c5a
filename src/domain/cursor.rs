//! A place in the log, and the proof that the log is still the one it was read from.

use uuid::Uuid;

use super::event::Event;
use super::position::Position;

/// How far somebody has come in the log. The event's id tells the log that it read from another one that
/// gives out the same positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Cursor {
    /// Before the first event.
    #[default]
    Start,
    /// At this event.
    At {
        /// The event's position.
        position: Position,
        /// The event's id.
        id: Uuid,
    },
}

impl Cursor {
    /// At `event`.
    #[must_use]
    pub fn at(event: &Event) -> Self {
        Self::At { position: event.position, id: event.id }
    }

    /// The position; zero at the start.
    #[must_use]
    pub fn position(self) -> Position {
        match self {
            Self::Start => Position::ZERO,
            Self::At { position, .. } => position,
        }
    }

    /// The event's id; none at the start.
    #[must_use]
    pub fn id(self) -> Option<Uuid> {
        match self {
            Self::Start => None,
            Self::At { id, .. } => Some(id),
        }
    }
}
