//! What a verification found.

use std::collections::BTreeMap;
use std::fmt;

use crate::domain::position::Position;
use crate::tlog::Hash;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CheckName {
    /// The file is whole.
    File,
    /// Each record's bytes are those that were exported.
    Sums,
    /// Every record can be read.
    Records,
    /// Positions, versions, numbers, times, ids, transitions, tenancy: see [`crate::domain::lawful`].
    Rules,
    /// No caller's idempotency key is used twice.
    Keys,
    /// The columns say what the records say.
    Columns,
    /// The tree over the records is the one that the export or the table of tiles says.
    Tree,
    /// Every checkpoint is signed, and is of this very log.
    Checkpoints,
    /// The snapshots are what the fold gives.
    Snapshots,
    /// The read table is what the fold gives.
    ReadTable,
    /// The stream on NATS is the log.
    Stream,
}

impl CheckName {
    /// In reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Sums => "sums",
            Self::Records => "records",
            Self::Rules => "rules",
            Self::Keys => "idempotency keys",
            Self::Columns => "columns",
            Self::Tree => "tree",
            Self::Checkpoints => "checkpoints",
            Self::Snapshots => "snapshots",
            Self::ReadTable => "read table",
            Self::Stream => "stream",
        }
    }
}

impl fmt::Display for CheckName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The first thing that a check found wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where in the log; at the earliest, where `up_to` is some.
    pub position: Option<Position>,
    /// Where in the log at the latest, where no more can be told than that it is between the two.
    pub up_to: Option<Position>,
    /// Where in the file.
    pub line: Option<u64>,
    /// What.
    pub what: String,
}

impl Finding {
    /// In what order they come: by where they are at the latest, so that one that names the place exactly comes before the
    /// bounds that it lies within; what has no place comes last.
    fn order(&self) -> (u64, bool) {
        (self.up_to.or(self.position).map_or(u64::MAX, Position::get), self.up_to.is_some())
    }

    /// Where it is, for people: ends in a comma and a space, or is empty.
    #[must_use]
    pub fn place(&self) -> String {
        let position = match (self.position, self.up_to) {
            (Some(first), Some(last)) if first < last => format!("position {first} to {last}, "),
            (Some(position), _) => format!("position {position}, "),
            (None, _) => String::new(),
        };
        position + &self.line.map_or(String::new(), |line| format!("line {line}, "))
    }
}

/// How a check went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is wrong.
    Good,
    /// Something is: the first of so many things.
    Bad(Finding, u64),
    /// It was not done, for this reason.
    LeftOut(String),
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Which.
    pub name: CheckName,
    /// How many things were looked at.
    pub looked_at: u64,
    /// How it went.
    pub outcome: Outcome,
}

impl Check {
    /// Before anything was looked at.
    #[must_use]
    pub fn new(name: CheckName) -> Self {
        Self { name, looked_at: 0, outcome: Outcome::Good }
    }

    /// One that is not done.
    #[must_use]
    pub fn left_out(name: CheckName, why: impl Into<String>) -> Self {
        Self { name, looked_at: 0, outcome: Outcome::LeftOut(why.into()) }
    }

    /// Notes that something is wrong, at this very position if one is given.
    pub fn wrong(&mut self, position: Option<Position>, line: Option<u64>, what: impl Into<String>) {
        self.found(Finding { position, up_to: None, line, what: what.into() }, 1);
    }

    /// Notes that something is wrong somewhere from `first` to `last`; at this very position, if they are one.
    pub fn wrong_within(
        &mut self,
        (first, last): (Position, Position),
        line: Option<u64>,
        what: impl Into<String>,
    ) {
        // Of one position no more need be told.
        let up_to = (first < last).then_some(last);
        self.found(Finding { position: Some(first), up_to, line, what: what.into() }, 1);
    }

    /// Notes what is wrong, the first of so many things; the first finding of all is kept.
    pub(super) fn found(&mut self, finding: Finding, further: u64) {
        match &mut self.outcome {
            Outcome::Bad(first, count) => {
                *count += further;
                if finding.order() < first.order() {
                    *first = finding;
                }
            }
            Outcome::Good | Outcome::LeftOut(_) => self.outcome = Outcome::Bad(finding, further),
        }
    }

    /// It could not be done, or not to its end: what was not looked at does not pass for good.
    pub fn unfinished(&mut self, error: &dyn std::error::Error) {
        self.wrong(None, None, format!("it could not be looked at: {error}"));
    }

    /// Whether something was wrong.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        matches!(self.outcome, Outcome::Bad(..))
    }
}

/// A whole verification.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The checks, in the order in which they were done.
    pub checks: Vec<Check>,
    /// Events in the log.
    pub events: u64,
    /// The root of the tree over their records.
    pub root: Hash,
    /// Of each log the size of its last checkpoint that is of these events.
    pub sealed: BTreeMap<String, u64>,
    /// What else an auditor should know.
    pub notes: Vec<String>,
}

impl Report {
    /// Whether anything is wrong.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        self.checks.iter().any(Check::is_bad)
    }

    /// The wrong thing that comes first in the log; of those at one place, the one whose check comes first.
    #[must_use]
    pub fn first_wrong(&self) -> Option<(CheckName, &Finding)> {
        let found = self.checks.iter().filter_map(|check| match &check.outcome {
            Outcome::Bad(finding, _) => Some((check.name, finding)),
            Outcome::Good | Outcome::LeftOut(_) => None,
        });
        found.min_by_key(|(name, finding)| (finding.order(), *name))
    }
}
