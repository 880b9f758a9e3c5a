//! The log in pages, as it is stored, for those who look at it rather than follow it. Each page is a statement of its own
//! that looks at a bounded number of rows.

use std::sync::Arc;

use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgConnection, Row};
use uuid::Uuid;

use crate::domain::cursor::Cursor;
use crate::domain::position::Position;

/// Rows of a page at most: some 32 MiB were each as large as can be.
pub const PAGE: u32 = 512;

/// A row of the log, every column of it, whatever somebody may have written into it.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct StoredEvent {
    /// `position`
    pub position: i64,
    /// `event_id`
    pub event_id: Uuid,
    /// `vtid`
    pub vtid: String,
    /// `version`
    pub version: i64,
    /// `type`
    pub r#type: String,
    /// `tenant`
    pub tenant: String,
    /// `actor`
    pub actor: String,
    /// `actor_role`
    pub actor_role: String,
    /// `actor_tenant`
    pub actor_tenant: Option<String>,
    /// `idempotency_key`
    pub idempotency_key: Option<String>,
    /// `request_hash`
    pub request_hash: Option<String>,
    /// `recorded_at` in milliseconds since 1970; none where it is infinite.
    pub recorded_ms: Option<i64>,
    /// `body`
    pub body: String,
}

/// The last event, whatever else its row holds.
///
/// # Errors
/// Whatever the driver says.
pub async fn last(connection: &mut PgConnection) -> Result<Cursor, sqlx::Error> {
    let last: Option<(i64, Uuid)> =
        sqlx::query_as("select position, event_id from ledger.event order by position desc limit 1")
            .fetch_optional(connection)
            .await?;
    let at = |(position, id)| Cursor::At { position: Position::from_i64(position), id };
    Ok(last.map_or(Cursor::Start, at))
}

/// The rows after `after` up to `to`, whole.
///
/// # Errors
/// Whatever the driver says.
pub async fn whole_rows(
    connection: &mut PgConnection,
    after: Position,
    to: Position,
) -> Result<Vec<StoredEvent>, sqlx::Error> {
    sqlx::query_as(
        "select position, event_id, vtid, version, type, tenant, actor, actor_role, actor_tenant, idempotency_key,
            request_hash, case when isfinite(recorded_at) then (extract(epoch from recorded_at) * 1000)::bigint end
            as recorded_ms, body
         from ledger.event where position > $1 and position <= $2 order by position limit $3",
    )
    .bind(after.to_i64())
    .bind(to.to_i64())
    .bind(i64::from(PAGE))
    .fetch_all(connection)
    .await
}

/// The records after `after` up to `to`.
///
/// # Errors
/// Whatever the driver says.
pub async fn bodies(
    connection: &mut PgConnection,
    after: Position,
    to: Position,
) -> Result<Vec<(Position, Arc<str>)>, sqlx::Error> {
    let rows = sqlx::query(
        "select position, body from ledger.event where position > $1 and position <= $2 order by position limit $3",
    )
    .bind(after.to_i64())
    .bind(to.to_i64())
    .bind(i64::from(PAGE))
    .fetch_all(connection)
    .await?;
    rows.iter().map(body).collect()
}

fn body(row: &PgRow) -> Result<(Position, Arc<str>), sqlx::Error> {
    let body: String = row.try_get("body")?;
    Ok((Position::from_i64(row.try_get("position")?), body.into()))
}
