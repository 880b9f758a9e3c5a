//! Following the log: batches in order, from memory where the writer has just handed them over, from `PostgreSQL`
//! otherwise. All followers come through here; none polls on its own.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;

use super::EventLog;
use super::entry::Entry;
use super::read::{ReadError, read_after};
use crate::domain::cursor::Cursor;
use crate::domain::position::Position;

/// Looks at least this often, should a notification be lost.
const SLOW_POLL: Duration = Duration::from_secs(2);
/// Longer than any look takes; after it the database counts as away.
const LOOK_TIMEOUT: Duration = Duration::from_secs(30);
/// So long at most a follower waits for what the writer brings from its turn, before it looks itself.
const TURN_PATIENCE: Duration = Duration::from_millis(50);
/// Events of a batch at most: some 32 MiB were each as large as can be.
pub const BATCH_EVENTS: u32 = 512;

/// A reader of the log, in order, which remembers how far it has come.
pub struct Follower {
    log: EventLog,
    cursor: Cursor,
    heard: watch::Receiver<Position>,
    handed_over: watch::Receiver<Position>,
}

impl Follower {
    pub(super) fn new(log: EventLog, from: Cursor) -> Self {
        let (heard, handed_over) = (log.heard(), log.written());
        Self { log, cursor: from, heard, handed_over }
    }

    /// Where the next batch begins.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The next events, at least one: waits until there is one. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`ReadError`]; the cursor stays where it was.
    pub async fn next(&mut self) -> Result<Vec<Arc<Entry>>, ReadError> {
        loop {
            if let Some(batch) = self.next_within(SLOW_POLL).await? {
                return Ok(batch);
            }
        }
    }

    /// As [`Follower::next`], but none if nothing was there and nothing was heard of within `idle`, which does not
    /// count what a look takes.
    ///
    /// # Errors
    /// [`ReadError`]; the cursor stays where it was.
    pub async fn next_within(&mut self, idle: Duration) -> Result<Option<Vec<Arc<Entry>>>, ReadError> {
        // Seen before the look, so that what is heard of during the look wakes the wait below.
        let heard = *self.heard.borrow_and_update();
        self.handed_over.mark_unchanged();
        let mut batch = match self.handed_over() {
            Some(batch) if !batch.is_empty() || heard <= self.cursor.position() => batch,
            Some(_) if self.writer_awaits_turn() => self.after_turn().await?,
            _ => self.look().await?,
        };
        if batch.is_empty() {
            // The sender lives in the log that this follower holds, so it can't be gone; a time-out is the slow poll,
            // which asks `PostgreSQL` whatever the memory says.
            let woken = tokio::time::timeout(idle.min(SLOW_POLL), self.heard.changed()).await.is_ok();
            batch = match self.handed_over() {
                Some(batch) if woken && !batch.is_empty() => batch,
                Some(_) if woken && self.writer_awaits_turn() => self.after_turn().await?,
                _ => self.look().await?,
            };
        }
        let Some(last) = batch.last() else { return Ok(None) };
        self.cursor = Cursor::at(&last.recorded.event);
        Ok(Some(batch))
    }

    fn writer_awaits_turn(&self) -> bool {
        self.log.shared.awaits_turn.load(Ordering::Acquire)
    }

    /// What the writer's turn brings, which others have appended.
    async fn after_turn(&mut self) -> Result<Vec<Arc<Entry>>, ReadError> {
        // A time-out, and a turn that brought nothing: `PostgreSQL` knows.
        let _ = tokio::time::timeout(TURN_PATIENCE, self.handed_over.changed()).await;
        match self.handed_over() {
            Some(batch) if !batch.is_empty() => Ok(batch),
            _ => self.look().await,
        }
    }

    fn handed_over(&self) -> Option<Vec<Arc<Entry>>> {
        self.log.shared.tail.after(self.cursor, BATCH_EVENTS as usize)
    }

    async fn look(&self) -> Result<Vec<Arc<Entry>>, ReadError> {
        let looked = tokio::time::timeout(LOOK_TIMEOUT, self.read()).await;
        looked.unwrap_or(Err(ReadError::Database(sqlx::Error::PoolTimedOut)))
    }

    /// What `PostgreSQL` has after the cursor, without waiting and without moving on.
    async fn read(&self) -> Result<Vec<Arc<Entry>>, ReadError> {
        let mut connection = self.log.pool().acquire().await?;
        let events = read_after(&mut connection, self.cursor, BATCH_EVENTS).await?;
        if let Some(last) = events.last() {
            self.log.hear_of(last.event.position);
        }
        Ok(events.into_iter().map(|recorded| Arc::new(Entry::read(recorded))).collect())
    }
}
