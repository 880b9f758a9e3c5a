//! A database with its log, cursor and rows, and projectors on it; and what must never be seen there.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use uuid::Uuid;
use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::domain::position::Position;
use vtid_ledger::projections::machine::Input;

use super::plain_log::{Log, at};
use super::projector::{Asked, Projector};

/// Which row an event goes into.
type Task = u64;
/// Each row, as the events that are in it.
pub(super) type Rows = BTreeMap<Task, Vec<Uuid>>;

/// A projector that is known to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Flaw {
    /// It moves the cursor in a transaction of its own, before that of the rows.
    CursorBeforeRows,
    /// It moves the cursor to whatever it has in memory, without a look whether the log holds it.
    CursorPastTheLog,
}

/// One batch's transaction.
#[derive(Clone, Debug, Hash)]
pub(super) struct Transaction {
    from: Cursor,
    to: Cursor,
    /// Those that it writes.
    pub(super) rows: Rows,
}

/// What a copy of the database holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Copy {
    head: u64,
    progress: Cursor,
    rows: Rows,
}

#[derive(Clone, Debug, Hash)]
pub(super) struct CursorWorld {
    pub(super) log: Log,
    progress: Cursor,
    rows: Rows,
    /// What the database was, from its first day on.
    history: Vec<Copy>,
    pub(super) projectors: Vec<Projector>,
    /// Transactions of dead connections that may still commit.
    pub(super) late: Vec<Transaction>,
    pub(super) flaw: Option<Flaw>,
    /// Events go into so many rows in turn.
    pub(super) tasks: u64,
}

impl CursorWorld {
    pub(super) fn new(projectors: usize, events: u64) -> Self {
        let mut world = Self {
            log: Log::of(events),
            progress: Cursor::Start,
            rows: Rows::new(),
            history: Vec::new(),
            projectors: (0..projectors).map(|_| Projector::new()).collect(),
            late: Vec::new(),
            flaw: None,
            tasks: 2,
        };
        world.remember();
        world
    }

    fn task(&self, position: Position) -> Task {
        position.get() % self.tasks
    }

    pub(super) fn progress(&self) -> Cursor {
        self.progress
    }

    fn remember(&mut self) {
        let (progress, rows) = (self.progress, self.rows.clone());
        self.history.push(Copy { head: self.log.head(), progress, rows });
    }

    /// Copies that differ from what the database is now.
    pub(super) fn copies(&self) -> usize {
        self.history.len() - 1
    }

    /// Somebody writes; where that is a projector's own process, it gets the event handed over.
    pub(super) fn append(&mut self, writer: Option<usize>) {
        self.log.append();
        let head = at(self.log.head());
        if let (Some(writer), Some(id)) = (writer, self.log.id_at(head)) {
            self.projectors[writer].hand_over(head, id);
        }
        self.remember();
    }

    /// Whether a process may write: its writer remembers a head that the log still has.
    pub(super) fn may_write(&self, projector: usize) -> bool {
        let last = self.projectors[projector].tail.last();
        last.is_none_or(|(position, id)| position.get() <= self.log.head() && self.log.holds(*position, *id))
    }

    /// The database is put back from an older copy. Connections to the old one, and what was on them, are gone.
    pub(super) fn restore(&mut self, copy: usize) {
        self.history.truncate(copy + 1);
        let Copy { head, progress, rows } = self.history[copy].clone();
        self.log.lose_tail(usize::try_from(head).unwrap());
        (self.progress, self.rows) = (progress, rows);
        self.late.clear();
        self.projectors.iter_mut().for_each(|projector| projector.half = None);
    }

    pub(super) fn holds(&self, cursor: Cursor) -> bool {
        match cursor {
            Cursor::Start => true,
            Cursor::At { position, id } => self.log.holds(position, id),
        }
    }

    /// The next events after a cursor, as the follower finds them: in the process's memory or in the log.
    pub(super) fn read(
        &self,
        projector: usize,
        after: Cursor,
        max: usize,
    ) -> Result<Vec<(Position, Uuid)>, Cursor> {
        let handed_over = self.projectors[projector].handed_over(after);
        if !handed_over.is_empty() {
            return Ok(handed_over.into_iter().take(max).collect());
        }
        if !self.holds(after) {
            return Err(after);
        }
        Ok(self.log.after(after.position(), max).collect())
    }

    /// Folds a batch on what the projector remembers, and on what the log says of the rest.
    pub(super) fn fold(&mut self, projector: usize, from: Cursor, to: Cursor) -> Result<Transaction, Input> {
        let batch = std::mem::take(&mut self.projectors[projector].batch);
        let mut rows = Rows::new();
        for (position, id) in batch {
            let task = self.task(position);
            let version = self.log.forebears(id).len().div_ceil(usize::try_from(self.tasks).unwrap());
            let folded = &mut self.projectors[projector].folded;
            if version > 1 && !folded.contains_key(&task) {
                let before = self.log.after(at(0), usize::try_from(from.position().get()).unwrap());
                let of_task = before.filter(|(other, _)| other.get() % self.tasks == task);
                folded.insert(task, of_task.map(|(_, id)| id).collect());
            }
            let row = folded.entry(task).or_default();
            if row.len() + 1 != version {
                folded.clear();
                return Err(Input::Unreadable { position, reason: "an event does not fold".to_owned() });
            }
            row.push(id);
            rows.insert(task, row.clone());
        }
        Ok(Transaction { from, to, rows })
    }

    /// The transaction as the database does it: all of it, or nothing.
    pub(super) fn commit(&mut self, projector: Option<usize>, transaction: &Transaction) -> Input {
        if self.progress.position() != transaction.from.position() {
            return Input::LostRace;
        }
        if !self.holds(transaction.to) && self.flaw != Some(Flaw::CursorPastTheLog) {
            return Input::OtherPast(transaction.to);
        }
        self.progress = transaction.to;
        match projector.filter(|_| self.flaw == Some(Flaw::CursorBeforeRows)) {
            Some(projector) => self.projectors[projector].half = Some(transaction.rows.clone()),
            None => self.write(&transaction.rows),
        }
        self.remember();
        Input::Applied
    }

    pub(super) fn write(&mut self, rows: &Rows) {
        self.rows.extend(rows.iter().map(|(task, row)| (*task, row.clone())));
    }

    pub(super) fn settle_hold(&mut self, cursor: Cursor) {
        self.log.hold |= !self.holds(cursor);
    }

    /// The rows are the fold of the log up to the cursor: no event twice, none left out, none that the log lacks.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.projectors.iter().any(|projector| projector.half.is_some()) {
            return Ok(());
        }
        if !self.holds(self.progress) {
            return Err(format!("the cursor is at {:?}, which the log does not hold", self.progress));
        }
        let mut fold = Rows::new();
        let projected = usize::try_from(self.progress.position().get()).unwrap();
        for (position, id) in self.log.after(at(0), projected) {
            fold.entry(self.task(position)).or_default().push(id);
        }
        if self.rows == fold {
            return Ok(());
        }
        Err(format!("the rows are {:?}, the fold up to the cursor is {fold:?}", self.rows))
    }

    pub(super) fn hash_without_projectors(&self, state: &mut impl Hasher) {
        (&self.log, self.progress, &self.rows, &self.history, &self.late).hash(state);
    }

    /// Every event is in the rows, and every projector knows it.
    pub(super) fn caught_up(&self) -> Result<(), String> {
        let head = at(self.log.head());
        let told = |projector: &Projector| projector.machine.status().position;
        if self.progress.position() == head && self.projectors.iter().all(|one| told(one) == head) {
            return Ok(());
        }
        let told: Vec<_> = self.projectors.iter().map(told).collect();
        Err(format!("nothing is left to do: log {head}, cursor {:?}, told {told:?}", self.progress))
    }

    /// Whether a projector waits for events of which there are none.
    pub(super) fn rests(&self, projector: usize) -> bool {
        match self.projectors[projector].asked {
            Asked::Read { after, .. } => {
                after == self.progress && self.read(projector, after, 1).is_ok_and(|next| next.is_empty())
            }
            _ => false,
        }
    }
}
