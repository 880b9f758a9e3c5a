//! What is found, and what a sealer tells of itself.

use std::fmt;

use crate::domain::position::Position;
use crate::log::hold::Hold;

/// The past is not the one that was sealed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Finding {
    /// The first position that may be wrong, as far as is known.
    pub first: Position,
    /// The last one that may be.
    pub last: Position,
    /// What was found, for people: the same words as long as it is the same thing.
    pub what: String,
}

impl Finding {
    /// What the hold that was set because of a finding says of it; a hold that was not made so is taken as it is.
    #[must_use]
    pub fn of_hold(hold: &Hold) -> Self {
        let bare = Self { first: hold.position, last: hold.last, what: String::new() };
        let what = hold.reason.strip_prefix(&bare.hold().reason).unwrap_or(&hold.reason);
        Self { what: what.to_owned(), ..bare }
    }

    /// The hold that says this.
    #[must_use]
    pub fn hold(&self) -> Hold {
        Hold { reason: format!("the sealer: {self}"), position: self.first, last: self.last }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last, what } = self;
        if first == last {
            write!(f, "the past is not the one that was sealed, at position {first}: {what}")
        } else {
            write!(f, "the past is not the one that was sealed, between positions {first} and {last}: {what}")
        }
    }
}

/// How far the log is sealed, as far as this process knows, and how its sealer fares.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct SealerStatus {
    /// The size of the newest checkpoint.
    pub position: Position,
    /// How the sealer fares.
    pub state: SealerState,
}

/// How a sealer fares.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum SealerState {
    /// It has not looked at the past yet.
    #[default]
    Starting,
    /// It seals, or watches another process that does.
    Following,
    /// It seals nothing, as the past does not fit.
    Tampered(Finding),
    /// The log does not hold an event that was to be sealed: the ledger lost history. The sealer asks for the hold and goes
    /// on from where the database stands.
    OtherPast {
        /// The event that the log does not hold.
        position: Position,
    },
    /// The database does not do what it is asked to; the sealer tries again.
    Unavailable {
        /// What the database said.
        reason: String,
    },
}

impl SealerState {
    /// What is wrong, for people; none while it follows or starts.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        match self {
            Self::Starting | Self::Following => None,
            Self::Tampered(finding) => Some(format!("{finding}; nothing is sealed")),
            Self::OtherPast { position } => {
                Some(format!("the log does not hold the event that was at position {position}"))
            }
            Self::Unavailable { reason } => Some(format!("nothing is sealed: {reason}")),
        }
    }
}

impl SealerStatus {
    /// Whether this process could seal, as far as it knows. What it finds in the past, another would find too.
    #[must_use]
    pub fn is_able(&self) -> bool {
        !matches!(self.state, SealerState::Unavailable { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_says_what_was_found() {
        for (first, last) in [(3, 3), (3, 9)] {
            let (first, last) = (Position::new(first), Position::new(last));
            let finding = Finding { first, last, what: "the witness w of log: no".to_owned() };
            assert_eq!(Finding::of_hold(&finding.hold()), finding);
            let other = Hold { reason: "by hand".to_owned(), ..finding.hold() };
            assert_eq!(Finding::of_hold(&other), Finding { what: "by hand".to_owned(), ..finding });
        }
    }
}
