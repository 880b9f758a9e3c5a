//! Reading the log: a range of positions, or the stream of one task.

use std::sync::Arc;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use crate::domain::cursor::Cursor;
use crate::domain::position::{Position, Version};
use crate::domain::record::{RecordError, Recorded};
use crate::domain::vtid::Vtid;

/// Why a part of the log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The event at the reader's cursor is gone or has another id: this log has another past.
    #[error("the log has no event {id} at position {position} any more")]
    OtherPast {
        /// The cursor's position.
        position: Position,
        /// The id that the reader remembers.
        id: Uuid,
    },
    /// This program can't read a record: it must not go on past it.
    #[error("the record at position {position}: {error}")]
    Record {
        /// Where it stands.
        position: Position,
        /// What is wrong with it.
        error: RecordError,
    },
    /// The columns and the record disagree, or positions are missing.
    #[error("the log is damaged at position {0}")]
    Damaged(Position),
    /// The database did not answer, or not in time: try again.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Up to `max` events after `cursor`, in order. The read starts AT the cursor and checks the event's id there.
///
/// # Errors
/// [`ReadError`]; never an empty answer where the past is another one.
pub async fn read_after(
    connection: &mut PgConnection,
    cursor: Cursor,
    max: u32,
) -> Result<Vec<Recorded>, ReadError> {
    let first = cursor.position().to_i64().max(1);
    let rows = sqlx::query(
        "select position, event_id, body from ledger.event where position >= $1 order by position limit $2",
    )
    .bind(first)
    .bind(i64::from(max) + 1)
    .fetch_all(connection)
    .await?;
    following(rows.iter().map(|row| Ok(Row::of(row)?)), cursor, max)
}

/// An event as the log has it.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) position: Position,
    pub(super) id: Uuid,
    pub(super) body: &'a str,
}

impl<'a> Row<'a> {
    /// One with the columns `position`, `event_id` and `body`.
    pub(super) fn of(row: &'a PgRow) -> Result<Self, sqlx::Error> {
        let position = Position::from_i64(row.try_get("position")?);
        Ok(Self { position, id: row.try_get("event_id")?, body: row.try_get("body")? })
    }
}

/// Up to `max` events after `cursor`, of rows that begin at it.
pub(super) fn following<'a>(
    rows: impl IntoIterator<Item = Result<Row<'a>, ReadError>>,
    cursor: Cursor,
    max: u32,
) -> Result<Vec<Recorded>, ReadError> {
    let mut rows = rows.into_iter();
    if let Cursor::At { position, id } = cursor {
        match rows.next().transpose()? {
            Some(row) if row.position == position && row.id == id => {}
            _ => return Err(ReadError::OtherPast { position, id }),
        }
    }
    let mut expected = cursor.position();
    let mut events = Vec::with_capacity(rows.size_hint().0);
    for row in rows.take(usize::try_from(max).unwrap_or(usize::MAX)) {
        expected = expected.next();
        events.push(recorded(row?, Some(expected))?);
    }
    Ok(events)
}

/// The event of a row, checked against its record.
pub(super) fn recorded(row: Row, expected: Option<Position>) -> Result<Recorded, ReadError> {
    let Row { position, id, body } = row;
    let recorded = Recorded::parse(Arc::from(body)).map_err(|error| ReadError::Record { position, error })?;
    let in_order = expected.is_none_or(|expected| expected == position);
    if in_order && recorded.event.position == position && recorded.event.id == id {
        Ok(recorded)
    } else {
        Err(ReadError::Damaged(position))
    }
}

/// Up to `max` events of one task after `version`, in order, up to position `to`.
///
/// # Errors
/// [`ReadError`].
pub async fn read_stream(
    connection: &mut PgConnection,
    vtid: Vtid,
    version: Version,
    to: Position,
    max: u32,
) -> Result<Vec<Recorded>, ReadError> {
    let rows = sqlx::query(
        "select position, event_id, body from ledger.event
         where vtid = $1 and version > $2 and position <= $3 order by version limit $4",
    )
    .bind(vtid.to_string())
    .bind(version.to_i64())
    .bind(to.to_i64())
    .bind(i64::from(max))
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| recorded(Row::of(row)?, None)).collect()
}
