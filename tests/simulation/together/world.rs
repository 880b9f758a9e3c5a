//! Two or three replicas, each with writer, projector and relay, on one database and one stream. What happens next is the seed's
//! to say.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;

use fastrand::Rng;
use uuid::Uuid;
use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::domain::time::Timestamp;
use vtid_ledger::log::entry::Entry;
use vtid_ledger::writer::machine::{Input, Now};

use super::auditor::Auditor;
use super::callers::Callers;
use super::counts::Counts;
use super::operator::Task;
use super::replica::Replica;
use crate::simulation::commands::POISON;
use crate::simulation::database::{Database, Who};
use crate::simulation::faults::Fault;
use crate::simulation::lease_model::Row;
use crate::simulation::log_model::{LatestTime, LogModel};
use crate::simulation::promises::{Promise, Promises};
use crate::simulation::stream_model::{Lookup, StreamModel};

const REPLICAS: std::ops::RangeInclusive<u32> = 2..=3;
/// A second before a year ends.
const WALL: i64 = 1_767_225_599_000;

/// How far ahead of the database's clock an event's time may lie.
pub(super) const MAX_AHEAD_MS: i64 = 60_000;

pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) database: Database,
    pub(super) stream: StreamModel,
    /// How often it has lost messages.
    pub(super) stream_epoch: u32,
    pub(super) replicas: Vec<Replica>,
    /// The newest row of each lease.
    pub(super) leases: [Option<Row>; 2],
    /// Processes that there ever were.
    pub(super) processes: u32,
    pub(super) promises: Promises,
    pub(super) callers: Callers,
    pub(super) auditor: Auditor,
    /// Every event that ever stood in a log, by its id, with the one before it: what the stream's messages hold.
    pub(super) archive: HashMap<Uuid, (Arc<Entry>, Cursor)>,
    /// There is no right any more.
    pub(super) over: bool,
    pub(super) task: Option<Task>,
    pub(super) elapsed_ms: u64,
    pub(super) database_away_until: u64,
    pub(super) nats_away_until: u64,
    /// Nothing goes wrong any more.
    pub(super) calm: bool,
    pub(super) counts: Counts,
    steps: u32,
    /// Every step is printed.
    pub(super) loud: bool,
}

impl World {
    pub(super) fn new(seed: u64, loud: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let lookup = if rng.bool() { Lookup::IdFirst } else { Lookup::SequenceFirst };
        let latest = LatestTime(Timestamp::MAX);
        let processes = rng.u32(REPLICAS);
        let mut world = Self {
            rng,
            database: Database::new(LogModel::new(6, Some(POISON)), latest),
            stream: StreamModel::new(lookup),
            stream_epoch: 0,
            replicas: (1..=processes).map(Replica::new).collect(),
            leases: [None; 2],
            processes,
            promises: Promises::default(),
            callers: Callers::default(),
            auditor: Auditor::new(),
            archive: HashMap::new(),
            over: false,
            task: None,
            elapsed_ms: 0,
            database_away_until: 0,
            nats_away_until: 0,
            calm: true,
            counts: Counts::default(),
            steps: 0,
            loud,
        };
        world.everybody().for_each(|who| world.start(who).unwrap());
        world
    }

    /// A process begins.
    pub(super) fn start(&mut self, who: Who) -> Promise {
        self.replicas[who].relay.relay.connected = !self.nats_is_away();
        self.lead_relay(who)?;
        self.tell_projector(who, vtid_ledger::projections::machine::Input::Started);
        self.tell_writer(who, Input::Start, self.database.epoch)
    }

    pub(super) fn replica(&mut self) -> Who {
        self.rng.usize(..self.replicas.len())
    }

    pub(super) fn everybody(&self) -> std::ops::Range<Who> {
        0..self.replicas.len()
    }

    /// One in `n`, as long as things go wrong.
    pub(super) fn faulty(&mut self, n: u32) -> bool {
        !self.calm && self.rng.u32(..n) == 0
    }

    pub(super) fn fire(&mut self, fault: Fault) {
        self.counts.count(fault);
        self.say(|| format!("   {fault:?}"));
    }

    /// Printed where this one run is looked at.
    pub(super) fn say<D: Display>(&self, what: impl FnOnce() -> D) {
        if self.loud {
            println!("{:>5} {:>6} ms: {}", self.steps, self.elapsed_ms, what());
        }
    }

    pub(super) fn begin_step(&mut self, ms: u64) {
        self.steps += 1;
        self.elapsed_ms += self.rng.u64(..ms);
        self.database.latest = LatestTime(Timestamp::from_millis(self.true_time() + MAX_AHEAD_MS));
    }

    fn true_time(&self) -> i64 {
        WALL + i64::try_from(self.elapsed_ms).unwrap()
    }

    /// As the machine of a replica sees it.
    pub(super) fn now(&self, who: Who) -> Now {
        let skew_ms = if self.calm { 0 } else { self.replicas[who].skew_ms };
        Now { wall: Timestamp::from_millis(self.true_time() + skew_ms), elapsed_ms: self.elapsed_ms }
    }

    /// The stream keeps so many messages.
    pub(super) fn cut_stream(&mut self, kept: usize) {
        self.stream.lose_tail(kept);
        self.stream_epoch += 1;
    }

    pub(super) fn database_is_away(&self) -> bool {
        self.elapsed_ms < self.database_away_until
    }

    pub(super) fn nats_is_away(&self) -> bool {
        self.elapsed_ms < self.nats_away_until
    }

    /// The log may have grown.
    pub(super) fn committed(&mut self, before: usize) -> Promise {
        let rows = self.database.log.rows();
        for (index, row) in rows.iter().enumerate().skip(before) {
            let previous =
                index.checked_sub(1).map_or(Cursor::Start, |index| Cursor::at(rows[index].event()));
            self.archive.entry(row.event().id).or_insert_with(|| (Arc::clone(&row.entry), previous));
        }
        self.promises.committed(&self.database.log, before)
    }

    /// What tells this run from another.
    pub(super) fn digest(&self) -> (u32, u64, u64, Option<Uuid>) {
        (self.steps, self.elapsed_ms, self.promises.asked(), self.database.log.head().cursor.id())
    }
}
