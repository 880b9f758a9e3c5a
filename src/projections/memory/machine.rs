//! The memory as a pure state machine: no I/O, clock or randomness.

use std::sync::Arc;
use std::time::Duration;

use super::recent::Recent;
use super::states::{Known, States};
use crate::domain::cursor::Cursor;
use crate::domain::evolve::evolve;
use crate::domain::position::{Position, Version};
use crate::domain::task::Task;
use crate::domain::vtid::Vtid;
use crate::log::TailMark;
use crate::log::entry::Entry;
use crate::projections::read::Shown;

/// How long after the last look at the log nothing is shown any more: twice the follower's slowest poll.
pub const FRESH_FOR: Duration = Duration::from_secs(4);
/// How long a row of the read table is shown before the table is asked again.
pub const ROW_FOR: Duration = Duration::from_mins(1);

/// How much is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MemoryLimits {
    /// Bytes of states, about.
    pub state_bytes: usize,
    /// Events whose ids and tasks are remembered: a table that is further behind proves nothing of its rows.
    pub recent_events: usize,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self { state_bytes: 32 << 20, recent_events: 8192 }
    }
}

/// States as of one place in the log; without a place it knows nothing and takes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Memory {
    recent_events: usize,
    place: Option<Place>,
    states: States,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    recent: Recent,
    /// The tail up to this change of it is of the memory's own past.
    verified: u64,
    /// How often the tail had been forgotten.
    forgotten: u64,
    /// When the log was last known to hold the event that the memory stood at.
    looked: Option<Duration>,
}

/// The log's tail in memory, as seen from where the memory stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TailView {
    /// From before the rest was looked at.
    pub mark: TailMark,
    /// The entries right after the memory's place, where the tail can show that they are.
    pub next: Vec<Arc<Entry>>,
    /// The last entry of the tail.
    pub end: Option<Cursor>,
}

impl Memory {
    /// One that stands nowhere yet.
    #[must_use]
    pub fn new(limits: MemoryLimits) -> Self {
        let MemoryLimits { state_bytes, recent_events } = limits;
        Self { recent_events, place: None, states: States::new(state_bytes) }
    }

    /// The log, looked at after `now`, holds the event at `head`; `mark` is the tail's, from before that look.
    pub fn stand(&mut self, now: Duration, head: Cursor, mark: TailMark) {
        self.states.clear();
        self.place = Some(Place {
            recent: Recent::at(head, self.recent_events),
            // What was handed over before the look, and is not in the log any more, is lost: the log is right.
            verified: mark.changes,
            forgotten: mark.forgotten,
            looked: Some(now),
        });
    }

    /// Knows nothing any more: the log may have another past.
    pub fn forget(&mut self) {
        self.states.clear();
        self.place = None;
    }

    /// Where it stands; none where it knows nothing.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        self.place.as_ref().map(|place| place.recent.cursor())
    }

    /// Whether the tail holds what this should know of before it shows `at_least`.
    #[must_use]
    pub fn is_behind(&self, mark: TailMark, at_least: Position) -> bool {
        let Some(place) = &self.place else { return false };
        place.verified != mark.changes || place.recent.cursor().position() < at_least
    }

    /// Takes over what the tail holds. Where the tail is of another past than the memory, or was forgotten since it was
    /// last viewed, forgets everything. Whether it went on: then there may be more.
    pub fn catch_up(&mut self, tail: &TailView) -> bool {
        if self.place.as_ref().is_some_and(|place| place.forgotten != tail.mark.forgotten) {
            self.forget();
        }
        self.apply(&tail.next);
        let Some(place) = &mut self.place else { return false };
        match tail.end {
            // It can't be told yet: what the follower has read may be of another past, and still on its way.
            Some(end) if end.position() > place.recent.cursor().position() => {}
            // The same numbers in another past would seem to show what this process has acknowledged.
            Some(end) if place.recent.holds(end) != Some(true) => self.forget(),
            _ => place.verified = tail.mark.changes,
        }
        !tail.next.is_empty()
    }

    /// Goes on by `entries`, which follow each other. Those that it knows are passed over; where they are others, or some
    /// are missing in between, it forgets everything.
    pub fn apply(&mut self, entries: &[Arc<Entry>]) {
        for entry in entries {
            let Some(place) = &mut self.place else { return };
            let event = &entry.recorded.event;
            let known = place.recent.cursor().position();
            if event.position == known.next() {
                place.recent.push(event);
                self.evolve(entry);
            } else if event.position > known || place.recent.holds(Cursor::at(event)) == Some(false) {
                self.forget();
            }
        }
    }

    /// The log, looked at no earlier than `now`, holds the event that the memory stood at then.
    pub fn looked(&mut self, now: Duration) {
        if let Some(place) = &mut self.place {
            place.looked = place.looked.max(Some(now));
        }
    }

    /// The log can't be read: nothing is shown until it was looked at again.
    pub fn doubt(&mut self) {
        if let Some(place) = &mut self.place {
            place.looked = None;
        }
    }

    /// The task's state, if it is known, at the place where the memory stands, if that is `at_least` and fresh.
    pub fn get(&mut self, now: Duration, vtid: Vtid, at_least: Position) -> Option<Shown<Arc<Task>>> {
        let place = self.place.as_ref()?;
        let position = place.recent.cursor().position();
        let fresh = place.looked.is_some_and(|looked| now.saturating_sub(looked) < FRESH_FOR);
        if !fresh || position < at_least {
            return None;
        }
        let value = Arc::clone(self.states.get(vtid, now)?);
        Some(Shown { value, position })
    }

    /// The read table had this row when its cursor stood at `shown`: taken if that is in the memory's own past, and the
    /// task has no event since.
    pub fn offer(&mut self, now: Duration, task: Arc<Task>, shown: Cursor) {
        let Some(place) = &self.place else { return };
        let position = shown.position();
        let proven = place.recent.holds(shown) == Some(true)
            && task.position <= position
            && !place.recent.changed_after(task.vtid, position);
        // What came by the log is the truth; the row is the same, unless somebody has edited it.
        let better = self.states.peek(task.vtid).is_some_and(|known| known.until.is_none());
        if proven && !better {
            self.states.put(Known { task, until: Some(now + ROW_FOR) });
        }
    }

    fn evolve(&mut self, entry: &Entry) {
        let event = &entry.recorded.event;
        if let Some(transition) = &entry.transition {
            self.states.put(Known { task: Arc::clone(&transition.after), until: None });
            return;
        }
        let (before, until) = match self.states.peek(event.vtid) {
            Some(known) => (Some((*known.task).clone()), known.until),
            None if event.version == Version::ZERO.next() => (None, None),
            None => return,
        };
        match evolve(before, event) {
            Ok(task) => self.states.put(Known { task: Arc::new(task), until }),
            // The table is asked, and the projector names what is wrong.
            Err(_) => self.states.remove(event.vtid),
        }
    }

    #[cfg(test)]
    pub(super) fn assert_sound(&self) {
        self.states.assert_sound();
    }
}
