//! One page of a list: keyset, newest first, bounded in rows and in bytes.

use sqlx::postgres::PgRow;
use sqlx::{Acquire, FromRow, PgConnection, Postgres, QueryBuilder, Row};

use super::page::{Filters, ListQuery, PageCursor};
use super::question::shown;
use super::read::{Page, ReadFailure, Shown};
use super::row::{TaskRow, columns};
use crate::domain::command::ParentRef;
use crate::domain::position::Position;
use crate::domain::row::write_row;
use crate::domain::status::Status;
use crate::domain::task::Task;
use crate::domain::text::{Assignee, TaskFamily, TaskType, Tenant};

/// Bytes of printed rows of a page at most, though always one row.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Rows of one statement at most. The largest row prints as some 70 KiB, so that this much memory is bearable.
pub(super) const CHUNK: u16 = 100;

/// Reads a page: a small one by one statement, a larger one chunk by chunk in one snapshot.
pub(super) async fn read_page(
    connection: &mut PgConnection,
    query: &ListQuery,
) -> Result<Shown<Page>, ReadFailure> {
    // One row more than the page may have tells whether there is another page.
    let wanted = query.limit.get() + 1;
    let mut page = Filling::default();
    if wanted <= CHUNK {
        let position = read_chunk(connection, query, query.cursor, wanted, &mut page).await?;
        return Ok(Shown { value: page.finish(query.limit.get()), position });
    }
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql("set transaction isolation level repeatable read, read only")
        .execute(&mut *transaction)
        .await?;
    let mut position = None;
    while page.wants(wanted) {
        let left = wanted - page.count();
        let after = page.after().or(query.cursor);
        let before = page.count();
        let shown = read_chunk(&mut transaction, query, after, left.min(CHUNK), &mut page).await?;
        position.get_or_insert(shown);
        if page.count() - before < left.min(CHUNK) {
            break;
        }
    }
    transaction.commit().await?;
    Ok(Shown { value: page.finish(query.limit.get()), position: position.unwrap_or_default() })
}

/// A page as it fills.
#[derive(Default)]
pub(super) struct Filling {
    /// The rows in JSON, with commas between them.
    rows: String,
    /// Where in `rows` each row ends, and where the page after it begins.
    ends: Vec<(usize, PageCursor)>,
    /// A row did not fit any more.
    full: bool,
}

impl Filling {
    pub(super) fn count(&self) -> u16 {
        // Invariant: never more than 1001 rows.
        u16::try_from(self.ends.len()).unwrap_or(u16::MAX)
    }

    pub(super) fn wants(&self, rows: u16) -> bool {
        !self.full && self.count() < rows
    }

    fn after(&self) -> Option<PageCursor> {
        self.ends.last().map(|(_, after)| *after)
    }

    pub(super) fn push(&mut self, task: &Task) {
        if self.full {
            return;
        }
        let end = self.rows.len();
        if end > 0 {
            self.rows.push(',');
        }
        write_row(task, &mut self.rows);
        if self.rows.len() > MAX_BYTES && !self.ends.is_empty() {
            self.rows.truncate(end);
            self.full = true;
        } else {
            self.ends.push((self.rows.len(), PageCursor::after(task)));
        }
    }

    pub(super) fn finish(mut self, limit: u16) -> Page {
        let more = self.full || self.count() > limit;
        self.ends.truncate(usize::from(limit));
        self.rows.truncate(self.ends.last().map_or(0, |(end, _)| *end));
        let next = self.after().filter(|_| more);
        Page { count: self.count(), rows: self.rows, next }
    }
}

async fn read_chunk(
    connection: &mut PgConnection,
    query: &ListQuery,
    after: Option<PageCursor>,
    rows: u16,
    page: &mut Filling,
) -> Result<Position, ReadFailure> {
    let (rows, position) = read_rows(connection, &query.filters, after, rows).await?;
    for row in &rows {
        page.push(&TaskRow::from_row(row)?.task()?);
    }
    Ok(position)
}

/// So many rows at most after a place, and the position that they show.
pub(super) async fn read_rows(
    connection: &mut PgConnection,
    filters: &Filters,
    after: Option<PageCursor>,
    rows: u16,
) -> Result<(Vec<PgRow>, Position), sqlx::Error> {
    let mut rows: Vec<PgRow> = statement(filters, after, rows).build().fetch_all(connection).await?;
    let position: i64 = match rows.first() {
        Some(row) => row.try_get("shown")?,
        // Not reached: the statement yields the position with or without rows.
        None => 0,
    };
    // The row that bears the position alone.
    if let [row] = rows.as_slice()
        && row.try_get::<Option<&str>, _>("vtid")?.is_none()
    {
        rows.clear();
    }
    Ok((rows, Position::from_i64(position)))
}

/// At least one row, so that the position is told even where there is none to show. The constant limit within is
/// for the planner, which would take an unknown one for a tenth of the table.
fn statement(filters: &Filters, after: Option<PageCursor>, rows: u16) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new(concat!(
        "select ",
        shown!(),
        " as shown, ",
        columns!(),
        r#" from (select) as one left join lateral (select * from (select * from "VtidLedger" where true"#
    ));
    let mut filter = |column: &str, value: Option<&str>| {
        if let Some(value) = value {
            sql.push(column).push_bind(value.to_owned());
        }
    };
    filter(" and task_family = ", filters.family.as_ref().map(TaskFamily::as_str));
    filter(" and task_type = ", filters.kind.as_ref().map(TaskType::as_str));
    filter(" and status = ", filters.status.map(Status::as_str));
    filter(" and tenant = ", filters.tenant.as_ref().map(Tenant::as_str));
    filter(" and assigned_to = ", filters.assigned_to.as_ref().map(Assignee::as_str));
    match filters.parent {
        Some(ParentRef::Task(parent)) => filter(" and parent_vtid = ", Some(&parent.to_string())),
        Some(ParentRef::NeverAssigned) => drop(sql.push(" and false")),
        None => {}
    }
    // Both are newest first; each has the order of the indexes that are to serve it.
    let filtered = filters.count() > 0;
    if let Some(after) = after {
        let position = after.created_position.to_i64();
        if filtered {
            sql.push(" and created_position < ").push_bind(position);
        } else {
            sql.push(" and (created_at, created_position) < (").push_bind(after.created_at.to_datetime());
            sql.push(", ").push_bind(position).push(")");
        }
    }
    let order = if filtered { "created_position desc" } else { "created_at desc, created_position desc" };
    sql.push(" order by ").push(order).push(" limit 1001) page limit ");
    sql.push_bind(i64::from(rows));
    sql.push(") t on true order by t.created_at desc, t.created_position desc");
    sql
}
