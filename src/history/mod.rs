//! The ledger's past, as HTTP asks for it: read from the log itself, on the primary, so that it shows whatever was
//! acknowledged. Only the order of a list is the read table's.
//!
//! It has connections of its own: however many look into the past, followers and plain reads have theirs. Each look is
//! short, a page is some of them, and an export ([`export`]) as many as it takes, one after the other.

pub mod export;
mod looks;
pub mod records;
pub mod stream;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::domain::moment::{Moment, Place};
use crate::domain::position::Position;
use crate::domain::task::Task;
use crate::domain::time::Timestamp;
use crate::domain::vtid::Vtid;
use crate::projections::past::PastQuery;
use crate::projections::question::{Question, ask};
use crate::projections::read::{Page, ReadFailure, Reader};
use looks::{Ends, Located, States};

/// Exports under way at a time: each holds some MiB at most.
pub const EXPORTS_MAX: usize = 16;
/// How long a read waits for a position that the log does not have yet.
const BEHIND_AFTER: Duration = Duration::from_secs(2);
/// How often a waiting read looks: what was heard of may have been lost.
const SLOW_POLL: Duration = Duration::from_millis(100);
/// Longer than a page takes; after it the database counts as away.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads the past: cheap to clone.
#[derive(Clone)]
pub struct History {
    /// Has the connections.
    reader: Reader,
    /// The log's growth, as this process hears of it: a hint.
    heard: watch::Receiver<Position>,
    exports: Arc<Semaphore>,
}

/// Why the past is not shown.
#[derive(Debug, thiserror::Error)]
pub enum HistoryFailure {
    /// The position is past the log's end, which is this.
    #[error("the ledger ends at position {0}")]
    PastTheEnd(Position),
    /// What comes before the first position that is asked for is past the log's end, which is this.
    #[error("the ledger goes on after position {0}")]
    BeyondTheEnd(Position),
    /// The time is yet to come.
    #[error("it is {0} now")]
    Future(Timestamp),
    /// The place to go on from is none of this log.
    #[error("the log has no such place")]
    NoSuchPlace,
    /// As many exports are under way as may be: try again.
    #[error("too many exports are under way")]
    Busy,
    /// It could not be read.
    #[error(transparent)]
    Read(#[from] ReadFailure),
}

impl History {
    /// Reads by the connections of `reader`; `heard` tells of the log's growth.
    #[must_use]
    pub fn new(reader: Reader, heard: watch::Receiver<Position>) -> Self {
        Self { reader, heard, exports: Arc::new(Semaphore::new(EXPORTS_MAX)) }
    }

    /// The log's last event: `at_least`, and all that this process acknowledged before. Waits for it where it must.
    ///
    /// # Errors
    /// [`ReadFailure`].
    pub async fn head(&self, at_least: Position) -> Result<Place, ReadFailure> {
        Ok(self.locate(None, at_least).await?.head)
    }

    /// The place of `moment` in the log, which is to have `at_least` and all that this process acknowledged before.
    ///
    /// What is yet to come is refused, not waited for: every write that anybody was told of is in the log already. A
    /// time counts as past once it is not after `now`, or the log has it.
    ///
    /// # Errors
    /// [`HistoryFailure`].
    pub async fn place(
        &self,
        moment: Moment,
        at_least: Position,
        now: Timestamp,
    ) -> Result<Place, HistoryFailure> {
        let Located { head, found } = self.locate(Some(moment), at_least).await?;
        match (moment, found) {
            (Moment::At(time), _) if time > now.max(head.time) => {
                Err(HistoryFailure::Future(now.max(head.time)))
            }
            (_, Some(place)) => Ok(place),
            (_, None) => Err(HistoryFailure::PastTheEnd(head.position)),
        }
    }

    /// The task as it was at `position`, if it was there.
    ///
    /// # Errors
    /// [`ReadFailure`].
    pub async fn task_at(&self, vtid: Vtid, position: Position) -> Result<Option<Arc<Task>>, ReadFailure> {
        let mut tasks = self.look(&States { vtids: BTreeSet::from([vtid]), position }).await?;
        Ok(tasks.remove(&vtid))
    }

    /// A page of tasks as they were.
    ///
    /// # Errors
    /// [`ReadFailure`].
    pub async fn list_at(&self, query: &PastQuery) -> Result<Page, ReadFailure> {
        if query.position == Position::ZERO {
            return Ok(Page::default());
        }
        self.reader.list_at(query).await
    }

    /// Looks until the log has what it must.
    async fn locate(&self, moment: Option<Moment>, at_least: Position) -> Result<Located, ReadFailure> {
        let at_least = at_least.max(self.reader.acknowledged());
        let deadline = Instant::now() + BEHIND_AFTER;
        let mut heard = self.heard.clone();
        loop {
            // Seen before the look, so that what is heard of during the look wakes the wait below.
            heard.mark_unchanged();
            let located = self.look(&Ends { moment }).await?;
            if located.head.position >= at_least {
                return Ok(located);
            }
            if Instant::now() >= deadline {
                return Err(ReadFailure::Behind);
            }
            // A time-out is the slow poll.
            let _ = timeout_at(deadline.min(Instant::now() + SLOW_POLL), heard.changed()).await;
        }
    }

    async fn look<Q: Question>(&self, question: &Q) -> Result<Q::Answer, ReadFailure> {
        self.look_within(LOOK_TIMEOUT, question).await
    }

    async fn look_within<Q: Question>(
        &self,
        limit: Duration,
        question: &Q,
    ) -> Result<Q::Answer, ReadFailure> {
        let asked = timeout(limit, ask(self.reader.connections(), question)).await;
        Ok(asked.map_err(|_| sqlx::Error::PoolTimedOut)??.value)
    }
}
