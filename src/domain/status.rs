//! The status of a task, and where it may go from there.

use std::fmt;

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Status {
    /// Not begun.
    #[default]
    Pending,
    /// Being worked on.
    Active,
    /// Waiting for something.
    Blocked,
    /// Done: final.
    Complete,
    /// Given up: final.
    Cancelled,
}

/// The text names no status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of pending, active, blocked, complete, cancelled")]
pub struct UnknownStatus;

impl Status {
    /// Every status, in the contract's order.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Active, Self::Blocked, Self::Complete, Self::Cancelled];

    /// The word in the API, in the record and in the read table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Blocked => "blocked",
            Self::Complete => "complete",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads the word.
    ///
    /// # Errors
    /// [`UnknownStatus`] for any other text; upper case is other text.
    pub fn parse(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(UnknownStatus)
    }

    /// The statuses that a task may be given from here, besides the one that it has.
    #[must_use]
    pub const fn allowed(self) -> &'static [Self] {
        use Status::{Active, Blocked, Cancelled, Complete, Pending};
        match self {
            Pending => &[Active, Blocked, Complete, Cancelled],
            Active => &[Pending, Blocked, Complete, Cancelled],
            Blocked => &[Pending, Active, Complete, Cancelled],
            Complete | Cancelled => &[],
        }
    }

    /// Whether a patch may set `to`. Setting the status that a task already has is always allowed.
    #[must_use]
    pub fn may_become(self, to: Self) -> bool {
        self == to || self.allowed().contains(&to)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_transitions() {
        let table = [
            ("pending", "active blocked complete cancelled"),
            ("active", "pending blocked complete cancelled"),
            ("blocked", "pending active complete cancelled"),
            ("complete", ""),
            ("cancelled", ""),
        ];
        for (from, allowed) in table {
            let from = Status::parse(from).unwrap();
            for to in Status::ALL {
                let expected = from == to || allowed.split(' ').any(|word| word == to.as_str());
                assert_eq!(from.may_become(to), expected, "{from} to {to}");
            }
        }
    }

    #[test]
    fn words_come_back_and_others_are_refused() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Ok(status));
        }
        for text in ["", "Pending", "completed", "canceled", " active", "failed"] {
            assert_eq!(Status::parse(text), Err(UnknownStatus), "{text:?}");
        }
    }
}
