//! The log in pages, as it is stored, for those who look at it rather than follow it. Each page is a statement of its own
//! that looks at a bounded number of rows.

use std::sync::Arc;

use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgConnection, Row};
use uuid::Uuid;

use crate::domain::cursor::Cursor;
use crate::domain::position::Position;
use crate::domain::text::{ActorId, Tenant};
use crate::domain::time::Timestamp;

/// Rows of a page at most: some 32 MiB were each as large as can be.
pub const PAGE: u32 = 512;
/// Positions that one look for an actor goes over.
const STRETCH: u64 = 32_768;

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

/// Records of one actor, and how far the look came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The records, in order.
    pub records: Vec<(Position, Arc<str>)>,
    /// Everything up to here was looked at.
    pub looked_to: Position,
}

/// Some of what `actor` did after `after` up to `to`, in tasks of `tenant` if one is given. There is no index by actor, so
/// that it goes over the log stretch by stretch: call it again from [`Found::looked_to`] until that is `to`.
///
/// # Errors
/// Whatever the driver says.
pub async fn by_actor(
    connection: &mut PgConnection,
    actor: &ActorId,
    tenant: Option<&Tenant>,
    after: Position,
    to: Position,
) -> Result<Found, sqlx::Error> {
    let end = after.plus(STRETCH).min(to);
    let rows = sqlx::query(
        "select position, body from ledger.event
         where position > $1 and position <= $2 and actor = $3 and ($4::text is null or tenant = $4)
         order by position limit $5",
    )
    .bind(after.to_i64())
    .bind(end.to_i64())
    .bind(actor.as_str())
    .bind(tenant.map(Tenant::as_str))
    .bind(i64::from(PAGE))
    .fetch_all(connection)
    .await?;
    let records: Vec<_> = rows.iter().map(body).collect::<Result<_, _>>()?;
    let is_full = records.len() >= PAGE as usize;
    let looked_to = records.last().map_or(end, |(last, _)| if is_full { *last } else { end });
    Ok(Found { records, looked_to })
}

/// The last position, up to `head`, of an event that was recorded before `time`, or at it if `inclusive`; zero for none.
/// Times never run backwards, so it is found by halving.
///
/// # Errors
/// Whatever the driver says.
pub async fn last_before(
    connection: &mut PgConnection,
    time: Timestamp,
    inclusive: bool,
    head: Position,
) -> Result<Position, sqlx::Error> {
    let (mut before, mut unknown) = (0, head.get());
    while before < unknown {
        let middle = before + (unknown - before).div_ceil(2);
        // The next one there is: a damaged log may have gaps.
        let at: Option<Option<i64>> = sqlx::query_scalar(
            "select case when isfinite(recorded_at) then (extract(epoch from recorded_at) * 1000)::bigint end
             from ledger.event where position >= $1 and position <= $2 order by position limit 1",
        )
        .bind(Position::new(middle).to_i64())
        .bind(Position::new(unknown).to_i64())
        .fetch_optional(&mut *connection)
        .await?;
        let at = at.flatten();
        let is_before = at.is_some_and(|at| if inclusive { at <= time.millis() } else { at < time.millis() });
        if is_before {
            before = middle;
        } else {
            unknown = middle - 1;
        }
    }
    Ok(Position::new(before))
}
