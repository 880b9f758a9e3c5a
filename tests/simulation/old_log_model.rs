//! What the log in `PostgreSQL` promises, as a model: compare-and-append, the append lock, the hold, the turn's view.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::domain::evolve::evolve;
use vtid_ledger::domain::position::Position;
use vtid_ledger::domain::record::Recorded;
use vtid_ledger::domain::task::Task;
use vtid_ledger::domain::vtid::Vtid;
use vtid_ledger::log::entry::Entry;
use vtid_ledger::log::head::Head;
use vtid_ledger::log::hold::{Hold, Losses};
use vtid_ledger::log::load::{Earlier, Loaded, Wanted};
use vtid_ledger::log::turn::{TailView, TurnView};
use vtid_ledger::writer::machine::Failure;

/// A tail longer than this is not given event by event.
const TAIL_EVENTS: usize = 12;

/// The table and what stands beside it.
#[derive(Debug, Clone, Default)]
pub(super) struct LogModel {
    pub(super) events: Vec<Recorded>,
    pub(super) hold: Option<Hold>,
    /// Words that a check of the database refuses, wherever they stand in a record.
    pub(super) poison: Option<&'static str>,
}

impl LogModel {
    pub(super) fn holds(&self, cursor: Cursor) -> bool {
        match cursor {
            Cursor::Start => true,
            Cursor::At { position, id } => self.at(position).is_some_and(|recorded| recorded.event.id == id),
        }
    }

    fn at(&self, position: Position) -> Option<&Recorded> {
        let index = usize::try_from(position.get()).unwrap().checked_sub(1)?;
        self.events.get(index)
    }

    fn after(&self, position: Position) -> &[Recorded] {
        self.events.get(usize::try_from(position.get()).unwrap()..).unwrap_or_default()
    }

    /// `ledger.append`, in the order of its checks.
    pub(super) fn append(&mut self, head: Cursor, entries: &[Arc<Entry>]) -> Result<(), Failure> {
        if self.hold.is_some() {
            return Err(Failure::Held);
        }
        if !self.holds(head) || !self.after(head.position()).is_empty() {
            return Err(Failure::NotTheHead);
        }
        let mut events = self.events.clone();
        for Entry { recorded, .. } in entries.iter().map(AsRef::as_ref) {
            let event = &recorded.event;
            assert_eq!(event.position.get(), events.len() as u64 + 1, "positions without a gap");
            if self.poison.is_some_and(|word| recorded.body.contains(word)) {
                return Err(Failure::Refused);
            }
            let versions = events.iter().filter(|other| other.event.vtid == event.vtid).count() as u64;
            if event.version.get() != versions + 1 || self.key_is_used(&events, recorded) {
                return Err(Failure::Conflict);
            }
            assert!(events.last().is_none_or(|last| last.event.recorded_at <= event.recorded_at));
            events.push(recorded.clone());
        }
        self.events = events;
        Ok(())
    }

    #[expect(clippy::unused_self, reason = "it is one of the table's constraints")]
    fn key_is_used(&self, events: &[Recorded], recorded: &Recorded) -> bool {
        let key = |r: &Recorded| {
            let origin = &r.event.origin;
            origin.idempotency.as_ref().map(|i| (origin.actor.id.clone(), i.key.clone()))
        };
        key(recorded).is_some_and(|used| events.iter().any(|other| key(other).as_ref() == Some(&used)))
    }

    pub(super) fn head(&self) -> Head {
        let mut head = Head::empty();
        self.events.iter().for_each(|recorded| head.advance(&recorded.event));
        head
    }

    pub(super) fn view(&self, head: Option<Cursor>, unsettled: Option<Cursor>) -> TurnView {
        let hold = self.hold.clone();
        let tail = match head {
            None => TailView::FarBehind { next: None, head: self.head() },
            Some(head) if !self.holds(head) => TailView::OtherPast,
            Some(head) => {
                let tail = self.after(head.position());
                if tail.len() < TAIL_EVENTS {
                    TailView::Moved(tail.to_vec())
                } else {
                    TailView::FarBehind { next: tail.first().map(|r| r.event.id), head: self.head() }
                }
            }
        };
        let went_in = unsettled.is_some_and(|last| self.holds(last));
        TurnView { held: hold, losses: Losses::default(), went_in, tail }
    }

    /// The states as of a position.
    pub(super) fn tasks(&self, at: Position) -> BTreeMap<Vtid, Arc<Task>> {
        let mut tasks: BTreeMap<Vtid, Arc<Task>> = BTreeMap::new();
        for recorded in self.events.iter().take_while(|r| r.event.position <= at) {
            let before = tasks.get(&recorded.event.vtid).map(|task| (**task).clone());
            tasks.insert(recorded.event.vtid, Arc::new(evolve(before, &recorded.event).unwrap()));
        }
        tasks
    }

    pub(super) fn load(&self, wanted: &Wanted, at: Position) -> Loaded {
        let tasks = self.tasks(at);
        let mut keys = BTreeMap::new();
        for recorded in self.events.iter().take_while(|r| r.event.position <= at) {
            let origin = &recorded.event.origin;
            let Some(idempotency) = &origin.idempotency else { continue };
            let key = (origin.actor.id.clone(), idempotency.key.clone());
            if wanted.keys.contains(&key) {
                let task = Arc::clone(&self.tasks(recorded.event.position)[&recorded.event.vtid]);
                keys.insert(key, Earlier { hash: idempotency.hash, task });
            }
        }
        Loaded {
            parents: wanted.parents.iter().copied().filter(|vtid| tasks.contains_key(vtid)).collect(),
            tasks: tasks.into_iter().filter(|(vtid, _)| wanted.tasks.contains(vtid)).collect(),
            keys,
            unreadable: BTreeSet::new(),
        }
    }
}
