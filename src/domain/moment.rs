//! A point in the ledger's past, as callers name it, and as the log has it.

use super::position::Position;
use super::time::Timestamp;

/// Up to which event something is to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Moment {
    /// Up to and with this one.
    Position(Position),
    /// All that were recorded until then, and then.
    At(Timestamp),
}

impl Moment {
    /// Its name and value, for what is bound to it.
    #[must_use]
    pub fn named(self) -> (&'static str, Option<String>) {
        match self {
            Self::Position(position) => ("position", Some(position.to_string())),
            Self::At(time) => ("at", Some(time.to_string())),
        }
    }
}

/// A place in the log, with its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// The position; zero before the first event.
    pub position: Position,
    /// When its event was recorded; [`Timestamp::MIN`] before the first one.
    pub time: Timestamp,
}

impl Place {
    /// Before the first event.
    pub const START: Self = Self { position: Position::ZERO, time: Timestamp::MIN };
}
