//! What each event did to its task, for followers that need to know: the fold, with a bounded memory of states.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::entry::{Entry, Transition};
use super::load::load_tasks;
use super::pool::Pool;
use super::read::ReadError;
use crate::domain::evolve::evolve;
use crate::domain::position::Position;
use crate::domain::task::Task;
use crate::domain::vtid::Vtid;

/// Folds entries in order, each follower for itself.
pub struct Folder {
    pool: Pool,
    states: BTreeMap<Vtid, Arc<Task>>,
    max_states: usize,
}

impl Folder {
    /// Remembers up to `max_states` states between batches; others are loaded from the log.
    #[must_use]
    pub fn new(pool: Pool, max_states: usize) -> Self {
        Self { pool, states: BTreeMap::new(), max_states }
    }

    /// Forgets every state: the follower goes elsewhere in the log.
    pub fn forget(&mut self) {
        self.states.clear();
    }

    /// What each of `entries` did, in their order. They follow each other in the log without a gap, and follow
    /// on the last call's, unless [`Folder::forget`] came between.
    ///
    /// # Errors
    /// [`ReadError`]; the states are forgotten then, and the same entries can be given again.
    pub async fn fold(&mut self, entries: &[Arc<Entry>]) -> Result<Vec<Transition>, ReadError> {
        let folded = self.try_fold(entries).await;
        if folded.is_err() {
            self.forget();
        }
        folded
    }

    async fn try_fold(&mut self, entries: &[Arc<Entry>]) -> Result<Vec<Transition>, ReadError> {
        let Some(first) = entries.first() else { return Ok(Vec::new()) };
        let before = Position::new(first.position().get() - 1);
        self.load_missing(entries, before).await?;
        let mut transitions = Vec::with_capacity(entries.len());
        for entry in entries {
            let event = &entry.recorded.event;
            let transition = if let Some(known) = &entry.transition {
                known.clone()
            } else {
                let before = self.states.get(&event.vtid).cloned();
                let after = evolve(before.as_deref().cloned(), event).map_err(|error| {
                    tracing::error!(%error, "an event does not fold");
                    ReadError::Damaged(event.position)
                })?;
                Transition { before, after: Arc::new(after) }
            };
            self.states.insert(event.vtid, Arc::clone(&transition.after));
            transitions.push(transition);
        }
        while self.states.len() > self.max_states {
            // The lowest numbers are the oldest tasks, which are the least likely to change again.
            self.states.pop_first();
        }
        Ok(transitions)
    }

    async fn load_missing(&mut self, entries: &[Arc<Entry>], at: Position) -> Result<(), ReadError> {
        let mut seen = BTreeSet::new();
        let mut missing = BTreeSet::new();
        for entry in entries {
            let event = &entry.recorded.event;
            let first_here = seen.insert(event.vtid);
            let needed = first_here && entry.transition.is_none() && event.version.get() > 1;
            if needed && !self.states.contains_key(&event.vtid) {
                missing.insert(event.vtid);
            }
        }
        if !missing.is_empty() {
            let mut connection = self.pool.acquire().await?;
            self.states.extend(load_tasks(&mut connection, &missing, at).await?);
        }
        Ok(())
    }
}
