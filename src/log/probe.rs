//! How the log stands right now, for readiness.

use sqlx::Row;

use super::hold::{Hold, read_hold};
use super::pool::Pool;
use crate::domain::position::Position;
use crate::domain::time::Timestamp;

/// The log at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The last position.
    pub head: Position,
    /// The hold, if one stands.
    pub hold: Option<Hold>,
    /// For each position that was asked about: when the event after it was recorded, if there is one.
    pub next_recorded_at: Vec<Option<Timestamp>>,
}

/// Looks at the log; `followers` are positions whose next events' times are wanted.
///
/// # Errors
/// Whatever the driver says.
pub async fn probe(pool: &Pool, followers: &[Position]) -> Result<Probe, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let head: Option<i64> =
        sqlx::query_scalar("select position from ledger.event order by position desc limit 1")
            .fetch_optional(&mut *connection)
            .await?;
    let hold = read_hold(&mut connection).await?;
    let next: Vec<i64> = followers.iter().map(|position| position.next().to_i64()).collect();
    // Each by the index, whatever was known of the log when this connection first planned it: it may have been empty then.
    let rows = sqlx::query(
        "select e.recorded_at from unnest($1::bigint[]) with ordinality wanted (position, n)
         left join lateral (
             select recorded_at from ledger.event where event.position = wanted.position limit 1
         ) e on true
         order by wanted.n",
    )
    .bind(next)
    .fetch_all(&mut *connection)
    .await?;
    let next_recorded_at = rows
        .iter()
        .map(|row| Ok(row.try_get::<Option<_>, _>("recorded_at")?.map(Timestamp::from_datetime)))
        .collect::<Result<_, sqlx::Error>>()?;
    Ok(Probe { head: Position::from_i64(head.unwrap_or(0)), hold, next_recorded_at })
}
