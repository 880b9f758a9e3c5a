//! The snapshots beside the fold of the log, task by task. Keeps one task's state at a time.

use sqlx::{PgConnection, Row};

use crate::domain::evolve::evolve;
use crate::domain::json::{Json, ParseLimits};
use crate::domain::metadata::MAX_DEPTH;
use crate::domain::position::{Position, Version};
use crate::domain::row::{parse_snapshot, print_snapshot};
use crate::domain::task::Task;
use crate::domain::vtid::Vtid;
use crate::log::read::{ReadError, read_stream};

/// Tasks of a page, and snapshots of one task that are read at a time.
const PAGE: i64 = 64;
/// Events read at a time.
const EVENTS: u32 = 256;

/// A snapshot that is not what the fold gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotDifference {
    /// The task, whatever stands there.
    pub vtid: String,
    /// After which of its events.
    pub version: i64,
    /// The position that the snapshot bears.
    pub position: Position,
    /// What differs.
    pub what: String,
}

impl std::fmt::Display for SnapshotDifference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the snapshot of {} at version {}: {}", self.vtid, self.version, self.what)
    }
}

/// A stored snapshot.
struct Snapshot {
    version: i64,
    position: Position,
    state: String,
}

/// How far a comparison has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compared {
    /// Snapshots looked at.
    pub snapshots: u64,
    /// Those that differ.
    pub different: u64,
}

/// Compares every snapshot with the fold of its task's events up to `head`; tells `report` after each task.
///
/// # Errors
/// Whatever the driver says. A stream that does not fold is a difference.
pub async fn compare_snapshots(
    connection: &mut PgConnection,
    head: Position,
    mut report: impl FnMut(Compared, &[SnapshotDifference]),
) -> Result<Compared, sqlx::Error> {
    let (mut compared, mut after) = (Compared::default(), String::new());
    loop {
        let tasks: Vec<String> = sqlx::query_scalar(
            "select distinct vtid from ledger.snapshot where vtid > $1 order by vtid limit $2",
        )
        .bind(&after)
        .bind(PAGE)
        .fetch_all(&mut *connection)
        .await?;
        let Some(last) = tasks.last() else { return Ok(compared) };
        after.clone_from(last);
        for vtid in &tasks {
            let (looked_at, different) = compare_task(connection, vtid, head).await?;
            compared.snapshots += looked_at;
            compared.different += different.len() as u64;
            report(compared, &different);
        }
    }
}

async fn compare_task(
    connection: &mut PgConnection,
    vtid: &str,
    head: Position,
) -> Result<(u64, Vec<SnapshotDifference>), sqlx::Error> {
    let (mut looked_at, mut different) = (0, Vec::new());
    let mut fold = Fold::of(vtid, head);
    let mut after = 0;
    loop {
        let page = page(connection, vtid, after).await?;
        let Some(last) = page.last() else { return Ok((looked_at, different)) };
        after = last.version;
        for snapshot in page {
            // The head moves on, and snapshots with it.
            if snapshot.position > head {
                continue;
            }
            looked_at += 1;
            if let Some(what) = fold.differs(connection, &snapshot).await? {
                different.push(SnapshotDifference {
                    vtid: vtid.to_owned(),
                    version: snapshot.version,
                    position: snapshot.position,
                    what,
                });
            }
        }
    }
}

async fn page(connection: &mut PgConnection, vtid: &str, after: i64) -> Result<Vec<Snapshot>, sqlx::Error> {
    let rows = sqlx::query(
        "select version, position, state from ledger.snapshot where vtid = $1 and version > $2 order by version limit $3",
    )
    .bind(vtid)
    .bind(after)
    .bind(PAGE)
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Snapshot {
                version: row.try_get("version")?,
                position: Position::from_i64(row.try_get("position")?),
                state: row.try_get("state")?,
            })
        })
        .collect()
}

/// A task's state, on its way from version to version.
struct Fold {
    vtid: Option<Vtid>,
    head: Position,
    state: Option<Task>,
    /// Why it can't go on.
    broken: Option<String>,
}

impl Fold {
    fn of(vtid: &str, head: Position) -> Self {
        Self { vtid: Vtid::parse_possible(vtid).ok(), head, state: None, broken: None }
    }

    /// Goes on up to and with `version`, if the log goes so far.
    async fn go_to(&mut self, connection: &mut PgConnection, version: i64) -> Result<(), sqlx::Error> {
        let Some(vtid) = self.vtid else { return Ok(()) };
        while self.broken.is_none() {
            let at = self.state.as_ref().map_or(Version::ZERO, |task| task.version);
            let left = version.saturating_sub(at.to_i64());
            if left <= 0 {
                return Ok(());
            }
            let count = u32::try_from(left).unwrap_or(EVENTS).min(EVENTS);
            let events = match read_stream(connection, vtid, at, self.head, count).await {
                Ok(events) => events,
                Err(ReadError::Database(error)) => return Err(error),
                Err(error) => {
                    self.broken = Some(error.to_string());
                    return Ok(());
                }
            };
            if events.is_empty() {
                return Ok(());
            }
            for recorded in &events {
                match evolve(self.state.take(), &recorded.event) {
                    Ok(task) => self.state = Some(task),
                    Err(error) => {
                        self.broken = Some(error.to_string());
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    async fn differs(
        &mut self,
        connection: &mut PgConnection,
        snapshot: &Snapshot,
    ) -> Result<Option<String>, sqlx::Error> {
        if self.vtid.is_none() {
            return Ok(Some("there is no such VTID".to_owned()));
        }
        self.go_to(connection, snapshot.version).await?;
        if let Some(broken) = &self.broken {
            return Ok(Some(format!("the task does not fold: {broken}")));
        }
        let task = self.state.as_ref().filter(|task| task.version.to_i64() == snapshot.version);
        let Some(task) = task else { return Ok(Some("the task has no such version".to_owned())) };
        if task.position != snapshot.position {
            return Ok(Some(format!("it bears position {}, not {}", snapshot.position, task.position)));
        }
        let wanted = print_snapshot(task);
        let same =
            wanted == snapshot.state || parse_snapshot(&snapshot.state).is_ok_and(|state| state == *task);
        Ok((!same).then(|| told(&wanted, &snapshot.state)))
    }
}

/// The fields in which two states differ.
fn told(wanted: &str, stored: &str) -> String {
    let limits = ParseLimits { max_depth: 1 + MAX_DEPTH };
    let object = |text: &str| match Json::parse(text.as_bytes(), &limits).map(|parsed| parsed.value) {
        Ok(Json::Object(object)) => Some(object),
        _ => None,
    };
    let (Some(wanted), Some(stored)) = (object(wanted), object(stored)) else {
        return "it is not a task's state".to_owned();
    };
    let changed = wanted.iter().filter(|(key, value)| stored.get(key) != Some(*value)).map(|(key, _)| key);
    let added = stored.iter().filter(|(key, _)| wanted.get(key).is_none()).map(|(key, _)| key);
    let fields: Vec<&str> = changed.chain(added).collect();
    format!("not what the fold gives: {}", fields.join(", "))
}
