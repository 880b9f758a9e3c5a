//! The head: what a writer must know of the log in order to append to it.

use sqlx::{PgConnection, Row};

use crate::domain::cursor::Cursor;
use crate::domain::event::Event;
use crate::domain::numbering::Numbering;
use crate::domain::position::Position;
use crate::domain::time::Timestamp;
use crate::domain::vtid::Vtid;

/// The last event, and what follows from it for the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Head {
    /// The last event.
    pub cursor: Cursor,
    /// When it was recorded; the next event's time is not earlier.
    pub time: Timestamp,
    /// The last number that was given out.
    pub numbering: Numbering,
}

impl Head {
    /// The head of an empty log.
    #[must_use]
    pub fn empty() -> Self {
        Self { cursor: Cursor::Start, time: Timestamp::MIN, numbering: Numbering::default() }
    }

    /// The head once `event` has followed.
    pub fn advance(&mut self, event: &Event) {
        self.cursor = Cursor::at(event);
        self.time = self.time.max(event.recorded_at);
        self.numbering.observe(event.vtid);
    }
}

/// Whether `head` is the last event still, and nothing is on hold: then what was decided on it is true.
///
/// # Errors
/// Whatever the driver says.
pub async fn is_head(connection: &mut PgConnection, head: Cursor) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "select (select event_id from ledger.event order by position desc limit 1) is not distinct from $1
            and not exists (select from ledger.hold)",
    )
    .bind(head.id())
    .fetch_one(connection)
    .await
}

/// Reads the head: the last event and the last created one, both by index, in one statement.
///
/// # Errors
/// Whatever the driver says; [`sqlx::Error::Decode`] if the log holds what no version of this program wrote.
pub async fn read_head(connection: &mut PgConnection) -> Result<Head, sqlx::Error> {
    let row = sqlx::query(
        "select last.position, last.event_id, last.recorded_at, created.vtid
         from (select position, event_id, recorded_at from ledger.event order by position desc limit 1) last
         cross join (select vtid from ledger.event where version = 1 order by position desc limit 1) created",
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(Head::empty()) };
    let vtid: String = row.try_get("vtid")?;
    let last = Vtid::parse_possible(&vtid).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(Head {
        cursor: Cursor::At {
            position: Position::from_i64(row.try_get("position")?),
            id: row.try_get("event_id")?,
        },
        time: Timestamp::from_datetime(row.try_get("recorded_at")?),
        numbering: Numbering::after(Some(last)),
    })
}
