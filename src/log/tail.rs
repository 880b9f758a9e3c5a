//! The newest entries in memory, as the writer handed them over: a bounded run without a gap.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::entry::Entry;
use super::hold::Losses;
use crate::domain::cursor::Cursor;

/// A bounded run of the log's newest entries.
pub struct Tail {
    run: Mutex<Run>,
    max_bytes: usize,
}

#[derive(Default)]
struct Run {
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
    /// Those that had been accepted when the oldest entries were handed over.
    losses: Losses,
}

impl Tail {
    /// Keeps about `max_bytes` of entries.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self { run: Mutex::default(), max_bytes }
    }

    fn run(&self) -> MutexGuard<'_, Run> {
        // Nothing in here panics halfway through a change, so a poisoned run is still a whole one.
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds entries. Where they do not follow on what is there, or a loss was accepted since, they begin a new run.
    pub fn push(&self, entries: Vec<Arc<Entry>>, losses: Losses) {
        let mut run = self.run();
        for entry in entries {
            let follows = run.entries.back().is_some_and(|last| last.position().next() == entry.position());
            if !follows || run.losses != losses {
                *run = Run { losses, ..Run::default() };
            }
            run.bytes += entry.approximate_bytes();
            run.entries.push_back(entry);
        }
        while run.bytes > self.max_bytes {
            let Some(oldest) = run.entries.pop_front() else { break };
            run.bytes -= oldest.approximate_bytes();
        }
    }

    /// The losses that had been accepted when the run was handed over; none if it is empty.
    #[must_use]
    pub fn losses(&self) -> Option<Losses> {
        let run = self.run();
        run.entries.front().map(|_| run.losses)
    }

    /// The last entry; none if the run is empty.
    #[must_use]
    pub fn end(&self) -> Option<Cursor> {
        self.run().entries.back().map(|entry| Cursor::at(&entry.recorded.event))
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.run() = Run::default();
    }

    /// Up to `max` entries after `cursor`, if the run can show that they come after the cursor's event: none, where that
    /// is the run's last. Otherwise `PostgreSQL` knows.
    #[must_use]
    pub fn after(&self, cursor: Cursor, max: usize) -> Option<Vec<Arc<Entry>>> {
        let run = self.run();
        let first = run.entries.front()?.position();
        let skip = match cursor {
            Cursor::Start if first.get() == 1 => 0,
            Cursor::At { position, id } if position >= first => {
                let index = usize::try_from(position.get() - first.get()).unwrap_or(usize::MAX);
                run.entries.get(index).filter(|entry| entry.recorded.event.id == id).map(|_| index + 1)?
            }
            _ => return None,
        };
        Some(run.entries.range(skip..).take(max).cloned().collect())
    }
}
