//! The newest events' ids and tasks: what proves that another's knowledge is of the same past, and still current.

use std::collections::VecDeque;

use uuid::Uuid;

use crate::domain::cursor::Cursor;
use crate::domain::event::Event;
use crate::domain::position::Position;
use crate::domain::vtid::Vtid;

/// A bounded run of events, the last of which is the one that the memory stands at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Recent {
    /// Right before the run.
    base: Cursor,
    run: VecDeque<(Uuid, Vtid)>,
    cursor: Cursor,
    max_events: usize,
}

impl Recent {
    /// Stands at `cursor`, and knows of no event before it.
    pub(super) fn at(cursor: Cursor, max_events: usize) -> Self {
        Self { base: cursor, run: VecDeque::new(), cursor, max_events }
    }

    pub(super) fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The next event, at the position after the cursor's.
    pub(super) fn push(&mut self, event: &Event) {
        self.cursor = Cursor::at(event);
        self.run.push_back((event.id, event.vtid));
        if self.run.len() > self.max_events
            && let Some((id, _)) = self.run.pop_front()
        {
            self.base = Cursor::At { position: self.base.position().next(), id };
        }
    }

    /// Whether the past up to here holds the event at `cursor`; none where that is too long ago to know, or yet to come.
    pub(super) fn holds(&self, cursor: Cursor) -> Option<bool> {
        let after_base = cursor.position().get().checked_sub(self.base.position().get())?;
        if after_base == 0 {
            return Some(cursor == self.base);
        }
        let (id, _) = self.run.get(usize::try_from(after_base - 1).ok()?)?;
        Some(cursor.id() == Some(*id))
    }

    /// Whether the task has an event after `position`, which [`Recent::holds`] knows of.
    pub(super) fn changed_after(&self, vtid: Vtid, position: Position) -> bool {
        let later = self.cursor.position().get().saturating_sub(position.get());
        let later = usize::try_from(later).unwrap_or(usize::MAX);
        self.run.iter().rev().take(later).any(|(_, changed)| *changed == vtid)
    }
}
