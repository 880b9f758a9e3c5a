//! The stream as `JetStream` keeps it, as far as a relay can tell.

use std::collections::BTreeSet;

use uuid::Uuid;
use vtid_ledger::domain::position::Position;
use vtid_ledger::oasis::published::Found;
use vtid_ledger::oasis::relay::machine::Answer;

/// What a server looks at first when a message is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Lookup {
    /// Whether its id is known: 2.9 calls a repeat a duplicate, whatever sequence it expects.
    IdFirst,
    /// Which sequence it expects: 2.15 refuses a repeat that expects an earlier one.
    SequenceFirst,
}

/// The messages, and the memory of ids by which a repeat is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct StreamModel {
    pub(super) messages: Vec<Found>,
    recent: BTreeSet<Uuid>,
    lookup: Lookup,
}

impl StreamModel {
    pub(super) fn new(lookup: Lookup) -> Self {
        Self { messages: Vec::new(), recent: BTreeSet::new(), lookup }
    }

    pub(super) fn lookup(&self) -> Lookup {
        self.lookup
    }

    /// The last sequence; zero while there is none.
    pub(super) fn last(&self) -> u64 {
        self.messages.len() as u64
    }

    /// The event of this id and position, which expects the position before it to be the last sequence.
    pub(super) fn publish(&mut self, id: Uuid, position: Position) -> Answer {
        let expected = position.get() == self.last() + 1;
        let repeat = self.recent.contains(&id);
        match self.lookup {
            Lookup::IdFirst if repeat => return Answer::Duplicate,
            _ if !expected => return Answer::Refused,
            _ if repeat => return Answer::Duplicate,
            _ => {}
        }
        self.messages.push(Found::Ours(id));
        self.recent.insert(id);
        Answer::Stored { sequence: self.last() }
    }

    /// Somebody else's message, without an id, which expects nothing.
    pub(super) fn publish_foreign(&mut self) -> Answer {
        self.messages.push(Found::Foreign);
        Answer::Stored { sequence: self.last() }
    }

    /// What stands at a sequence.
    pub(super) fn read(&self, sequence: Position) -> Found {
        let index = usize::try_from(sequence.get()).unwrap().checked_sub(1);
        index.and_then(|index| self.messages.get(index)).copied().unwrap_or(Found::Nothing)
    }

    /// The duplicate window has passed for one message.
    pub(super) fn forget_id(&mut self, id: Uuid) {
        self.recent.remove(&id);
    }

    /// It has passed for all.
    pub(super) fn forget_ids(&mut self) {
        self.recent.clear();
    }

    /// A power cut, or a store put back from a copy: the newest messages are gone, and with them the memory of ids.
    /// All of them: the store is lost.
    pub(super) fn lose_tail(&mut self, kept: usize) {
        self.messages.truncate(kept);
        self.forget_ids();
    }
}
