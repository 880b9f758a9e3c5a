//! Single looks at the log, for those who compare it with a copy.

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::domain::cursor::Cursor;
use crate::domain::position::{Position, Version};
use crate::domain::vtid::Vtid;

/// The id of the event at `position`, if there is one.
///
/// # Errors
/// Whatever the driver says.
pub async fn event_id_at(
    connection: &mut PgConnection,
    position: Position,
) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar("select event_id from ledger.event where position = $1")
        .bind(position.to_i64())
        .fetch_optional(connection)
        .await
}

/// A cursor at `position`, if there is an event.
///
/// # Errors
/// Whatever the driver says.
pub async fn cursor_at(
    connection: &mut PgConnection,
    position: Position,
) -> Result<Option<Cursor>, sqlx::Error> {
    if position == Position::ZERO {
        return Ok(Some(Cursor::Start));
    }
    Ok(event_id_at(connection, position).await?.map(|id| Cursor::At { position, id }))
}

/// The records from `first` to `last`, their exact bytes, as far as they are there.
///
/// # Errors
/// Whatever the driver says.
pub async fn records(
    connection: &mut PgConnection,
    first: Position,
    last: Position,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar("select body from ledger.event where position between $1 and $2 order by position")
        .bind(first.to_i64())
        .bind(last.to_i64())
        .fetch_all(connection)
        .await
}

/// A task's event of this version, or else its last one: its position and its record's exact bytes.
///
/// # Errors
/// Whatever the driver says.
pub async fn record_of(
    connection: &mut PgConnection,
    vtid: Vtid,
    version: Option<Version>,
) -> Result<Option<(Position, String)>, sqlx::Error> {
    let query = match version {
        Some(version) => {
            sqlx::query("select position, body from ledger.event where vtid = $1 and version = $2")
                .bind(vtid.to_string())
                .bind(version.to_i64())
        }
        None => sqlx::query(
            "select position, body from ledger.event where vtid = $1 order by version desc limit 1",
        )
        .bind(vtid.to_string()),
    };
    let row = query.fetch_optional(connection).await?;
    let read =
        |row: sqlx::postgres::PgRow| Ok((Position::from_i64(row.try_get("position")?), row.try_get("body")?));
    row.map(read).transpose()
}
