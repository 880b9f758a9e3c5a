//! Compare-and-append: one round trip, one transaction.

use std::time::Duration;

use sqlx::PgConnection;

use super::hold::Losses;
use crate::domain::cursor::Cursor;
use crate::domain::record::Recorded;

/// What the log said to an append.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AppendReply {
    /// The events are in, and durable once the transaction is.
    Appended,
    /// Nothing was inserted: the event at the remembered head is another one, or gone; or further losses were accepted.
    NotTheHead,
    /// Nothing was inserted: a hold stands.
    Held,
    /// Nothing was inserted: the events' time lies too far ahead of the database's clock.
    TimeRefused,
}

/// Appends `events`, whose positions follow `head`, in the transaction of `connection` (or in one of its own), if so many
/// `losses` were accepted as the writer knows of.
///
/// A time more than `max_ahead` past the database's clock, and past the last event's, is refused.
///
/// # Errors
/// Whatever the driver says. After an error of the connection the events may have gone in, or may still go
/// in: see [`super::turn`].
pub async fn append(
    connection: &mut PgConnection,
    head: Cursor,
    losses: Losses,
    max_ahead: Duration,
    events: &[&Recorded],
) -> Result<AppendReply, sqlx::Error> {
    let statement =
        "select ledger.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";
    append_by(statement, connection, head, losses, max_ahead, events).await
}

/// As [`append`], and lets go of the append lock that the session holds: others get it once this is committed, since
/// until then the append itself holds it with them. Unless the database says that it can't.
pub(super) async fn append_and_let_go(
    connection: &mut PgConnection,
    head: Cursor,
    losses: Losses,
    max_ahead: Duration,
    events: &[&Recorded],
) -> Result<AppendReply, sqlx::Error> {
    // The columns of a row are made from left to right, and after what it is made from.
    let statement = "select reply, pg_advisory_unlock(ledger.append_lock())
         from ledger.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) reply";
    append_by(statement, connection, head, losses, max_ahead, events).await
}

async fn append_by(
    statement: &'static str,
    connection: &mut PgConnection,
    head: Cursor,
    losses: Losses,
    max_ahead: Duration,
    events: &[&Recorded],
) -> Result<AppendReply, sqlx::Error> {
    let column =
        |f: for<'a> fn(&'a Recorded) -> &'a str| events.iter().copied().map(f).collect::<Vec<&str>>();
    let vtids: Vec<String> = events.iter().map(|e| e.event.vtid.to_string()).collect();
    let origin = |f: fn(&crate::domain::origin::Origin) -> Option<String>| {
        events.iter().map(|e| f(&e.event.origin)).collect::<Vec<Option<String>>>()
    };
    let reply: String = sqlx::query_scalar(statement)
        .bind(head.position().to_i64())
        .bind(head.id())
        .bind(i64::try_from(losses.0).unwrap_or(i64::MAX))
        .bind(i64::try_from(max_ahead.as_millis()).unwrap_or(i64::MAX))
        .bind(events.iter().map(|e| e.event.id).collect::<Vec<_>>())
        .bind(vtids)
        .bind(events.iter().map(|e| e.event.version.to_i64()).collect::<Vec<_>>())
        .bind(column(|e| e.event.data.event_type().as_str()))
        .bind(column(|e| e.event.tenant.as_str()))
        .bind(column(|e| e.event.origin.actor.id.as_str()))
        .bind(column(|e| e.event.origin.actor.role.as_str()))
        .bind(origin(|o| o.actor.tenant.as_ref().map(ToString::to_string)))
        .bind(origin(|o| o.idempotency.as_ref().map(|i| i.key.as_str().to_owned())))
        .bind(origin(|o| o.idempotency.as_ref().map(|i| i.hash.to_string())))
        .bind(events.iter().map(|e| e.event.recorded_at.to_datetime()).collect::<Vec<_>>())
        .bind(column(|e| &e.body))
        .fetch_one(connection)
        .await?;
    match reply.as_str() {
        "appended" => Ok(AppendReply::Appended),
        "head" => Ok(AppendReply::NotTheHead),
        "hold" => Ok(AppendReply::Held),
        "time" => Ok(AppendReply::TimeRefused),
        other => Err(sqlx::Error::Protocol(format!("ledger.append answered {other:?}"))),
    }
}
