//! What callers asked for, what they were told, and when: data alone.

use std::time::Duration;

use serde_json::Value;

/// Since the round began.
pub(crate) type Moment = Duration;

/// What a caller asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Asked {
    /// A new task, which has so many events.
    Create { events: usize },
    /// A change of a task.
    Patch { vtid: String },
    /// How a task stands, at that position or later.
    Get { vtid: String, at_least: u64 },
    /// The newest tasks, of a status or of any, at that position or later.
    List { status: Option<&'static str>, limit: usize, at_least: u64 },
}

impl Asked {
    /// Nothing is written.
    pub(crate) fn is_read(&self) -> bool {
        matches!(self, Self::Get { .. } | Self::List { .. })
    }

    /// The position that a read must show at least, for its caller has asked for it.
    pub(crate) fn at_least(&self) -> u64 {
        match self {
            Self::Get { at_least, .. } | Self::List { at_least, .. } => *at_least,
            Self::Create { .. } | Self::Patch { .. } => 0,
        }
    }
}

/// A task's row, and where it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Seen {
    /// `Ledger-Position`.
    pub(crate) position: u64,
    /// Of the `ETag`.
    pub(crate) version: u64,
    pub(crate) row: Value,
}

/// What the caller was told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Told {
    /// 200 to a write; `replayed` where the answer says that an earlier try had gone in.
    Written { seen: Seen, replayed: bool },
    /// 200 to a read.
    Shown(Seen),
    /// 200 to a list.
    Listed { position: u64, rows: Vec<Value> },
    /// Any 4xx; of a 409 the status that the task had.
    Refused { status: u16, from: Option<String> },
    /// 503 or 429 to a write, and nothing was written.
    NotWritten,
    /// 503 `outcome_unknown`: it may have been written.
    Unknown,
    /// No answer, or not all of it: a write may have been written.
    Silence,
    /// 503 or 429 to a read.
    NotShown,
    /// Something that no caller is to see.
    Failed(String),
}

/// One request and its answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Call {
    /// Its `X-Request-Id`, which its events bear as `correlationid`.
    pub(crate) request: String,
    /// Its `Idempotency-Key`: every try of one write bears the same.
    pub(crate) key: String,
    pub(crate) asked: Asked,
    /// Which process of the ledger was asked: one that is started again is another.
    pub(crate) process: u32,
    pub(crate) sent: Moment,
    /// When the answer was there, or the caller gave up.
    pub(crate) answered: Moment,
    pub(crate) told: Told,
}

impl Call {
    /// How long the answer took.
    pub(crate) fn took(&self) -> Duration {
        self.answered.saturating_sub(self.sent)
    }

    /// How many events the write has, once it is in the log.
    pub(crate) fn events(&self) -> usize {
        match self.asked {
            Asked::Create { events } => events,
            Asked::Patch { .. } => 1,
            Asked::Get { .. } | Asked::List { .. } => 0,
        }
    }

    /// The position of a write that was acknowledged.
    pub(crate) fn acknowledged(&self) -> Option<u64> {
        match &self.told {
            Told::Written { seen, .. } => Some(seen.position),
            _ => None,
        }
    }

    /// Whether its caller does not have what it asked for, and is to try again.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.told, Told::NotWritten | Told::Unknown | Told::Silence)
    }
}
