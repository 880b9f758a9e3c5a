//! Finding a place in the log by something else than its position: some twenty looks by primary key, in one statement,
//! since times never run backwards, and a task's versions have the order of their positions.

use sqlx::{PgConnection, Row};

use crate::domain::moment::Place;
use crate::domain::position::{Position, Version};
use crate::domain::time::Timestamp;
use crate::domain::vtid::Vtid;

/// The last event.
///
/// # Errors
/// Whatever the driver says.
pub async fn end(connection: &mut PgConnection) -> Result<Place, sqlx::Error> {
    let last = sqlx::query("select position, recorded_at from ledger.event order by position desc limit 1")
        .fetch_optional(connection)
        .await?;
    let Some(row) = last else { return Ok(Place::START) };
    Ok(Place {
        position: Position::from_i64(row.try_get("position")?),
        time: Timestamp::from_datetime(row.try_get("recorded_at")?),
    })
}

/// The place of the event at `position`; none if there is no such event.
///
/// # Errors
/// Whatever the driver says.
pub async fn place_at(
    connection: &mut PgConnection,
    position: Position,
) -> Result<Option<Place>, sqlx::Error> {
    if position == Position::ZERO {
        return Ok(Some(Place::START));
    }
    let found = sqlx::query("select recorded_at from ledger.event where position = $1")
        .bind(position.to_i64())
        .fetch_optional(connection)
        .await?;
    let place = |time| Place { position, time: Timestamp::from_datetime(time) };
    found.map(|row| row.try_get("recorded_at").map(place)).transpose()
}

/// The last position up to `head` whose event was recorded before `time`; zero if there is none.
///
/// # Errors
/// Whatever the driver says.
pub async fn position_before(
    connection: &mut PgConnection,
    time: Timestamp,
    head: Position,
) -> Result<Position, sqlx::Error> {
    // Times are whole milliseconds: before this one is at the one before it.
    let before = Timestamp::from_millis(time.millis() - 1);
    if before < time { position_at(connection, before, head).await } else { Ok(Position::ZERO) }
}

/// The last position up to `head` whose event was recorded at `time` or before; zero if there is none. In a log that lacks
/// events it may be one that is missing.
///
/// # Errors
/// Whatever the driver says.
pub async fn position_at(
    connection: &mut PgConnection,
    time: Timestamp,
    head: Position,
) -> Result<Position, sqlx::Error> {
    // The event at low was recorded until then (or is none), the one after high later (or is none). Each look is one by the
    // primary key, for the next event that there is.
    let found: i64 = sqlx::query_scalar(
        "with recursive search (low, high) as (
             select 0::bigint, $2::bigint
             union all
             select case when e.recorded_at <= $1 then s.mid else s.low end,
                 case when e.recorded_at <= $1 then s.high else s.mid - 1 end
             from (select low, high, (low + high + 1) / 2 as mid from search where low < high) s
             left join lateral (
                 select recorded_at from ledger.event where position >= s.mid and position <= s.high order by position limit 1
             ) e on true
         )
         select low from search where low = high",
    )
    .bind(time.to_datetime())
    .bind(head.to_i64())
    .fetch_one(connection)
    .await?;
    Ok(Position::from_i64(found))
}

/// The last version of a task that stands at `position` or before; zero if there is none. In a log that lacks events it may
/// be one that is missing.
///
/// # Errors
/// Whatever the driver says.
pub async fn version_at(
    connection: &mut PgConnection,
    vtid: Vtid,
    position: Position,
) -> Result<Version, sqlx::Error> {
    let found: i64 = sqlx::query_scalar(
        "with recursive search (low, high) as (
             select 0::bigint,
                 coalesce((select version from ledger.event where vtid = $1 order by version desc limit 1), 0)
             union all
             select case when e.position <= $2 then s.mid else s.low end,
                 case when e.position <= $2 then s.high else s.mid - 1 end
             from (select low, high, (low + high + 1) / 2 as mid from search where low < high) s
             left join lateral (
                 select position from ledger.event
                 where vtid = $1 and version >= s.mid and version <= s.high order by version limit 1
             ) e on true
         )
         select low from search where low = high",
    )
    .bind(vtid.to_string())
    .bind(position.to_i64())
    .fetch_one(connection)
    .await?;
    Ok(Version::from_i64(found))
}
