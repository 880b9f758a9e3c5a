//! The rows: checkpoints, the keys they were signed with, what witnesses added. Each call is one statement. Times that no
//! calendar of ours has are cut to those that it has: whoever can do everything with the database may have written any.

mod cosignatures;
mod keys;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

pub use self::cosignatures::{Cosignature, cosignatures, keep_cosignature};
pub use self::keys::{KeyOnRecord, all_keys, keep_key, keys};

use crate::domain::cursor::Cursor;
use crate::domain::position::Position;
use crate::domain::time::Timestamp;
use crate::tlog::Hash;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::key::KeyName;

/// A checkpoint as it is on record.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// As it was signed. Its size and root are those of the columns, which whoever reads it holds to the note.
    pub note: String,
    /// The tree's size: its last leaf is the event at this position.
    pub size: Position,
    /// The size of the one before it; zero for the first.
    pub previous: Position,
    /// The last event that is in the tree.
    pub last: Cursor,
    /// The tree's root.
    pub root: Hash,
    /// When it was signed.
    pub signed_at: Timestamp,
}

/// What became of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sealed {
    /// It is on record.
    Done,
    /// Another one was put on record meanwhile: look again.
    Overtaken,
    /// The log does not hold the event that was sealed: it lost history.
    OtherPast,
}

/// The name of the constraint in which two sealers meet.
const RACE: [&str; 2] = ["checkpoint_previous", "checkpoint_pkey"];

/// Puts a checkpoint on record after `previous`; `last` is the event at its size.
///
/// # Errors
/// Whatever the driver says; it may have gone in nevertheless.
pub async fn seal(
    connection: &mut PgConnection,
    previous: Position,
    checkpoint: &Checkpoint,
    last: Cursor,
    now: Timestamp,
) -> Result<Sealed, sqlx::Error> {
    let said = sqlx::query_scalar::<_, String>("select ledger.seal($1, $2, $3, $4, $5, $6, $7)")
        .bind(&checkpoint.origin)
        .bind(previous.to_i64())
        .bind(Position::new(checkpoint.size).to_i64())
        .bind(last.id())
        .bind(checkpoint.root.0.as_slice())
        .bind(&checkpoint.note)
        .bind(now.to_datetime())
        .fetch_one(connection)
        .await;
    let raced = |error: &sqlx::Error| {
        let constraint = error.as_database_error().and_then(|error| error.constraint());
        constraint.is_some_and(|name| RACE.contains(&name))
    };
    match said {
        Ok(said) => match said.as_str() {
            "sealed" => Ok(Sealed::Done),
            "checkpoint" => Ok(Sealed::Overtaken),
            "log" => Ok(Sealed::OtherPast),
            other => Err(sqlx::Error::Decode(format!("ledger.seal said {other:?}").into())),
        },
        Err(error) if raced(&error) => Ok(Sealed::Overtaken),
        Err(error) => Err(error),
    }
}

const NEWEST: i64 = i64::MAX;

/// The newest checkpoint of an origin.
///
/// # Errors
/// Whatever the driver says.
pub async fn newest(connection: &mut PgConnection, origin: &KeyName) -> Result<Option<Stored>, sqlx::Error> {
    last_up_to(connection, origin, NEWEST).await
}

/// The newest checkpoint of an origin with a size of `size` at most.
///
/// # Errors
/// Whatever the driver says.
pub async fn newest_up_to(
    connection: &mut PgConnection,
    origin: &KeyName,
    size: Position,
) -> Result<Option<Stored>, sqlx::Error> {
    last_up_to(connection, origin, size.to_i64()).await
}

async fn last_up_to(
    connection: &mut PgConnection,
    origin: &KeyName,
    size: i64,
) -> Result<Option<Stored>, sqlx::Error> {
    let row = sqlx::query(
        "select size, previous, event_id, root, note,
            least(greatest(signed_at, '0001-01-01 00:00:00Z'), '9999-12-31 23:59:59.999Z') as signed_at
         from ledger.checkpoint where origin = $1 and size <= $2 order by size desc limit 1",
    )
    .bind(origin.as_str())
    .bind(size)
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(stored).transpose()
}

/// Up to `max` checkpoints of an origin that are larger than `after`, smallest first.
///
/// # Errors
/// Whatever the driver says.
pub async fn page(
    connection: &mut PgConnection,
    origin: &str,
    after: Position,
    max: u32,
) -> Result<Vec<Stored>, sqlx::Error> {
    let rows = sqlx::query(
        "select size, previous, event_id, root, note,
            least(greatest(signed_at, '0001-01-01 00:00:00Z'), '9999-12-31 23:59:59.999Z') as signed_at
         from ledger.checkpoint where origin = $1 and size > $2 order by size limit $3",
    )
    .bind(origin)
    .bind(after.to_i64())
    .bind(i64::from(max))
    .fetch_all(connection)
    .await?;
    rows.iter().map(stored).collect()
}

/// A log of this ledger that has checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Its name.
    pub origin: String,
    /// The size of its newest checkpoint.
    pub newest: Position,
}

/// The logs that have checkpoints: each is found by two looks into an index, however many checkpoints there are.
///
/// # Errors
/// Whatever the driver says.
pub async fn logs(connection: &mut PgConnection) -> Result<Vec<Log>, sqlx::Error> {
    let rows = sqlx::query(
        "with recursive logs (origin) as (
             (select origin from ledger.checkpoint order by origin limit 1)
             union all
             select (select c.origin from ledger.checkpoint c where c.origin > logs.origin order by c.origin limit 1)
             from logs where logs.origin is not null
         )
         select k.origin, c.size from logs k
         cross join lateral (
             select size from ledger.checkpoint where origin = k.origin order by size desc limit 1
         ) c
         where k.origin is not null order by k.origin",
    )
    .fetch_all(connection)
    .await?;
    let log = |row: &PgRow| {
        Ok(Log { origin: row.try_get("origin")?, newest: Position::from_i64(row.try_get("size")?) })
    };
    rows.iter().map(log).collect()
}

fn stored(row: &PgRow) -> Result<Stored, sqlx::Error> {
    let size = Position::from_i64(row.try_get("size")?);
    Ok(Stored {
        note: row.try_get("note")?,
        size,
        previous: Position::from_i64(row.try_get("previous")?),
        last: Cursor::At { position: size, id: row.try_get("event_id")? },
        root: hash(row.try_get("root")?)?,
        signed_at: Timestamp::from_datetime(row.try_get("signed_at")?),
    })
}

/// A hash as a column keeps it.
pub(in crate::sealer) fn hash(bytes: &[u8]) -> Result<Hash, sqlx::Error> {
    let array = bytes.try_into().map_err(|_| sqlx::Error::Decode("a hash must have 32 bytes".into()))?;
    Ok(Hash(array))
}
