//! The log as its followers see it: ids in a row, and the memory of all that ever stood there.

use uuid::Uuid;
use vtid_ledger::domain::position::Position;

/// An event's number, from 1 on: its id.
pub(super) type Number = u64;

pub(super) fn id(number: Number) -> Uuid {
    Uuid::from_u128(u128::from(number))
}

pub(super) fn at(position: u64) -> Position {
    Position::new(position)
}

/// The log now, and every event that it has ever held.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Log {
    events: Vec<Number>,
    /// By number: the event before it, 0 for none.
    before: Vec<Number>,
    pub(super) hold: bool,
}

impl Log {
    pub(super) fn of(events: u64) -> Self {
        let mut log = Self::default();
        (0..events).for_each(|_| log.append());
        log
    }

    pub(super) fn head(&self) -> u64 {
        self.events.len() as u64
    }

    pub(super) fn append(&mut self) {
        self.before.push(self.events.last().copied().unwrap_or(0));
        self.events.push(self.before.len() as u64);
    }

    /// A failover, or a database put back: the last commits are gone.
    pub(super) fn lose_tail(&mut self, kept: usize) {
        self.events.truncate(kept);
    }

    /// An operator appends the records that were lost, up to this one.
    pub(super) fn recover(&mut self, last: Number) {
        self.events = self.line(last);
        self.hold = false;
    }

    pub(super) fn id_at(&self, position: Position) -> Option<Uuid> {
        let index = usize::try_from(position.get()).unwrap().checked_sub(1)?;
        self.events.get(index).map(|number| id(*number))
    }

    pub(super) fn holds(&self, position: Position, event: Uuid) -> bool {
        self.id_at(position) == Some(event)
    }

    /// Up to `max` events after a position.
    pub(super) fn after(&self, position: Position, max: usize) -> impl Iterator<Item = (Position, Uuid)> {
        let skip = usize::try_from(position.get()).unwrap();
        let next = (position.get() + 1..).map(at);
        next.zip(self.events.iter().skip(skip).take(max).map(|number| id(*number)))
    }

    /// Whether the event ever stood at this position.
    pub(super) fn ever_held(&self, position: Position, event: Uuid) -> bool {
        self.forebears(event).len() as u64 == position.get()
    }

    /// The event and all before it, as they stood when it was appended.
    pub(super) fn forebears(&self, event: Uuid) -> Vec<Uuid> {
        let number = u64::try_from(event.as_u128()).unwrap();
        self.line(number).into_iter().map(id).collect()
    }

    fn line(&self, last: Number) -> Vec<Number> {
        let before = |number: &Number| {
            let index = usize::try_from(*number).unwrap().checked_sub(1)?;
            self.before.get(index).copied().filter(|number| *number > 0)
        };
        let known = (1..=self.before.len() as u64).contains(&last).then_some(last);
        let mut line: Vec<_> = std::iter::successors(known, before).collect();
        line.reverse();
        line
    }
}
