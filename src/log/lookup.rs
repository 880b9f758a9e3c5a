//! Single looks at the log, for those who compare it with a copy.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::cursor::Cursor;
use crate::domain::position::Position;

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
