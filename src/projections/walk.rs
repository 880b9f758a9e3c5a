//! Walking the tasks in key order, one bounded range at a time, and folding their events from the log alone.

use std::collections::BTreeMap;

use sqlx::{FromRow, PgConnection, Row};

use super::row::{TaskRow, columns};
use super::tasks::ProjectionError;
use crate::domain::cursor::Cursor;
use crate::domain::evolve::evolve;
use crate::domain::position::{Position, Version};
use crate::domain::record::Recorded;
use crate::domain::task::Task;
use crate::domain::vtid::Vtid;
use crate::log::read::{ReadError, read_after, read_stream};

/// Tasks of a range at most.
const MAX_TASKS: i64 = 256;
/// Events of a range at most, unless one task alone has more; also events read at a time.
const MAX_EVENTS: u32 = 512;
/// Rows of the read table in a range, about: more only where as many were added meanwhile.
const MAX_ROWS: i64 = 1024;

/// A range of keys, in the order of the VTIDs' text: after `after`, up to and with `to`. Without `to` it goes to the
/// end, and the empty key belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyRange {
    pub(super) after: String,
    pub(super) to: Option<String>,
}

impl KeyRange {
    fn holds(&self, vtid: &str) -> bool {
        vtid > self.after.as_str() && self.to.as_deref().is_none_or(|to| vtid <= to)
    }
}

/// How a row of the read table differs from what the log says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Difference {
    /// The task has no row.
    Missing {
        /// The task.
        vtid: String,
    },
    /// The row has no events.
    Unexpected {
        /// The row's VTID, whatever it is.
        vtid: String,
    },
    /// The row differs from the fold of its task's events.
    Changed {
        /// The task.
        vtid: String,
        /// The columns that differ.
        columns: Vec<&'static str>,
    },
}

/// The tasks of a range as the log has them, up to a position.
pub(super) struct Fold {
    pub(super) range: KeyRange,
    pub(super) tasks: BTreeMap<String, Task>,
    /// Every event up to here is folded.
    folded_to: Cursor,
}

impl Fold {
    /// Finds the range that comes after the key `after`, and folds its tasks up to `cursor`, where the projection
    /// stands, or stood a moment ago.
    pub(super) async fn begin(
        connection: &mut PgConnection,
        after: &str,
        cursor: Cursor,
    ) -> Result<Self, ProjectionError> {
        let (range, streams) = next_range(connection, after).await?;
        let mut fold = Self { range, tasks: BTreeMap::new(), folded_to: cursor };
        let small: Vec<String> = streams.iter().map(|(vtid, _)| vtid.clone()).collect();
        if let [(vtid, events)] = streams.as_slice()
            && *events > i64::from(MAX_EVENTS)
        {
            fold.large(connection, vtid, cursor.position()).await?;
        } else {
            fold.small(connection, &small, cursor.position()).await?;
        }
        Ok(fold)
    }

    async fn small(
        &mut self,
        connection: &mut PgConnection,
        vtids: &[String],
        to: Position,
    ) -> Result<(), ProjectionError> {
        let rows = sqlx::query(
            "select e.body, e.position from ledger.event e
             where e.vtid = any($1) and e.position <= $2 order by e.vtid, e.version",
        )
        .bind(vtids)
        .bind(to.to_i64())
        .fetch_all(connection)
        .await?;
        for row in rows {
            let body: String = row.try_get("body")?;
            let position = Position::from_i64(row.try_get("position")?);
            let recorded =
                Recorded::parse(body.into()).map_err(|error| ReadError::Record { position, error })?;
            self.evolve(&recorded)?;
        }
        Ok(())
    }

    async fn large(
        &mut self,
        connection: &mut PgConnection,
        vtid: &str,
        to: Position,
    ) -> Result<(), ProjectionError> {
        let Ok(vtid) = Vtid::parse_possible(vtid) else { return Ok(()) };
        let mut version = Version::ZERO;
        loop {
            let page = read_stream(connection, vtid, version, to, MAX_EVENTS).await?;
            let Some(last) = page.last() else { return Ok(()) };
            version = last.event.version;
            for recorded in &page {
                self.evolve(recorded)?;
            }
        }
    }

    fn evolve(&mut self, recorded: &Recorded) -> Result<(), ReadError> {
        let event = &recorded.event;
        let key = event.vtid.to_string();
        let task = evolve(self.tasks.remove(&key), event).map_err(|error| {
            tracing::error!(%error, "a stream does not fold");
            ReadError::Damaged(event.position)
        })?;
        self.tasks.insert(key, task);
        Ok(())
    }

    /// How many events of the log, of whatever task, stand between what is folded and `cursor`. None where the
    /// cursor is before it: the database lost its last commits, and the fold is worth nothing.
    pub(super) fn behind(&self, cursor: Cursor) -> Option<u64> {
        cursor.position().get().checked_sub(self.folded_to.position().get())
    }

    /// Folds on, up to `to`: tasks of the range that were made meanwhile too.
    pub(super) async fn catch_up(
        &mut self,
        connection: &mut PgConnection,
        to: Cursor,
    ) -> Result<(), ProjectionError> {
        while self.behind(to).is_some_and(|behind| behind > 0) {
            let left = self.behind(to).unwrap_or(0).min(u64::from(MAX_EVENTS));
            let events =
                read_after(connection, self.folded_to, u32::try_from(left).unwrap_or(MAX_EVENTS)).await?;
            let Some(last) = events.last() else {
                return Err(ReadError::Damaged(to.position()).into());
            };
            self.folded_to = Cursor::at(&last.event);
            for recorded in &events {
                if self.range.holds(&recorded.event.vtid.to_string()) {
                    self.evolve(recorded)?;
                }
            }
        }
        Ok(())
    }

    /// How the rows of the range differ, as of the transaction of `connection`.
    pub(super) async fn compare(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Vec<Difference>, ProjectionError> {
        let rows = sqlx::query(concat!(
            "select ",
            columns!(),
            r#" from "VtidLedger" t where (t.vtid > $1 and ($2::text is null or t.vtid <= $2)) or ($2::text is null and t.vtid = '')"#
        ))
        .bind(&self.range.after)
        .bind(&self.range.to)
        .fetch_all(connection)
        .await?;
        let mut missing: BTreeMap<&str, &Task> =
            self.tasks.iter().map(|(vtid, task)| (vtid.as_str(), task)).collect();
        let mut differences = Vec::new();
        for row in &rows {
            let row = TaskRow::from_row(row)?;
            let Some(task) = missing.remove(row.vtid.as_str()) else {
                differences.push(Difference::Unexpected { vtid: row.vtid });
                continue;
            };
            let columns = row.differences(task);
            if !columns.is_empty() {
                differences.push(Difference::Changed { vtid: row.vtid, columns });
            }
        }
        differences.extend(missing.into_keys().map(|vtid| Difference::Missing { vtid: vtid.to_owned() }));
        Ok(differences)
    }
}

/// The range after the key `after`, and its tasks with how many events each has.
async fn next_range(
    connection: &mut PgConnection,
    after: &str,
) -> Result<(KeyRange, Vec<(String, i64)>), ProjectionError> {
    let mut streams = next_streams(connection, after).await?;
    let mut end_of_log = i64::try_from(streams.len()).is_ok_and(|found| found < MAX_TASKS);
    let mut events = 0;
    let fitting = streams.iter().take_while(|(_, count)| {
        events += count;
        events <= i64::from(MAX_EVENTS)
    });
    let fitting = fitting.count().max(1);
    if fitting < streams.len() {
        streams.truncate(fitting);
        end_of_log = false;
    }
    let last_row: Option<String> = sqlx::query_scalar(
        r#"select t.vtid from "VtidLedger" t where t.vtid > $1 order by t.vtid offset $2 limit 1"#,
    )
    .bind(after)
    .bind(MAX_ROWS - 1)
    .fetch_optional(connection)
    .await?;
    let last_task = streams.last().filter(|_| !end_of_log).map(|(vtid, _)| vtid.clone());
    let range = KeyRange { after: after.to_owned(), to: [last_task, last_row].into_iter().flatten().min() };
    streams.retain(|(vtid, _)| range.holds(vtid));
    Ok((range, streams))
}

/// The next tasks by key, from the index of streams, one descent each: their events in between are not looked at.
async fn next_streams(
    connection: &mut PgConnection,
    after: &str,
) -> Result<Vec<(String, i64)>, ProjectionError> {
    let rows = sqlx::query(
        "with recursive stream (vtid, nth) as (
             (select e.vtid, 1 from ledger.event e where e.vtid > $1 order by e.vtid limit 1)
             union all
             select next.vtid, stream.nth + 1
             from stream
             cross join lateral (
                 select e.vtid from ledger.event e where e.vtid > stream.vtid order by e.vtid limit 1
             ) next
             where stream.nth < $2
         )
         select s.vtid, last.version from stream s
         cross join lateral (
             select e.version from ledger.event e where e.vtid = s.vtid order by e.version desc limit 1
         ) last
         order by s.vtid",
    )
    .bind(after)
    .bind(MAX_TASKS)
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| Ok((row.try_get("vtid")?, row.try_get("version")?))).collect()
}
