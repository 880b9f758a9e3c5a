//! One database: the log with what stands beside it, the append lock, and statements of dead connections that are still
//! on their way. A failover or an older copy takes back commits, whatever they were, the last first.

use std::collections::BTreeMap;
use std::sync::Arc;

use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::domain::task::Task;
use vtid_ledger::domain::vtid::Vtid;
use vtid_ledger::log::entry::Entry;
use vtid_ledger::log::hold::{Hold, Losses};
use vtid_ledger::writer::machine::Failure;

use super::log_model::{LatestTime, LogModel, Row};

/// Who holds the exclusive append lock.
pub(super) type Who = usize;

/// Counts the databases that were behind the address.
pub(super) type Epoch = u32;

/// What a commit changed, as it was before.
#[derive(Debug, Clone, Hash)]
enum Commit {
    Appended { before: usize },
    Decided { hold: Option<Hold>, losses: Losses },
    Projected { cursor: Cursor, rows: Vec<(Vtid, Option<Arc<Task>>)> },
}

/// An append whose connection is dead.
#[derive(Debug, Clone, Hash)]
struct Late {
    head: Cursor,
    losses: Losses,
    entries: Vec<Arc<Entry>>,
}

/// What the projector is told of its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Projected {
    Moved,
    CursorElsewhere,
    NotInLog,
}

#[derive(Debug, Clone, Hash)]
pub(super) struct Database {
    pub(super) log: LogModel,
    pub(super) latest: LatestTime,
    /// The projector's cursor, and the read table.
    pub(super) cursor: Cursor,
    pub(super) rows: BTreeMap<Vtid, Arc<Task>>,
    pub(super) lock: Option<Who>,
    pub(super) epoch: Epoch,
    commits: Vec<Commit>,
    late: Vec<Late>,
}

impl Database {
    pub(super) fn new(log: LogModel, latest: LatestTime) -> Self {
        Self {
            log,
            latest,
            cursor: Cursor::Start,
            rows: BTreeMap::new(),
            lock: None,
            epoch: 0,
            commits: Vec::new(),
            late: Vec::new(),
        }
    }

    /// By a writer that knows of so many accepted losses.
    pub(super) fn append(
        &mut self,
        head: Cursor,
        losses: Losses,
        entries: &[Arc<Entry>],
    ) -> Result<(), Failure> {
        let before = self.log.len();
        self.log.append(head, losses, entries, self.latest)?;
        self.commits.push(Commit::Appended { before });
        Ok(())
    }

    /// Sets or lifts the hold, or accepts a loss.
    pub(super) fn decide(&mut self, hold: Option<Hold>, losses: Losses) {
        let hold = std::mem::replace(&mut self.log.hold, hold);
        let losses = std::mem::replace(&mut self.log.losses, losses);
        self.commits.push(Commit::Decided { hold, losses });
    }

    /// Sets the hold, or widens it.
    pub(super) fn set_hold(&mut self, mut hold: Hold) {
        if let Some(stands) = &self.log.hold {
            let reason = if hold.position < stands.position { hold.reason } else { stands.reason.clone() };
            let (position, last) = (stands.position.min(hold.position), stands.last.max(hold.last));
            hold = Hold { reason, position, last };
        }
        self.decide(Some(hold), self.log.losses);
    }

    /// `ledger.move_cursor`, in the order of its checks.
    pub(super) fn may_move(&self, from: Cursor, to: Cursor) -> Projected {
        if from.position() != self.cursor.position() {
            Projected::CursorElsewhere
        } else if !self.log.holds(to) {
            Projected::NotInLog
        } else {
            Projected::Moved
        }
    }

    /// Moves the cursor and writes the rows, in one transaction.
    pub(super) fn project(
        &mut self,
        from: Cursor,
        to: Cursor,
        states: impl IntoIterator<Item = Arc<Task>>,
    ) -> Projected {
        let reply = self.may_move(from, to);
        if reply == Projected::Moved {
            let cursor = std::mem::replace(&mut self.cursor, to);
            let rows = &mut self.rows;
            let rows = states.into_iter().map(|task| (task.vtid, rows.insert(task.vtid, task))).collect();
            self.commits.push(Commit::Projected { cursor, rows });
        }
        reply
    }

    pub(super) fn commits(&self) -> usize {
        self.commits.len()
    }

    /// Another database stands behind the address, one without the last commits; every session is gone, and what was
    /// on its way to the old one. Gives the rows of the log that are lost, the last first.
    pub(super) fn fail_over(&mut self, kept: usize) -> Vec<Row> {
        let mut gone = Vec::new();
        while self.commits.len() > kept {
            match self.commits.pop() {
                Some(Commit::Appended { before }) => gone.extend(self.log.truncate(before)),
                Some(Commit::Decided { hold, losses }) => (self.log.hold, self.log.losses) = (hold, losses),
                Some(Commit::Projected { cursor, rows }) => self.take_back(cursor, rows),
                None => break,
            }
        }
        self.epoch += 1;
        self.lock = None;
        self.late.clear();
        gone
    }

    fn take_back(&mut self, cursor: Cursor, rows: Vec<(Vtid, Option<Arc<Task>>)>) {
        self.cursor = cursor;
        for (vtid, before) in rows.into_iter().rev() {
            match before {
                Some(task) => drop(self.rows.insert(vtid, task)),
                None => drop(self.rows.remove(&vtid)),
            }
        }
    }

    /// The connection of an append dies; the statement is still on its way.
    pub(super) fn send_late(&mut self, head: Cursor, losses: Losses, entries: Vec<Arc<Entry>>) {
        self.late.push(Late { head, losses, entries });
    }

    pub(super) fn late(&self) -> usize {
        self.late.len()
    }

    /// A late append arrives: whether it went in.
    pub(super) fn arrive(&mut self, index: usize) -> bool {
        let Late { head, losses, entries } = self.late.remove(index);
        self.append(head, losses, &entries).is_ok()
    }

    pub(super) fn locked_for(&self, who: Who) -> bool {
        self.lock.is_some_and(|holder| holder != who)
    }

    pub(super) fn release(&mut self, who: Who) {
        self.lock = self.lock.filter(|holder| *holder != who);
    }
}
