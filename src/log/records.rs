//! Records as they are stored, in order and by filter. No index helps a filter but that of a task's stream, since each
//! would make every append dearer; so one look goes over a bounded number of positions, and says how far it came.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::read::ReadError;
use super::search::version_at;
use crate::domain::event::EventType;
use crate::domain::position::{Position, Version};
use crate::domain::text::{ActorId, Tenant};
use crate::domain::vtid::Vtid;

/// Positions that one look goes over at most; of a single task's stream, events.
pub const WINDOW: u64 = 10_000;

/// Which records are wanted: those that match every filter given.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct RecordFilter {
    /// Of this tenant's tasks.
    pub tenant: Option<Tenant>,
    /// Of this type.
    pub kind: Option<EventType>,
    /// Of this task.
    pub vtid: Option<Vtid>,
    /// By this actor.
    pub actor: Option<ActorId>,
}

/// How many records a look gives at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Most {
    /// So many.
    pub records: u32,
    /// And no further one once they have so many bytes together.
    pub bytes: u32,
}

/// A record's exact bytes, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its position.
    pub position: Position,
    /// The line, without its line feed.
    pub body: String,
}

/// What one look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// The records, in order.
    pub records: Vec<Stored>,
    /// Up to here there are no others that match.
    pub to: Position,
}

/// Looks for records after `after`, up to `to`, once: as far as one look goes.
///
/// # Errors
/// [`ReadError`]; [`ReadError::Damaged`] where no filter is given and a position is missing.
pub async fn look(
    connection: &mut PgConnection,
    filter: &RecordFilter,
    after: Position,
    to: Position,
    most: Most,
) -> Result<Looked, ReadError> {
    if to <= after {
        return Ok(Looked { records: Vec::new(), to: after });
    }
    let (rows, end) = match filter.vtid {
        Some(vtid) => of_task(connection, filter, vtid, after, to, most).await?,
        None => of_all(connection, filter, after, to, most).await?,
    };
    let records = rows.iter().map(stored).collect::<Result<Vec<_>, _>>()?;
    let bytes: usize = records.iter().map(|record| record.body.len()).sum();
    let is_full = records.len() >= most.records as usize || bytes >= most.bytes as usize;
    let looked_to = match records.last() {
        Some(last) if is_full => last.position,
        _ => end,
    };
    if *filter == RecordFilter::default() {
        no_gap(&records, after, looked_to)?;
    }
    Ok(Looked { records, to: looked_to })
}

/// The rows within the next window of positions, and where it ends.
async fn of_all(
    connection: &mut PgConnection,
    filter: &RecordFilter,
    after: Position,
    to: Position,
    most: Most,
) -> Result<(Vec<PgRow>, Position), ReadError> {
    // Without a filter every position is one more record.
    let is_filtered = *filter != RecordFilter::default();
    let end = to.min(after.plus(if is_filtered { WINDOW } else { u64::from(most.records) }));
    // A body's length is known without fetching it; the bodies come last, so that none is sorted, or left over.
    let rows = sqlx::query(
        "select summed.position, e.body from (
             select position, sum(bytes) over (order by position) - bytes as bytes_before from (
                 select position, octet_length(body) as bytes from ledger.event
                 where position > $1 and position <= $2 and ($3::text is null or tenant = $3)
                     and ($4::text is null or type = $4) and ($5::text is null or actor = $5)
                 order by position limit $6
             ) page
         ) summed
         cross join lateral (select body from ledger.event where position = summed.position offset 0) e
         where bytes_before < $7 order by summed.position",
    )
    .bind(after.to_i64())
    .bind(end.to_i64())
    .bind(filter.tenant.as_ref().map(Tenant::as_str))
    .bind(filter.kind.map(EventType::as_str))
    .bind(filter.actor.as_ref().map(ActorId::as_str))
    .bind(i64::from(most.records))
    .bind(i64::from(most.bytes))
    .fetch_all(connection)
    .await?;
    Ok((rows, end))
}

/// The same of one task's stream, by its index; the window is one of versions.
async fn of_task(
    connection: &mut PgConnection,
    filter: &RecordFilter,
    vtid: Vtid,
    after: Position,
    to: Position,
    most: Most,
) -> Result<(Vec<PgRow>, Position), ReadError> {
    let version = version_at(connection, vtid, after).await?;
    let last = Version::new(version.get().saturating_add(WINDOW));
    let rows = sqlx::query(
        "select summed.position, e.body from (
             select position, sum(bytes) over (order by position) - bytes as bytes_before from (
                 select position, octet_length(body) as bytes from ledger.event
                 where vtid = $1 and version > $2 and version <= $3 and position <= $4
                     and ($5::text is null or tenant = $5) and ($6::text is null or type = $6)
                     and ($7::text is null or actor = $7)
                 order by version limit $8
             ) page
         ) summed
         cross join lateral (select body from ledger.event where position = summed.position offset 0) e
         where bytes_before < $9 order by summed.position",
    )
    .bind(vtid.to_string())
    .bind(version.to_i64())
    .bind(last.to_i64())
    .bind(to.to_i64())
    .bind(filter.tenant.as_ref().map(Tenant::as_str))
    .bind(filter.kind.map(EventType::as_str))
    .bind(filter.actor.as_ref().map(ActorId::as_str))
    .bind(i64::from(most.records))
    .bind(i64::from(most.bytes))
    .fetch_all(&mut *connection)
    .await?;
    // Up to the one behind the window, wherever that stands.
    let further: Option<i64> = sqlx::query_scalar(
        "select position from ledger.event where vtid = $1 and version > $2 order by version limit 1",
    )
    .bind(vtid.to_string())
    .bind(last.to_i64())
    .fetch_optional(connection)
    .await?;
    let end = further.map(|further| Position::new(Position::from_i64(further).get().saturating_sub(1)));
    Ok((rows, end.map_or(to, |end| to.min(end))))
}

fn stored(row: &PgRow) -> Result<Stored, sqlx::Error> {
    Ok(Stored { position: Position::from_i64(row.try_get("position")?), body: row.try_get("body")? })
}

/// A copy of the log that lacks something must not look whole.
fn no_gap(records: &[Stored], after: Position, to: Position) -> Result<(), ReadError> {
    let mut expected = after;
    for record in records {
        expected = expected.next();
        if record.position != expected {
            return Err(ReadError::Damaged(expected));
        }
    }
    if expected == to { Ok(()) } else { Err(ReadError::Damaged(expected.next())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_position_is_named() {
        let records = |positions: &[u64]| -> Vec<Stored> {
            let stored = |at: &u64| Stored { position: Position::new(*at), body: "{}".to_owned() };
            positions.iter().map(stored).collect()
        };
        let missing =
            |positions: &[u64], to| match no_gap(&records(positions), Position::new(4), Position::new(to)) {
                Ok(()) => None,
                Err(ReadError::Damaged(position)) => Some(position.get()),
                Err(other) => panic!("{other}"),
            };
        assert_eq!(missing(&[5, 6, 7], 7), None);
        assert_eq!(missing(&[], 4), None);
        assert_eq!(missing(&[5, 7], 7), Some(6));
        assert_eq!(missing(&[6, 7], 7), Some(5));
        assert_eq!(missing(&[5, 6], 7), Some(7));
        assert_eq!(missing(&[], 7), Some(5));
    }
}
