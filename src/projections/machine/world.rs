//! A model of the database, and of the shells around two machines, for the tests.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastrand::Rng;
use uuid::Uuid;

use super::{CursorMachine, Input, Output};
use crate::domain::cursor::Cursor;
use crate::domain::position::Position;

/// An event: its id is all that counts.
type Id = u128;

/// What a failover goes back to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Database {
    log: Vec<Id>,
    /// The fold: every event that is in the rows.
    table: Vec<Id>,
    cursor: Vec<Id>,
}

/// The transaction of one batch.
#[derive(Debug, Clone)]
struct Batch {
    from: Cursor,
    to: Cursor,
    rows: Vec<Id>,
}

#[derive(Debug, Default)]
struct Shell {
    machine: CursorMachine,
    asked: Option<Output>,
    /// What the writer handed over: it may hold what the log has lost.
    tail: Vec<Id>,
    batch: Vec<Id>,
    /// The folder's memory: all that it has folded, from the start.
    folded: Option<Vec<Id>>,
}

#[derive(Debug, Default)]
pub(super) struct World {
    database: Database,
    /// Earlier states, for a failover.
    history: Vec<Database>,
    shells: [Shell; 2],
    /// Batches whose connection died and which may still commit.
    late: Vec<Batch>,
    /// Events that can't be applied, until an upgrade.
    poison: BTreeSet<Id>,
    hold: bool,
    next_id: Id,
    now: Duration,
    pub(super) fired: BTreeMap<&'static str, u64>,
}

fn cursor_at(log: &[Id], position: usize) -> Cursor {
    match position.checked_sub(1).and_then(|index| log.get(index)) {
        Some(id) => Cursor::At { position: Position::new(position as u64), id: Uuid::from_u128(*id) },
        None => Cursor::Start,
    }
}

fn length(cursor: Cursor) -> usize {
    usize::try_from(cursor.position().get()).unwrap()
}

fn holds(log: &[Id], cursor: Cursor) -> bool {
    length(cursor) <= log.len() && cursor_at(log, length(cursor)) == cursor
}

impl World {
    pub(super) fn start() -> Self {
        let mut world = Self::default();
        (0..2).for_each(|index| world.tell(index, Input::Started));
        world
    }

    fn fire(&mut self, fault: &'static str) {
        *self.fired.entry(fault).or_default() += 1;
    }

    /// One step of anybody.
    pub(super) fn step(&mut self, rng: &mut Rng) {
        let index = rng.usize(..2);
        match rng.u8(..100) {
            0..20 => self.append(rng),
            20..22 => self.crash(index),
            22..24 => self.fail_over(rng),
            24..30 => self.commit_late(rng),
            30..33 => self.hold = false,
            33..36 => self.poison.clear(),
            _ => self.perform(index, rng.u8(..12)),
        }
        self.check();
    }

    /// No more faults: everything is applied within a bounded number of steps.
    pub(super) fn settle(&mut self) {
        self.poison.clear();
        while let Some(batch) = self.late.pop() {
            self.commit(&batch);
            self.check();
        }
        for step in 0..400 {
            self.hold = false;
            self.perform(step % 2, u8::MAX);
            self.check();
        }
        assert_eq!(self.database.table, self.database.log, "it has caught up");
    }

    fn check(&self) {
        let Database { log, table, cursor } = &self.database;
        assert!(log.starts_with(cursor), "the cursor is at an event that the log holds");
        assert_eq!(table, cursor, "the rows are the fold up to the cursor");
    }

    fn append(&mut self, rng: &mut Rng) {
        if self.hold {
            return;
        }
        for _ in 0..rng.usize(1..4) {
            self.next_id += 1;
            self.database.log.push(self.next_id);
            if rng.u8(..20) == 0 {
                self.poison.insert(self.next_id);
            }
        }
        self.remember();
        for shell in &mut self.shells {
            if rng.bool() {
                shell.tail = self.database.log.clone();
            }
        }
    }

    fn remember(&mut self) {
        self.history.push(self.database.clone());
        if self.history.len() > 8 {
            self.history.remove(0);
        }
    }

    fn crash(&mut self, index: usize) {
        self.fire("crash");
        self.shells[index] = Shell::default();
        self.tell(index, Input::Started);
    }

    /// Another server takes over, without the last commits. Old connections are gone with the old server.
    fn fail_over(&mut self, rng: &mut Rng) {
        let Some(before) = rng.choice(&self.history).cloned() else { return };
        if before != self.database {
            self.fire("log tail lost");
        }
        self.database = before;
        self.history.clear();
        self.late.clear();
    }

    fn commit_late(&mut self, rng: &mut Rng) {
        if self.late.is_empty() {
            return;
        }
        let batch = self.late.swap_remove(rng.usize(..self.late.len()));
        if self.commit(&batch) == Input::Applied {
            self.fire("late commit went in");
        }
    }

    fn tell(&mut self, index: usize, input: Input) {
        let shell = &mut self.shells[index];
        let outputs = shell.machine.handle(self.now, input);
        assert!(shell.asked.is_none(), "one question at a time");
        for output in outputs {
            if output == Output::Forget {
                shell.folded = None;
                shell.batch.clear();
            } else {
                assert!(shell.asked.replace(output).is_none(), "one question at a time");
            }
        }
        assert!(shell.asked.is_some(), "there is always a question");
    }

    fn perform(&mut self, index: usize, fault: u8) {
        let Some(asked) = self.shells[index].asked.take() else { return };
        let failed = || Input::Failed { reason: "a fault".to_owned() };
        let answer = match (asked, fault) {
            (Output::Watch, _) => Input::Woken,
            (Output::Wait { until }, _) => {
                self.now = self.now.max(until);
                Input::Woken
            }
            (Output::Load | Output::Read { .. } | Output::Hold(_), 0) => {
                self.fire("no answer");
                failed()
            }
            (Output::Apply { .. }, 0) => {
                self.fire("apply lost before");
                failed()
            }
            (Output::Load, 3) => {
                self.fire("another leads");
                Input::Followed(cursor_at(&self.database.cursor, self.database.cursor.len()))
            }
            (Output::Load, _) => {
                let length = self.database.cursor.len();
                Input::Loaded(cursor_at(&self.database.cursor, length))
            }
            (Output::Read { after, max_events }, _) => self.read(index, after, max_events),
            (Output::Apply { from, to }, fault) => self.apply(index, from, to, fault).unwrap_or_else(failed),
            (Output::Hold(cursor), _) => {
                self.shells[index].tail.clear();
                if !holds(&self.database.log, cursor) {
                    self.fire("hold");
                    self.hold = true;
                }
                Input::HoldSettled
            }
            (Output::Forget, _) => unreachable!("performed at once"),
        };
        self.tell(index, answer);
    }

    fn read(&mut self, index: usize, after: Cursor, max_events: u32) -> Input {
        let shell = &mut self.shells[index];
        let from_tail = holds(&shell.tail, after) && shell.tail.len() > length(after);
        let log = if from_tail { &shell.tail } else { &self.database.log };
        if !holds(log, after) {
            return Input::OtherPast(after);
        }
        let next = log[length(after)..].iter().take(max_events as usize).copied();
        shell.batch = next.take(3).collect();
        let to = cursor_at(log, length(after) + shell.batch.len());
        let events = u32::try_from(shell.batch.len()).unwrap();
        if events == 0 { Input::Idle } else { Input::Read { to, events } }
    }

    /// None: nobody learns what became of it.
    fn apply(&mut self, index: usize, from: Cursor, to: Cursor, fault: u8) -> Option<Input> {
        let shell = &mut self.shells[index];
        let batch = std::mem::take(&mut shell.batch);
        let loaded = || self.database.log.iter().take(length(from)).copied().collect();
        let mut rows = shell.folded.take().unwrap_or_else(loaded);
        if let Some(bad) = batch.iter().position(|id| self.poison.contains(id)) {
            if fault.is_multiple_of(2) {
                self.fire("unreadable");
                let position = Position::new((length(from) + bad + 1) as u64);
                return Some(Input::Unreadable { position, reason: "poison".to_owned() });
            }
            self.fire("refused");
            return Some(Input::Refused { reason: "poison".to_owned() });
        }
        rows.extend(batch);
        self.shells[index].folded = Some(rows.clone());
        let transaction = Batch { from, to, rows };
        match fault {
            1 => {
                self.fire("apply lost after");
                self.commit(&transaction);
                None
            }
            2 => {
                self.fire("apply comes late");
                self.late.push(transaction);
                None
            }
            _ => Some(self.commit(&transaction)),
        }
    }

    fn commit(&mut self, batch: &Batch) -> Input {
        let stands = cursor_at(&self.database.cursor, self.database.cursor.len());
        if stands.position() != batch.from.position() {
            self.fire("lost race");
            return Input::LostRace;
        }
        if !holds(&self.database.log, batch.to) {
            self.fire("not in the log");
            return Input::OtherPast(batch.to);
        }
        self.database.cursor = self.database.log[..length(batch.to)].to_vec();
        self.database.table.clone_from(&batch.rows);
        self.remember();
        Input::Applied
    }
}
