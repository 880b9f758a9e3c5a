//! One process: writer, projector and relay, and the newest entries that they share in memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use uuid::Uuid;
use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::domain::task::Task;
use vtid_ledger::domain::vtid::Vtid;
use vtid_ledger::log::entry::Entry;
use vtid_ledger::log::hold::Losses;
use vtid_ledger::log::tail::Tail;
use vtid_ledger::oasis::relay::machine::{Generation, Limits};
use vtid_ledger::projections::machine::{self as projector, CursorMachine};
use vtid_ledger::writer::machine::Writer;

use super::leases::{LEASES, Lease};
use crate::simulation::database::Epoch;
use crate::simulation::log_model::LogModel;
use crate::simulation::relay::Relay;
use crate::simulation::writer_shell::{Coming, WriterShell};

/// Reads back all that a run can have, so that everything which differs is found.
const RELAY: Limits = Limits {
    in_flight: 4,
    in_flight_bytes: 1 << 20,
    read_back: 256,
    reads: 8,
    answer_ms: 400,
    retry_first_ms: 20,
    retry_most_ms: 200,
    look_again_ms: 200,
    recheck_ms: 300,
    scrub_reads: 3,
    scrub_every_ms: 40,
    scrub_pass_ms: 1000,
};
/// A few entries.
const TAIL_BYTES: usize = 24 << 10;

/// A writer that waits for its relay to compare stream and log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Comparing {
    pub(super) asked: Generation,
    pub(super) until_ms: u64,
    /// What the stream had, when it was asked for, that the log does not have.
    pub(super) lost: Option<Loss>,
}

/// The first difference between stream and log: an event that this ledger has published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Loss {
    pub(super) database: Epoch,
    pub(super) stream: u32,
    pub(super) accepted: Losses,
    pub(super) sequence: usize,
    pub(super) id: Uuid,
}

/// Events on their way to the read table: whether this process decided them itself.
pub(super) type Batch = Vec<(Arc<Entry>, bool)>;

#[derive(Default)]
pub(super) struct Projector {
    pub(super) machine: CursorMachine,
    pub(super) asked: Option<projector::Output>,
    pub(super) coming: Option<projector::Input>,
    pub(super) batch: Batch,
    pub(super) states: BTreeMap<Vtid, Arc<Task>>,
    pub(super) losses: Losses,
}

pub(super) struct RelayShell {
    pub(super) relay: Relay,
    /// The feed has looked at where it begins.
    pub(super) begun: bool,
    pub(super) losses: Losses,
    pub(super) disconnected_until_ms: u64,
}

pub(super) struct Replica {
    pub(super) writer: WriterShell,
    /// How wrong its clock is.
    pub(super) skew_ms: i64,
    pub(super) comparing: Option<Comparing>,
    /// The comparison is over, whatever came of it.
    pub(super) compared: bool,
    /// The database to which the writer was connected when it last had stream and log compared.
    pub(super) compared_with: Option<Epoch>,
    pub(super) delivered: Option<Coming>,
    pub(super) tail: Tail,
    pub(super) late_applies: Vec<super::projector::LateApply>,
    pub(super) projector: Projector,
    pub(super) relay: RelayShell,
    pub(super) leases: [Lease; 2],
    /// It stands still until then.
    pub(super) frozen_until_ms: u64,
}

pub(super) fn new_writer() -> Writer {
    crate::simulation::writer_world::new_writer()
}

impl Replica {
    pub(super) fn new(process: u32) -> Self {
        Self {
            writer: WriterShell::new(new_writer(), None),
            skew_ms: 0,
            comparing: None,
            compared: false,
            compared_with: None,
            delivered: None,
            tail: Tail::new(TAIL_BYTES),
            late_applies: Vec::new(),
            projector: Projector::default(),
            relay: RelayShell::new(),
            leases: LEASES.map(|_| Lease::new(process)),
            frozen_until_ms: 0,
        }
    }

    /// What a follower is given after `cursor`; none where the log has another past.
    pub(super) fn follow(&self, log: &LogModel, cursor: Cursor, max: usize) -> Option<Batch> {
        let handed_over = self.tail.after(cursor, max).unwrap_or_default();
        if !handed_over.is_empty() {
            return Some(handed_over.into_iter().map(|entry| (entry, true)).collect());
        }
        Some(log.after(cursor, max)?.iter().map(|row| (Arc::clone(&row.entry), false)).collect())
    }
}

impl RelayShell {
    pub(super) fn new() -> Self {
        Self { relay: Relay::new(RELAY), begun: false, losses: Losses::default(), disconnected_until_ms: 0 }
    }

    /// A new process; what the old one published may still arrive.
    pub(super) fn crash(&mut self) {
        self.relay.cut();
        let dead: VecDeque<_> = std::mem::take(&mut self.relay.dead);
        *self = Self::new();
        self.relay.dead = dead;
    }
}
