//! Two writers on one log and a stream that follows it, at tiny bounds, for the walk over every state.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use uuid::Uuid;
use vtid_ledger::domain::event::IdSeed;
use vtid_ledger::domain::position::Position;
use vtid_ledger::domain::record::LedgerId;
use vtid_ledger::domain::time::Timestamp;
use vtid_ledger::log::entry::Entry;
use vtid_ledger::log::hold::{Hold, Losses};
use vtid_ledger::writer::machine::{Input, Now, Output, Submitted, Writer, WriterLimits};

use super::commands::{Ask, Key, command};
use super::database::{Database, Who};
use super::faults::Fault;
use super::log_model::{LatestTime, LogModel};
use super::promises::{Promise, Promises};
use super::tally::Tally;
use super::writer_shell::{Coming, Flaw, WriterShell};

/// 2025-12-31T23:59:59.999Z: the next millisecond is another year.
const WALL: i64 = 1_767_225_599_999;
/// How long a caller waits.
const PATIENCE_MS: u64 = 10;

/// What one caller will ask, and of whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) who: Who,
    pub(super) ask: Ask,
    pub(super) key: Key,
}

impl Plan {
    pub(super) fn new(who: Who, ask: Ask) -> Self {
        Self { who, ask, key: None }
    }

    pub(super) fn keyed(self, key: Key) -> Self {
        Self { key, ..self }
    }
}

#[derive(Debug, Clone)]
pub(super) struct WriterWorld {
    pub(super) shells: Vec<WriterShell>,
    pub(super) database: Database,
    pub(super) promises: Promises,
    /// What subscribers have seen, and can be put back.
    pub(super) published: Vec<Arc<Entry>>,
    /// What was not asked yet.
    pub(super) plans: Vec<Plan>,
    pub(super) elapsed_ms: u64,
    /// Outcomes that may come once more.
    pub(super) delivered: Vec<Option<Coming>>,
    /// What may go wrong, and how many things still may.
    pub(super) faults: Vec<Fault>,
    pub(super) left: u8,
    /// What an operator may still decide.
    pub(super) decisions: u8,
    pub(super) tally: Tally<Fault>,
}

fn limits() -> WriterLimits {
    WriterLimits {
        queue_commands: 8,
        queue_bytes: 1 << 20,
        group_commands: 2,
        group_bytes: 1 << 16,
        cache_bytes: 8 << 10,
    }
}

pub(super) fn new_writer() -> Writer {
    Writer::new(LedgerId(Uuid::from_u128(0xAB)), limits())
}

impl WriterWorld {
    /// Writers that have not looked at the log yet, and callers who will ask them.
    pub(super) fn new(plans: &[Plan], flaw: Option<Flaw>) -> Self {
        let log = LogModel::new(3, None);
        let latest = LatestTime(Timestamp::from_millis(WALL + 60_000));
        let mut world = Self {
            shells: (0..2).map(|_| WriterShell::new(new_writer(), flaw)).collect(),
            database: Database::new(log, latest),
            promises: Promises::default(),
            published: Vec::new(),
            plans: plans.to_vec(),
            elapsed_ms: 0,
            delivered: vec![None, None],
            faults: Vec::new(),
            left: 0,
            decisions: 0,
            tally: Tally::default(),
        };
        (0..2).for_each(|who| world.tell(who, Input::Start, 0).unwrap());
        world
    }

    /// So many of these faults may come.
    pub(super) fn with(self, left: u8, faults: &[Fault]) -> Self {
        Self { faults: faults.to_vec(), left, ..self }
    }

    pub(super) fn may(&self, fault: Fault) -> bool {
        self.left > 0 && self.faults.contains(&fault)
    }

    /// Both writers have looked at the log, and wait.
    pub(super) fn warm(mut self) -> Self {
        for who in 0..2 {
            while self.shells[who].under_way.is_some() {
                self.shells[who].serve(who, &mut self.database, super::writer_shell::Fate::Right).unwrap();
                self.deliver(who).unwrap();
            }
        }
        self
    }

    pub(super) fn tell(&mut self, who: Who, input: Input, seen: u32) -> Promise {
        let wall = Timestamp::from_millis(WALL + i64::try_from(self.elapsed_ms).unwrap());
        let now = Now { wall, elapsed_ms: self.elapsed_ms };
        for output in self.shells[who].tell(now, input)? {
            match output {
                Output::Answer(ticket, answer) => {
                    self.promises.answered(ticket, &answer, &self.database, seen)?;
                }
                Output::HandOver(entries) => Promises::handed_over(&entries, &self.database, seen)?,
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn deliver(&mut self, who: Who) -> Promise {
        let Some(coming) = self.shells[who].take_coming(&self.database) else { return Ok(()) };
        if self.faults.contains(&Fault::OutcomeTwice) {
            self.delivered[who] = Some(coming.clone());
        }
        self.tell(who, coming.input, coming.epoch)
    }

    pub(super) fn ask(&mut self, index: usize) -> Promise {
        let Plan { who, ask, key } = self.plans.remove(index);
        let command = command(self.promises.next_ticket(), ask, key);
        let ticket = self.promises.ask(who, &command, &self.database.log);
        let seed = IdSeed(u128::from(ticket) << 32);
        let deadline_ms = self.elapsed_ms + PATIENCE_MS;
        let submitted = Submitted { ticket, command, seed, deadline_ms };
        self.tell(who, Input::Submit(vec![submitted]), self.database.epoch)
    }

    pub(super) fn expire(&mut self, who: Who) -> Promise {
        self.elapsed_ms += PATIENCE_MS;
        self.tell(who, Input::Tick, self.database.epoch)
    }

    /// The log has grown: no promise is broken by it, and no number of an event that was published is given out again.
    pub(super) fn committed(&mut self, from: usize) -> Promise {
        self.promises.committed(&self.database.log, from)?;
        for (row, published) in self.database.log.rows().iter().zip(&self.published).skip(from) {
            if row.event().id != published.recorded.event.id {
                return Err(format!(
                    "{} at position {} is given out again",
                    row.event().vtid,
                    row.event().position
                ));
            }
        }
        Ok(())
    }

    /// Whether the stream has nothing but the log's events.
    fn stream_is_prefix(&self) -> bool {
        let rows = self.database.log.rows();
        self.published.len() <= rows.len() && self.agree(self.published.len())
    }

    fn agree(&self, count: usize) -> bool {
        let rows = self.database.log.rows().iter().zip(&self.published).take(count);
        rows.into_iter().all(|(row, published)| row.event().id == published.recorded.event.id)
    }

    /// Sets the hold, where the stream has what the log lost.
    pub(super) fn compare(&mut self) {
        if !self.stream_is_prefix() {
            let position = Position::new(self.database.log.len() as u64 + 1);
            self.database.set_hold(Hold::at(position, "compared".to_owned()));
        }
    }

    pub(super) fn may_publish(&self) -> bool {
        self.faults.contains(&Fault::FailedOver)
            && self.published.len() < self.database.log.len()
            && self.stream_is_prefix()
    }

    pub(super) fn publish(&mut self) {
        let next = &self.database.log.rows()[self.published.len()];
        self.published.push(Arc::clone(&next.entry));
    }

    /// Whether the stream has more than the log, and nothing else.
    pub(super) fn may_recover(&self) -> bool {
        let rows = self.database.log.len();
        self.published.len() > rows && self.agree(rows)
    }

    pub(super) fn recover(&mut self) -> Promise {
        let from = self.database.log.len();
        let lost = self.published[from..].to_vec();
        self.database.decide(None, self.database.log.losses);
        self.database
            .append(self.database.log.head().cursor, self.database.log.losses, &lost)
            .map_err(|e| format!("{e:?}"))?;
        self.committed(from)
    }

    pub(super) fn accept_loss(&mut self) {
        self.published = self.database.log.rows().iter().map(|row| Arc::clone(&row.entry)).collect();
        self.database.decide(None, Losses(self.database.log.losses.0 + 1));
    }

    pub(super) fn fail_over(&mut self, kept: usize) {
        let gone = self.database.fail_over(kept);
        self.promises.lost(&gone, &self.database);
    }
}

/// The bounds are the same in all of a walk.
impl Hash for WriterWorld {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.shells, &self.database, &self.promises, self.elapsed_ms).hash(state);
        (&self.delivered, self.left, self.decisions).hash(state);
        self.published.len().hash(state);
        self.published.iter().for_each(|entry| entry.recorded.event.id.hash(state));
        self.plans.iter().for_each(|plan| (plan.who, plan.ask, plan.key).hash(state));
    }
}
