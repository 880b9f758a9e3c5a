//! The reads that HTTP asks for, each of one snapshot that holds the rows and the cursor that they belong to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::{FromRow, PgConnection, PgPool, Row};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::demand::Demand;
use super::list::read_page;
use super::page::{ListQuery, PageCursor};
use super::row::{DamagedRow, TaskRow, columns};
use super::status::ProjectorStatus;
use crate::domain::position::Position;
use crate::domain::task::Task;
use crate::domain::vtid::Vtid;
use crate::writer::handle::WriterHandle;

/// How long a read waits for the projection at most.
const BEHIND_AFTER: Duration = Duration::from_secs(2);
/// How often a waiting read looks for itself: another replica's projector tells this process nothing.
const SLOW_POLL: Duration = Duration::from_millis(100);
/// Before the next look, where what this process knows turned out to be wrong.
const SHORT_PAUSE: Duration = Duration::from_millis(20);
/// How much longer than its deadline the last look may take.
const LOOK_GRACE: Duration = Duration::from_secs(1);
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
    /// Newest first.
    pub tasks: Vec<Task>,
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
}

/// Tells the highest position that this process has acknowledged to a caller.
type Acknowledged = Arc<dyn Fn() -> Position + Send + Sync>;

/// Reads the read table: cheap to clone.
#[derive(Clone)]
pub struct Reader {
    pool: PgPool,
    status: watch::Receiver<ProjectorStatus>,
    acknowledged: Acknowledged,
    demand: Demand,
    /// The highest position that any look has shown. A hint: only what a look shows is answered.
    seen: Arc<AtomicU64>,
}

impl Reader {
    /// Reads by `pool`, woken by what this process's projector tells, and shows what `writer` has acknowledged.
    #[must_use]
    pub fn new(pool: PgPool, status: watch::Receiver<ProjectorStatus>, writer: &WriterHandle) -> Self {
        let writer = writer.clone();
        Self::acknowledging(pool, status, move || writer.acknowledged())
    }

    /// As [`Self::new`], where somebody else knows what was acknowledged.
    pub fn acknowledging(
        pool: PgPool,
        status: watch::Receiver<ProjectorStatus>,
        acknowledged: impl Fn() -> Position + Send + Sync + 'static,
    ) -> Self {
        let (acknowledged, demand) = (Arc::new(acknowledged), Demand::default());
        Self { pool, status, acknowledged, demand, seen: Arc::default() }
    }

    /// Has the projector hurry whenever a read waits for it.
    #[must_use]
    pub fn hurrying(self, demand: Demand) -> Self {
        Self { demand, ..self }
    }

    /// The task of this number, if there is one. Shows `at_least` and all that this process acknowledged before.
    ///
    /// # Errors
    /// [`ReadFailure`].
    pub async fn get(&self, vtid: Vtid, at_least: Position) -> Result<Shown<Option<Task>>, ReadFailure> {
        self.look(at_least, &ByNumber(vtid.to_string())).await
    }

    /// A page of tasks, newest first. Shows `at_least` and all that this process acknowledged before.
    ///
    /// # Errors
    /// [`ReadFailure`].
    pub async fn list(&self, query: &ListQuery, at_least: Position) -> Result<Shown<Page>, ReadFailure> {
        self.look(at_least, query).await
    }

    /// Looks until the snapshot shows what it must.
    async fn look<Q: Question>(
        &self,
        at_least: Position,
        question: &Q,
    ) -> Result<Shown<Q::Answer>, ReadFailure> {
        let at_least = at_least.max((self.acknowledged)());
        let deadline = Instant::now() + BEHIND_AFTER;
        let mut known = self.seen.load(Ordering::Relaxed) >= at_least.get();
        loop {
            if !known {
                self.wait_for(at_least, deadline).await;
            }
            let look = async {
                let mut connection = self.pool.acquire().await?;
                question.ask(&mut connection).await
            };
            let limit = LOOK_TIMEOUT.min(deadline.saturating_duration_since(Instant::now()) + LOOK_GRACE);
            let shown = timeout(limit, look).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
            if shown.position >= at_least {
                self.seen.fetch_max(shown.position.get(), Ordering::Relaxed);
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

    /// Returns once the projection is known to show `at_least`, or when it is time to look without knowing.
    async fn wait_for(&self, at_least: Position, deadline: Instant) {
        let _waiting = self.demand.wait();
        let mut status = self.status.clone();
        let until = deadline.min(Instant::now() + SLOW_POLL);
        let told = status.wait_for(|status| status.position >= at_least);
        // The guard that comes with it is not held over an await.
        let ended = tokio::time::timeout_at(until, told).await.is_ok_and(|told| told.is_err());
        if ended {
            // The projector has ended, in this process; there may be others.
            tokio::time::sleep_until(until).await;
        }
    }
}

/// What a look asks, of one snapshot.
trait Question: Sync {
    type Answer: Send;

    fn ask(
        &self,
        connection: &mut PgConnection,
    ) -> impl Future<Output = Result<Shown<Self::Answer>, ReadFailure>> + Send;
}

struct ByNumber(String);

impl Question for ByNumber {
    type Answer = Option<Task>;

    async fn ask(&self, connection: &mut PgConnection) -> Result<Shown<Option<Task>>, ReadFailure> {
        read_task(connection, &self.0).await
    }
}

impl Question for ListQuery {
    type Answer = Page;

    async fn ask(&self, connection: &mut PgConnection) -> Result<Shown<Page>, ReadFailure> {
        read_page(connection, self).await
    }
}

/// The position that a statement's snapshot shows.
macro_rules! shown {
    () => {
        "coalesce((select p.position from ledger.progress p where p.name = 'vtid_ledger' \
         order by p.position desc limit 1), 0)"
    };
}
pub(super) use shown;

const GET: &str = concat!(
    "select ",
    shown!(),
    " as shown, ",
    columns!(),
    r#" from (select) as one left join "VtidLedger" t on t.vtid = $1"#
);

async fn read_task(connection: &mut PgConnection, vtid: &str) -> Result<Shown<Option<Task>>, ReadFailure> {
    let row = sqlx::query(GET).bind(vtid).fetch_one(connection).await?;
    let position = Position::from_i64(row.try_get("shown")?);
    let found: Option<String> = row.try_get("vtid")?;
    let value = found.map(|_| TaskRow::from_row(&row)).transpose()?.map(|row| row.task()).transpose()?;
    Ok(Shown { value, position })
}
