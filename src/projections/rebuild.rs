//! Rebuilding the read table in place, from the log alone, while reads and writes go on; and the same walk read
//! only. Both go range by range; a rebuild notes how far it has come, so that it can be taken up again.

use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::time::sleep;

use super::mend::{Mended, lock, mend_range};
use super::tasks::{NAME, Progress, ProjectionError, REVISION, progress};
pub use super::walk::Difference;
use super::walk::Fold;
use crate::log::connect::connect;
use crate::log::servers::Servers;

/// Failures in a row that a rebuild bears with, a pause after each.
const MAX_FAILURES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(500);

/// How far a walk has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WalkProgress {
    /// Tasks walked by this call.
    pub tasks: u64,
    /// About how many there are; none if nobody knows yet.
    pub total: Option<u64>,
    /// The key that an interrupted rebuild was taken up after; none from the start.
    pub resumed_after: Option<String>,
    /// Tasks that had no row.
    pub missing: u64,
    /// Rows that differed.
    pub changed: u64,
    /// Rows without events.
    pub unexpected: u64,
}

impl WalkProgress {
    /// Rows that were not what the log says.
    #[must_use]
    pub fn differences(&self) -> u64 {
        self.missing + self.changed + self.unexpected
    }

    fn count(&mut self, tasks: usize, differences: &[Difference]) {
        self.tasks += u64::try_from(tasks).unwrap_or(u64::MAX);
        for difference in differences {
            *match difference {
                Difference::Missing { .. } => &mut self.missing,
                Difference::Changed { .. } => &mut self.changed,
                Difference::Unexpected { .. } => &mut self.unexpected,
            } += 1;
        }
    }
}

/// Whether an interrupted rebuild is taken up where it stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// Where it stopped, or the start if none was interrupted.
    WhereItStopped,
    /// The first key, in any case.
    TheStart,
}

/// Makes every row what the log says, up to where the projection stands. Tells `report` after each range. Waits for
/// another rebuild that is under way.
///
/// # Errors
/// [`ProjectionError`]. What was mended stays so, and the next call goes on from there.
pub async fn rebuild(
    options: &Servers,
    from: From,
    mut report: impl FnMut(&WalkProgress),
) -> Result<WalkProgress, ProjectionError> {
    let mut connection = connect(options).await?;
    while !alone(&mut connection).await? {
        sleep(PAUSE).await;
    }
    let mut walk = begin(&mut connection, from).await?;
    let mut connection = Some(connection);
    let mut failures = 0;
    loop {
        report(&walk);
        match step(options, &mut connection, &mut walk).await {
            Ok(Step::Further) => failures = 0,
            Ok(Step::Finished) => return Ok(walk),
            Err(error) if failures < MAX_FAILURES && passes(&error) => {
                tracing::warn!(%error, "a part of the rebuild is tried again");
                failures += 1;
                connection = None;
                sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Rebuilds if this code is of a later revision than what built the table, or a rebuild was interrupted, and nobody
/// else is at it. None if there was nothing to do.
///
/// # Errors
/// [`ProjectionError`]; see [`rebuild`].
pub async fn mend_if_needed(options: &Servers) -> Result<Option<WalkProgress>, ProjectionError> {
    let mut connection = connect(options).await?;
    let Progress { revision, mending, .. } = progress(&mut connection).await?;
    let due = match mending {
        Some((mending, _)) => mending <= REVISION && revision <= REVISION,
        None => revision < REVISION,
    };
    if !due || !alone(&mut connection).await? {
        return Ok(None);
    }
    connection.close().await?;
    rebuild(options, From::WhereItStopped, |_| {}).await.map(Some)
}

/// The same walk, read only: every row that is not what the log says, as of where the projection stood when the walk
/// came by.
///
/// # Errors
/// [`ProjectionError`].
pub async fn diff(
    options: &Servers,
    mut report: impl FnMut(&WalkProgress, &[Difference]),
) -> Result<WalkProgress, ProjectionError> {
    let mut connection = connect(options).await?;
    let mut walk = WalkProgress { total: estimate(&mut connection).await?, ..WalkProgress::default() };
    let mut after = String::new();
    let mut failures = 0;
    loop {
        let cursor = progress(&mut connection).await?.cursor;
        let mut fold = Fold::begin(&mut connection, &after, cursor).await?;
        let cursor = progress(&mut connection).await?.cursor;
        fold.catch_up(&mut connection, cursor).await?;
        let mut snapshot = connection.begin().await?;
        sqlx::raw_sql("set transaction isolation level repeatable read, read only")
            .execute(&mut *snapshot)
            .await?;
        let cursor = progress(&mut snapshot).await?.cursor;
        if fold.behind(cursor).is_none() && failures < MAX_FAILURES {
            // The projection was set back: what is folded does not fit it.
            failures += 1;
            snapshot.rollback().await?;
            sleep(PAUSE).await;
            continue;
        }
        fold.catch_up(&mut snapshot, cursor).await?;
        let differences = fold.compare(&mut snapshot).await?;
        snapshot.commit().await?;
        walk.count(fold.tasks.len(), &differences);
        report(&walk, &differences);
        let Some(to) = fold.range.to else { return Ok(walk) };
        after = to;
    }
}

/// Whether this session is the one that rebuilds; it stays so until its connection ends.
async fn alone(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select pg_try_advisory_lock(ledger.projection_lock($1 || ' rebuild'))")
        .bind(NAME)
        .fetch_one(connection)
        .await
}

async fn begin(connection: &mut PgConnection, from: From) -> Result<WalkProgress, ProjectionError> {
    let total = estimate(connection).await?;
    let mut transaction = connection.begin().await?;
    lock(&mut transaction).await?;
    let known = progress(&mut transaction).await?;
    if known.newest_revision() > REVISION {
        return Err(ProjectionError::Newer(known.newest_revision()));
    }
    let interrupted = known.mending.filter(|(revision, _)| *revision == REVISION).map(|(_, to)| to);
    let resumed_after = interrupted.filter(|to| from == From::WhereItStopped && !to.is_empty());
    sqlx::query("update ledger.projection set mending_revision = $2, mended_to = $3 where name = $1")
        .bind(NAME)
        .bind(REVISION)
        .bind(resumed_after.as_deref().unwrap_or(""))
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(WalkProgress { total, resumed_after, ..WalkProgress::default() })
}

enum Step {
    Further,
    Finished,
}

async fn step(
    options: &Servers,
    connection: &mut Option<PgConnection>,
    walk: &mut WalkProgress,
) -> Result<Step, ProjectionError> {
    let connection = match connection {
        Some(connection) => connection,
        // Not surely alone any more, which costs work and nothing else.
        None => connection.insert(connect(options).await?),
    };
    let known = progress(connection).await?;
    let Some((revision, after)) = known.mending else { return Ok(Step::Finished) };
    if revision > REVISION {
        return Err(ProjectionError::Newer(revision));
    }
    let fold = Fold::begin(connection, &after, known.cursor).await?;
    let tasks = fold.tasks.len();
    match mend_range(connection, fold).await? {
        Mended::Done(differences) => walk.count(tasks, &differences),
        Mended::Elsewhere => sleep(PAUSE).await,
    }
    Ok(Step::Further)
}

/// Whether trying again may help: a lock that was not to be had, a connection that broke, a database that restarts.
fn passes(error: &ProjectionError) -> bool {
    use sqlx::Error::{Database, Io, PoolTimedOut};
    let ProjectionError::Database(error) = error else { return false };
    match error {
        Io(_) | PoolTimedOut => true,
        Database(error) => {
            let code = error.code().unwrap_or_default();
            ["08", "40", "53", "55", "57"].iter().any(|class| code.starts_with(class))
        }
        _ => false,
    }
}

/// About how many tasks there are: exact where they are few, else by the planner's statistics.
async fn estimate(connection: &mut PgConnection) -> Result<Option<u64>, sqlx::Error> {
    const EXACT: i64 = 10_000;
    let (counted, statistics): (i64, f32) = sqlx::query_as(
        "select (select count(*) from (select from ledger.event where version = 1 limit $1) some_of_them),
                (select reltuples from pg_class where oid = 'ledger.event_created'::regclass)",
    )
    .bind(EXACT)
    .fetch_one(connection)
    .await?;
    if counted < EXACT {
        return Ok(u64::try_from(counted).ok());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate, checked above zero"
    )]
    let estimated = statistics as u64;
    Ok((statistics >= 10_000.0).then_some(estimated))
}
