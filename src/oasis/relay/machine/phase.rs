//! Where the machine stands between what it hears and what it does next.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{Millis, Position};
use crate::oasis::published::Found;

/// The last position of which the stream is known to hold this ledger's events, all of them up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Proven {
    pub(super) position: Position,
    /// None where the position is taken on trust: it lies further back than any relay has had in flight.
    pub(super) id: Option<Uuid>,
}

/// How far back the next look at the stream goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Look {
    /// From some way before the stream's end: nothing was proven yet.
    Start,
    /// As far before what was proven: the stream may have lost its end, and others have filled it.
    Back,
    /// From the last proven position.
    Further,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    Waiting { until: Millis },
    Opening { deadline: Millis },
    Reading(Reading),
    Following(Following),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Reading {
    /// The stream's last sequence, and the log's head as it was after that was read.
    pub(super) last: Position,
    pub(super) head: Position,
    /// The next sequence to compare: the one after `proven`, or `proven` itself.
    pub(super) cursor: Position,
    /// The next sequence to ask for.
    pub(super) ask: Position,
    /// What has come and was not compared yet.
    pub(super) found: BTreeMap<Position, Found>,
    /// Whether the log was asked about the message at `cursor`, or behind a foreign one.
    pub(super) log_asked: bool,
    pub(super) deadline: Millis,
    /// What is read first, before anything is compared.
    pub(super) suspect: Option<Position>,
    /// A message that is not the ledger's was found: what stands behind it is looked at before the relay stops there.
    pub(super) foreign: Option<Foreign>,
}

/// The look behind a foreign message, from the stream's end back to the last event of the ledger: if the log has that one,
/// it has lost nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Foreign {
    /// The first foreign message.
    pub(super) sequence: Position,
    /// Which message is read now.
    pub(super) looks_at: Position,
    /// How many more may be.
    pub(super) left: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Following {
    /// The last position that was published; `proven` if nothing is in flight.
    pub(super) sent: Position,
    pub(super) sent_bytes: usize,
    /// Acknowledged ahead of their turn.
    pub(super) acked: BTreeSet<Position>,
    pub(super) deadline: Millis,
    pub(super) recheck_at: Millis,
}
