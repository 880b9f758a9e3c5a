//! What a verification found.

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
    /// Where in the log, as exactly as can be told.
    pub position: Option<Position>,
    /// Where in the file.
    pub line: Option<u64>,
    /// What.
    pub what: String,
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

    /// Notes that something is wrong; the first finding is kept.
    pub fn wrong(&mut self, position: Option<Position>, line: Option<u64>, what: impl Into<String>) {
        match &mut self.outcome {
            Outcome::Bad(_, count) => *count += 1,
            Outcome::Good | Outcome::LeftOut(_) => {
                self.outcome = Outcome::Bad(Finding { position, line, what: what.into() }, 1);
            }
        }
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
    /// The log of the last checkpoint that is of these events, and its size.
    pub sealed: Option<(String, u64)>,
    /// What else an auditor should know.
    pub notes: Vec<String>,
}

impl Report {
    /// Whether anything is wrong.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        self.checks.iter().any(Check::is_bad)
    }

    /// The wrong thing that comes first in the log; of those at one position, the one whose check comes first.
    #[must_use]
    pub fn first_wrong(&self) -> Option<(CheckName, &Finding)> {
        let found = self.checks.iter().filter_map(|check| match &check.outcome {
            Outcome::Bad(finding, _) => Some((check.name, finding)),
            Outcome::Good | Outcome::LeftOut(_) => None,
        });
        let place = |finding: &Finding| finding.position.map_or(u64::MAX, Position::get);
        found.min_by_key(|(name, finding)| (place(finding), *name))
    }
}
