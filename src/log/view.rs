//! What the log shows under the append lock, of the little that a writer has to know.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::head::{Head, read_head};
use super::hold::{Hold, Losses};
use super::lookup::event_id_at;
use super::read::{ReadError, Row, following};
use crate::domain::cursor::Cursor;
use crate::domain::position::Position;
use crate::domain::record::Recorded;

/// A longer tail is not folded on: the writer forgets its states instead.
const TAIL_EVENTS: u32 = 1024;

/// What the log shows under the lock.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TurnView {
    /// The hold, if one stands.
    pub held: Option<Hold>,
    /// How many losses of history operators have accepted.
    pub losses: Losses,
    /// Whether the event that was asked about is in the log: the last of an append, so that all of it is.
    pub went_in: bool,
    /// What comes after the remembered head.
    pub tail: TailView,
}

/// The log from the remembered head on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TailView {
    /// The head is where it was, and these events have followed (none: it did not move).
    Moved(Vec<Recorded>),
    /// More has followed than is worth folding, or no head was remembered.
    FarBehind {
        /// The event right after the remembered head, if one was remembered: tells whose append came next.
        next: Option<Uuid>,
        /// The head now.
        head: Head,
    },
    /// The remembered head is gone or another one: the database lost history.
    OtherPast,
}

impl TailView {
    /// The id of the event right after the remembered head.
    #[must_use]
    pub fn next(&self) -> Option<Uuid> {
        match self {
            Self::Moved(events) => events.first().map(|recorded| recorded.event.id),
            Self::FarBehind { next, .. } => *next,
            Self::OtherPast => None,
        }
    }
}

/// Takes the exclusive append lock for the session, within `patience_ms`, and looks at the log from `head` on, and whether
/// `unsettled` is in it: in one round trip, since nobody else can append until the turn is over.
///
/// # Errors
/// [`ReadError`]; the lock's time-out, without the lock. After any other the lock may be held.
pub(super) async fn take_turn(
    connection: &mut PgConnection,
    patience_ms: i32,
    head: Option<Cursor>,
    unsettled: Option<Cursor>,
) -> Result<TurnView, ReadError> {
    // Without a head no event of the tail is asked for.
    let row = sqlx::query(
        "select losses, reason, first_lost, last_lost, unsettled_id, tail from ledger.take_turn($1, $2, $3, $4)",
    )
    .bind(patience_ms)
    .bind(head.map_or(1, |head| head.position().to_i64().max(1)))
    .bind(head.map_or(0, |_| i64::from(TAIL_EVENTS) + 1))
    .bind(unsettled.map(|last| last.position().to_i64()))
    .fetch_one(&mut *connection)
    .await?;
    let losses: Option<i64> = row.try_get("losses")?;
    let found: Option<Uuid> = row.try_get("unsettled_id")?;
    let lines: Option<&str> = row.try_get("tail")?;
    Ok(TurnView {
        held: hold(&row)?,
        losses: Losses(losses.and_then(|number| u64::try_from(number).ok()).unwrap_or(0)),
        went_in: unsettled.is_some_and(|last| found.is_some() && found == last.id()),
        tail: tail(connection, head, lines.unwrap_or_default()).await?,
    })
}

fn hold(row: &PgRow) -> Result<Option<Hold>, sqlx::Error> {
    let Some(reason) = row.try_get("reason")? else { return Ok(None) };
    let (position, last) = (row.try_get("first_lost")?, row.try_get("last_lost")?);
    Ok(Some(Hold { reason, position: Position::from_i64(position), last: Position::from_i64(last) }))
}

async fn tail(
    connection: &mut PgConnection,
    head: Option<Cursor>,
    lines: &str,
) -> Result<TailView, ReadError> {
    let Some(cursor) = head else {
        return Ok(TailView::FarBehind { next: None, head: read_head(connection).await? });
    };
    let damaged = || ReadError::Damaged(cursor.position());
    let rows = lines.lines().map(|line| row(line).ok_or_else(damaged));
    let next = match following(rows, cursor, TAIL_EVENTS) {
        Ok(events) if events.len() < TAIL_EVENTS as usize => return Ok(TailView::Moved(events)),
        Ok(events) => events.first().map(|recorded| recorded.event.id),
        Err(ReadError::OtherPast { .. }) => return Ok(TailView::OtherPast),
        // What this program can't read it can't fold on either; whose append came next is told all the same.
        Err(ReadError::Record { .. } | ReadError::Damaged(_)) => {
            event_id_at(connection, cursor.position().next()).await?
        }
        Err(error) => return Err(error),
    };
    Ok(TailView::FarBehind { next, head: read_head(connection).await? })
}

/// A line of the tail.
fn row(line: &str) -> Option<Row<'_>> {
    let (position, rest) = line.split_once(' ')?;
    let (id, body) = rest.split_once(' ')?;
    Some(Row { position: Position::from_i64(position.parse().ok()?), id: Uuid::try_parse(id).ok()?, body })
}
