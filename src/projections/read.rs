//! The reads that HTTP asks for: of states in memory, or of one snapshot of the read table that holds the rows and the
//! cursor that they belong to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::connections::ReadConnections;
use super::demand::Demand;
use super::elsewhere::ReadServers;
use super::memory::TaskMemory;
use super::page::{ListQuery, PageCursor};
use super::past::PastQuery;
use super::question::{ByNumber, Question, ask};
use super::row::DamagedRow;
use super::status::ProjectorStatus;
use crate::domain::position::Position;
use crate::domain::task::Task;
use crate::domain::vtid::Vtid;
use crate::log::read::ReadError;
use crate::writer::handle::WriterHandle;

/// How long a read waits for the projection at most.
const BEHIND_AFTER: Duration = Duration::from_secs(2);
/// How often a waiting read looks for itself: this process's projector may be at something else.
const SLOW_POLL: Duration = Duration::from_millis(100);
/// Before the next look, where what this process knows turned out to be wrong.
const SHORT_PAUSE: Duration = Duration::from_millis(20);
/// How much longer than its deadline the last look may take.
const LOOK_GRACE: Duration = Duration::from_secs(1);
/// How long a read waits for a standby to show what it must, before it goes to the primary.
const ELSEWHERE_PATIENCE: Duration = Duration::from_millis(150);
/// A standby that takes longer counts as away.
const ELSEWHERE_TIMEOUT: Duration = Duration::from_secs(1);
/// Longer than a look takes; after it the database counts as away.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// An answer, and the position that it shows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shown<T> {
    /// The answer.
    pub value: T,
    /// Every event up to here is in it, and none after.
    pub position: Position,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Page {
    /// How many rows it has.
    pub count: u16,
    /// The rows in JSON, newest first, with commas between them.
    pub rows: String,
    /// Where the next page begins; none when this one is the last.
    pub next: Option<PageCursor>,
}

/// Why a read has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ReadFailure {
    /// The read table does not show the position yet that the read must show: try again.
    #[error("the read table is behind")]
    Behind,
    /// The database did not answer: try again.
    #[error("the read table can't be read: {0}")]
    Unavailable(#[from] sqlx::Error),
    /// A row holds what no task can.
    #[error(transparent)]
    Damaged(#[from] DamagedRow),
    /// The log holds what this program can't read or fold.
    #[error("the log can't be read: {0}")]
    Log(ReadError),
}

impl From<ReadError> for ReadFailure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Database(error) => Self::Unavailable(error),
            other => Self::Log(other),
        }
    }
}

/// Tells the highest position that this process has acknowledged to a caller.
type Acknowledged = Arc<dyn Fn() -> Position + Send + Sync>;

/// Reads the read table, and what is known of it in memory: cheap to clone.
#[derive(Clone)]
pub struct Reader {
    connections: ReadConnections,
    /// Servers that are asked before the primary is.
    elsewhere: Option<ReadServers>,
    memory: Option<TaskMemory>,
    status: watch::Receiver<ProjectorStatus>,
    acknowledged: Acknowledged,
    demand: Demand,
    /// The highest position that any look has shown. A hint: only what a look shows is answered.
    seen: Arc<AtomicU64>,
}

impl Reader {
    /// Reads by `connections`, woken by what this process's projector tells, and shows what `writer` has acknowledged.
    #[must_use]
    pub fn new(
        connections: ReadConnections,
        status: watch::Receiver<ProjectorStatus>,
        writer: &WriterHandle,
    ) -> Self {
        let writer = writer.clone();
        Self::acknowledging(connections, status, move || writer.acknowledged())
    }

    /// As [`Self::new`], where somebody else knows what was acknowledged.
    pub fn acknowledging(
        connections: ReadConnections,
        status: watch::Receiver<ProjectorStatus>,
        acknowledged: impl Fn() -> Position + Send + Sync + 'static,
    ) -> Self {
        let (acknowledged, demand) = (Arc::new(acknowledged), Demand::default());
        Self {
            connections,
            elsewhere: None,
            memory: None,
            status,
            acknowledged,
            demand,
            seen: Arc::default(),
        }
    }

    /// Has the projector hurry whenever a read waits for it.
    #[must_use]
    pub fn hurrying(self, demand: Demand) -> Self {
        Self { demand, ..self }
    }

    /// Answers from `memory`, if there is one, what it knows.
    #[must_use]
    pub fn with_memory(self, memory: Option<TaskMemory>) -> Self {
        Self { memory, ..self }
    }

    /// Asks these servers first, if there are any.
    #[must_use]
    pub fn with_elsewhere(self, elsewhere: Option<ReadServers>) -> Self {
        Self { elsewhere, ..self }
    }

    /// The task of this number, if there is one. Shows `at_least` and all that this process acknowledged before.
    ///
    /// # Errors
    /// [`ReadFailure`].
    pub async fn get(&self, vtid: Vtid, at_least: Position) -> Result<Shown<Option<Arc<Task>>>, ReadFailure> {
        let at_least = at_least.max((self.acknowledged)());
        let question = ByNumber { vtid, memory: self.memory.as_ref() };
        match question.remembered(at_least) {
            Some(shown) => Ok(shown),
            None => self.look(at_least, &question).await,
        }
    }

    /// A page of tasks, newest first. Shows `at_least` and all that this process acknowledged before.
    ///
    /// # Errors
    /// [`ReadFailure`].
    pub async fn list(&self, query: &ListQuery, at_least: Position) -> Result<Shown<Page>, ReadFailure> {
        self.look(at_least.max((self.acknowledged)()), query).await
    }

    /// A page of tasks as they were, newest first.
    ///
    /// # Errors
    /// [`ReadFailure`].
    pub async fn list_at(&self, query: &PastQuery) -> Result<Page, ReadFailure> {
        Ok(self.look(query.position, query).await?.value)
    }

    /// The connections to the primary.
    pub(crate) fn connections(&self) -> &ReadConnections {
        &self.connections
    }

    /// The highest position that this process has acknowledged to a caller.
    pub(crate) fn acknowledged(&self) -> Position {
        (self.acknowledged)()
    }

    /// Looks until the snapshot shows what it must, or the memory knows it.
    async fn look<Q: Question>(
        &self,
        at_least: Position,
        question: &Q,
    ) -> Result<Shown<Q::Answer>, ReadFailure> {
        let deadline = Instant::now() + BEHIND_AFTER;
        if let Some(shown) = self.look_elsewhere(at_least, question).await {
            return Ok(shown);
        }
        // Where the memory shows it, it can also tell whether a row of a table that is behind is still current.
        let mut known = self.seen.load(Ordering::Relaxed) >= at_least.get()
            || question.memory().is_some_and(|memory| memory.shows(at_least));
        // Counted from the first wait to the answer: a projector looks for how long somebody has waited.
        let mut waiting = None;
        loop {
            if !known {
                waiting.get_or_insert_with(|| self.demand.wait());
                self.wait_for(at_least, deadline, question).await;
                if let Some(shown) = question.remembered(at_least) {
                    return Ok(shown);
                }
            }
            let limit = LOOK_TIMEOUT.min(deadline.saturating_duration_since(Instant::now()) + LOOK_GRACE);
            let shown = timeout(limit, ask(&self.connections, question))
                .await
                .map_err(|_| sqlx::Error::PoolTimedOut)??;
            if shown.position >= at_least {
                self.seen.fetch_max(shown.position.get(), Ordering::Relaxed);
                return Ok(shown);
            }
            if let Some(shown) = question.remembered(at_least) {
                return Ok(shown);
            }
            if Instant::now() >= deadline {
                return Err(ReadFailure::Behind);
            }
            // What was known is no longer so: the projection was reset, or the database lost its last commits.
            self.seen.store(shown.position.get(), Ordering::Relaxed);
            if known || self.status.borrow().position >= at_least {
                tokio::time::sleep(SHORT_PAUSE).await;
            }
            known = false;
        }
    }

    /// The answer of a server other than the primary; none where it is of no use, or can't show in a moment what it must.
    /// Reads of one process do not go back, whichever server answers.
    async fn look_elsewhere<Q: Question>(
        &self,
        at_least: Position,
        question: &Q,
    ) -> Option<Shown<Q::Answer>> {
        let servers = self.elsewhere.as_ref().filter(|servers| servers.are_usable())?;
        let floor = at_least.get().max(self.seen.load(Ordering::Relaxed));
        let until = Instant::now() + ELSEWHERE_PATIENCE;
        let mut waiting = None;
        loop {
            match timeout(ELSEWHERE_TIMEOUT, ask(servers.connections(), question)).await {
                Ok(Ok(shown)) if shown.position.get() >= floor => {
                    self.seen.fetch_max(shown.position.get(), Ordering::Relaxed);
                    return Some(shown);
                }
                Ok(Ok(_)) => {}
                // As a query that stood in the way of replication: the primary can tell.
                Ok(Err(error)) => {
                    servers.distrust(&error.to_string());
                    return None;
                }
                Err(_) => {
                    servers.distrust("it takes too long to answer");
                    return None;
                }
            }
            if let Some(shown) = question.remembered(at_least) {
                return Some(shown);
            }
            if Instant::now() >= until {
                return None;
            }
            waiting.get_or_insert_with(|| self.demand.wait());
            tokio::time::sleep(SHORT_PAUSE).await;
        }
    }

    /// Returns once the projection is known to show `at_least`, or the memory to have come there, or when it is time to
    /// look without knowing.
    async fn wait_for(&self, at_least: Position, deadline: Instant, question: &impl Question) {
        let mut status = self.status.clone();
        let projected = async {
            if status.wait_for(|status| status.position >= at_least).await.is_err() {
                // The projector has ended, in this process; there may be others.
                std::future::pending::<()>().await;
            }
        };
        let remembered = async {
            match question.memory() {
                Some(memory) => memory.comes_to(at_least).await,
                None => std::future::pending().await,
            }
        };
        let either = async {
            tokio::select! {
                () = projected => {}
                () = remembered => {}
            }
        };
        let until = deadline.min(Instant::now() + SLOW_POLL);
        // A time-out is the slow poll.
        let _ = tokio::time::timeout_at(until, either).await;
    }
}
