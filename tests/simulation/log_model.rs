//! What the log in `PostgreSQL` promises, as a model: compare-and-append with its rules, the turn's view, loads. Each
//! event is kept with what folds from it, so that everything costs what it touches.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use uuid::Uuid;
use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::domain::event::Event;
use vtid_ledger::domain::evolve::evolve;
use vtid_ledger::domain::position::Position;
use vtid_ledger::domain::task::Task;
use vtid_ledger::domain::time::Timestamp;
use vtid_ledger::domain::vtid::Vtid;
use vtid_ledger::log::entry::Entry;
use vtid_ledger::log::head::Head;
use vtid_ledger::log::hold::{Hold, Losses};
use vtid_ledger::log::load::{Earlier, KeyOf, Loaded, Wanted};
use vtid_ledger::log::view::{TailView, TurnView};
use vtid_ledger::writer::machine::Failure;

/// One row, and what folds from it.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) entry: Arc<Entry>,
    /// The task after the event.
    pub(super) after: Arc<Task>,
    /// The head once the event was in.
    head: Head,
}

impl Row {
    pub(super) fn head(&self) -> Head {
        self.head
    }

    pub(super) fn event(&self) -> &Event {
        &self.entry.recorded.event
    }
}

/// The database's clock, and how far ahead of it a time may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct LatestTime(pub(super) Timestamp);

/// The table, the hold and the losses.
#[derive(Debug, Clone, Default)]
pub(super) struct LogModel {
    rows: Vec<Row>,
    /// Where each task's events stand, the first version first.
    streams: BTreeMap<Vtid, Vec<usize>>,
    keys: BTreeMap<KeyOf, usize>,
    pub(super) hold: Option<Hold>,
    pub(super) losses: Losses,
    /// Words that a check of the database refuses, wherever they stand in a record.
    poison: Option<&'static str>,
    /// A tail of so many events is not given event by event.
    tail_events: usize,
}

impl LogModel {
    pub(super) fn new(tail_events: usize, poison: Option<&'static str>) -> Self {
        Self { poison, tail_events, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub(super) fn at(&self, position: Position) -> Option<&Row> {
        self.rows.get(index(position)?)
    }

    pub(super) fn id_at(&self, position: Position) -> Option<Uuid> {
        self.at(position).map(|row| row.event().id)
    }

    pub(super) fn holds_event(&self, id: Uuid) -> bool {
        self.rows.iter().any(|row| row.event().id == id)
    }

    pub(super) fn holds(&self, cursor: Cursor) -> bool {
        cursor.id() == self.id_at(cursor.position())
    }

    /// Up to `max` rows after `cursor`; none where the log has another past.
    pub(super) fn after(&self, cursor: Cursor, max: usize) -> Option<&[Row]> {
        let next = usize::try_from(cursor.position().get()).unwrap();
        let rows = self.holds(cursor).then(|| &self.rows[next..])?;
        Some(&rows[..rows.len().min(max)])
    }

    pub(super) fn head(&self) -> Head {
        self.rows.last().map_or_else(Head::empty, |row| row.head)
    }

    /// The task's state as of a position.
    pub(super) fn task(&self, vtid: Vtid, at: Position) -> Option<&Arc<Task>> {
        let stream = self.streams.get(&vtid)?;
        let known = stream.partition_point(|index| *index < usize::try_from(at.get()).unwrap());
        Some(&self.rows[*stream.get(known.checked_sub(1)?)?].after)
    }

    /// The request under the key, as of a position.
    pub(super) fn key(&self, key: &KeyOf, at: Position) -> Option<Earlier> {
        let row = self.rows.get(*self.keys.get(key)?).filter(|row| row.event().position <= at)?;
        let hash = row.event().origin.idempotency.as_ref()?.hash;
        Some(Earlier { hash, task: Arc::clone(&row.after) })
    }

    /// `ledger.append`, in the order of its checks and of the table's; all or nothing.
    pub(super) fn append(
        &mut self,
        head: Cursor,
        losses: Losses,
        entries: &[Arc<Entry>],
        latest: LatestTime,
    ) -> Result<(), Failure> {
        if self.hold.is_some() {
            return Err(Failure::Held);
        }
        if losses != self.losses || !self.holds(head) {
            return Err(Failure::NotTheHead);
        }
        let last_time = self.at(head.position()).map(|row| row.event().recorded_at);
        let time = |entry: &Arc<Entry>| entry.recorded.event.recorded_at;
        let backwards = last_time.zip(entries.first().map(time)).is_some_and(|(last, first)| first < last);
        let latest = last_time.map_or(latest.0, |last| last.max(latest.0));
        if backwards || entries.last().is_some_and(|entry| time(entry) > latest) {
            return Err(Failure::TimeRefused);
        }
        let before = self.rows.len();
        for (entry, position) in entries.iter().zip(head.position().get() + 1..) {
            if let Err(failure) = self.insert(Position::new(position), entry) {
                self.truncate(before);
                return Err(failure);
            }
        }
        Ok(())
    }

    /// One row: the trigger first, then the checks, then the unique indexes.
    fn insert(&mut self, position: Position, entry: &Arc<Entry>) -> Result<(), Failure> {
        let event = &entry.recorded.event;
        let stream = self.streams.get(&event.vtid).map_or(&[][..], Vec::as_slice);
        let (version, versions) = (event.version.get(), stream.len() as u64);
        if version > 1 {
            let before = usize::try_from(version - 2).ok().and_then(|index| stream.get(index));
            let before = before.map(|index| self.rows[*index].event());
            if !before.is_some_and(|before| before.tenant == event.tenant && before.position < position) {
                return Err(Failure::Conflict);
            }
        }
        if self.poison.is_some_and(|word| entry.recorded.body.contains(word)) {
            return Err(Failure::Refused);
        }
        if self.at(position).is_some() {
            return Err(Failure::NotTheHead);
        }
        let key = key_of(event);
        if version <= versions || key.as_ref().is_some_and(|key| self.keys.contains_key(key)) {
            return Err(Failure::Conflict);
        }
        let before = stream.last().map(|index| (*self.rows[*index].after).clone());
        let after = Arc::new(evolve(before, event).unwrap());
        let index = self.rows.len();
        self.streams.entry(event.vtid).or_default().push(index);
        self.keys.extend(key.map(|key| (key, index)));
        let mut head = self.head();
        head.advance(event);
        self.rows.push(Row { entry: Arc::clone(entry), after, head });
        Ok(())
    }

    /// The last rows never were; gives them, the last first.
    pub(super) fn truncate(&mut self, kept: usize) -> Vec<Row> {
        let mut gone = Vec::new();
        while self.rows.len() > kept {
            let Some(row) = self.rows.pop() else { break };
            let event = row.event();
            if let Some(stream) = self.streams.get_mut(&event.vtid) {
                stream.pop();
                if stream.is_empty() {
                    self.streams.remove(&event.vtid);
                }
            }
            if let Some(key) = key_of(event) {
                self.keys.remove(&key);
            }
            gone.push(row);
        }
        gone
    }

    /// What a turn shows.
    pub(super) fn view(&self, head: Option<Cursor>, unsettled: Option<Cursor>) -> TurnView {
        let far = |next: Option<&Row>| TailView::FarBehind {
            next: next.map(|row| row.event().id),
            head: self.head(),
        };
        let tail = match head.map(|head| self.after(head, self.tail_events)) {
            None => far(None),
            Some(None) => TailView::OtherPast,
            Some(Some(rows)) if rows.len() < self.tail_events => {
                TailView::Moved(rows.iter().map(|row| row.entry.recorded.clone()).collect())
            }
            Some(Some(rows)) => far(rows.first()),
        };
        let went_in = unsettled.is_some_and(|last| self.holds(last));
        TurnView { held: self.hold.clone(), losses: self.losses, went_in, tail }
    }

    /// What is wanted, as of a position.
    pub(super) fn load(&self, wanted: &Wanted, at: Position) -> Loaded {
        let task = |vtid: &Vtid| self.task(*vtid, at).map(|task| (*vtid, Arc::clone(task)));
        let key = |key: &KeyOf| self.key(key, at).map(|earlier| (key.clone(), earlier));
        Loaded {
            tasks: wanted.tasks.iter().filter_map(task).collect(),
            parents: wanted.parents.iter().copied().filter(|vtid| self.task(*vtid, at).is_some()).collect(),
            keys: wanted.keys.iter().filter_map(key).collect(),
            unreadable: BTreeSet::new(),
            unreadable_keys: BTreeSet::new(),
        }
    }
}

/// The ids tell everything: an event's id is given out once in a run.
impl Hash for LogModel {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rows.len().hash(state);
        self.rows.iter().for_each(|row| row.event().id.hash(state));
        (&self.hold, self.losses).hash(state);
    }
}

fn index(position: Position) -> Option<usize> {
    usize::try_from(position.get()).ok()?.checked_sub(1)
}

fn key_of(event: &Event) -> Option<KeyOf> {
    let idempotency = event.origin.idempotency.as_ref()?;
    Some((event.origin.actor.id.clone(), idempotency.key.clone()))
}
