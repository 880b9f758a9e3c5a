//! The turn: a transaction under the exclusive append lock. No append is in flight then, so that what the log
//! shows is final; the one way in which a writer settles an append that did not simply succeed.

use std::time::Duration;

use sqlx::PgConnection;

use super::append::{AppendReply, append};
use super::head::read_head;
use super::hold::{
    Hold, Losses, accept_loss, lift_hold, read_loss_hold, read_losses, read_past_hold, set_hold,
    set_past_hold,
};
use super::load::{Loaded, Wanted, load};
use super::lookup::event_id_at;
use super::read::ReadError;
use super::view::{TurnView, view};
use crate::domain::cursor::Cursor;
use crate::domain::position::Position;
use crate::domain::record::Recorded;

/// How long an append waits for a row of another's: with the first try for the lock after it, a little longer than that other
/// may wait for its client, and less than a second in all, so that nobody who is frozen holds up the others for longer.
pub const APPEND_LOCK_TIMEOUT: &str = "700ms";
/// Begins the transaction and takes the lock, in one round trip, since the others wait meanwhile. This long at first, for whoever
/// comes here because something has blocked an append for some time already.
const LOCK_SHORTLY: &str =
    "begin; set local lock_timeout = '100ms'; select pg_advisory_xact_lock(ledger.append_lock())";
/// This long at first, for whoever has not waited yet: the two above together.
const LOCK_FIRST: &str =
    "begin; set local lock_timeout = '800ms'; select pg_advisory_xact_lock(ledger.append_lock())";
/// This long, each time, with what blocks it ended in between: whoever froze while this one was waiting already is found soon.
const LOCK_AGAIN: &str =
    "begin; set local lock_timeout = '200ms'; select pg_advisory_xact_lock(ledger.append_lock())";
/// How often that is tried.
const LOCK_TRIES: usize = 40;

/// A transaction that holds the exclusive append lock, until it is ended or dropped.
pub struct Turn {
    connection: PgConnection,
    /// How many were accepted, once that was looked at: within the turn only the turn itself can change it.
    losses: Option<Losses>,
}

impl Turn {
    /// Begins the transaction and takes the lock, ending sessions of this role that hold it without need.
    ///
    /// # Errors
    /// Whatever the driver says; the lock's time-out where somebody kept it for longer than all tries.
    pub async fn open(connection: PgConnection) -> Result<Self, sqlx::Error> {
        Self::open_by(connection, LOCK_FIRST).await
    }

    /// As [`Turn::open`], after an append that may have waited for [`APPEND_LOCK_TIMEOUT`] already.
    ///
    /// # Errors
    /// Those of [`Turn::open`].
    pub async fn open_after_append(connection: PgConnection) -> Result<Self, sqlx::Error> {
        Self::open_by(connection, LOCK_SHORTLY).await
    }

    async fn open_by(mut connection: PgConnection, first: &'static str) -> Result<Self, sqlx::Error> {
        let mut blocked = sqlx::Error::PoolTimedOut;
        for wait in [first].into_iter().chain([LOCK_AGAIN; LOCK_TRIES]) {
            match sqlx::raw_sql(wait).execute(&mut connection).await.map(drop) {
                Ok(()) => return Ok(Self { connection, losses: None }),
                Err(error) if is_lock_timeout(&error) => {
                    sqlx::raw_sql("rollback").execute(&mut connection).await?;
                    end_blockers(&mut connection).await?;
                    blocked = error;
                }
                Err(error) => return Err(error),
            }
        }
        Err(blocked)
    }

    /// What the log shows from `head` on, and whether `unsettled` is in it; nothing can be appended by anybody else until the turn ends.
    ///
    /// # Errors
    /// [`ReadError`], of which [`ReadError::OtherPast`] is told by [`super::view::TailView`] instead.
    pub async fn view(
        &mut self,
        head: Option<Cursor>,
        unsettled: Option<Cursor>,
    ) -> Result<TurnView, ReadError> {
        let view = view(&mut self.connection, head, unsettled).await?;
        self.losses = Some(view.losses);
        Ok(view)
    }

    /// For a look at what others own, while nothing can be appended.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// The hold that stands because history was lost, and how many losses were accepted.
    ///
    /// # Errors
    /// Whatever the driver says.
    pub async fn stand(&mut self) -> Result<(Option<Hold>, Losses), sqlx::Error> {
        Ok((read_loss_hold(&mut self.connection).await?, read_losses(&mut self.connection).await?))
    }

    /// Whether the log has lost `event`, which it held when operators had accepted `known` losses. False where the loss
    /// was given up since: then it is only this memory of it that is too old.
    ///
    /// # Errors
    /// Whatever the driver says.
    pub async fn has_lost(&mut self, event: Cursor, known: Losses) -> Result<bool, sqlx::Error> {
        let (_, losses) = self.stand().await?;
        Ok(losses <= known && event_id_at(&mut self.connection, event.position()).await? != event.id())
    }

    /// Loads states within the turn.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn load(&mut self, wanted: &Wanted, at: Position) -> Result<Loaded, ReadError> {
        load(&mut self.connection, wanted, at).await
    }

    /// Appends within the turn; nothing is in before [`Turn::commit`].
    ///
    /// # Errors
    /// Whatever the driver says.
    pub async fn append(
        &mut self,
        head: Cursor,
        max_ahead: Duration,
        events: &[&Recorded],
    ) -> Result<AppendReply, sqlx::Error> {
        let losses = match self.losses {
            Some(losses) => losses,
            None => read_losses(&mut self.connection).await?,
        };
        self.losses = Some(losses);
        append(&mut self.connection, head, losses, max_ahead, events).await
    }

    /// Ends the turn with what was appended.
    ///
    /// # Errors
    /// Whatever the driver says; after any error the outcome is unknown.
    pub async fn commit(mut self) -> Result<PgConnection, sqlx::Error> {
        sqlx::raw_sql("commit").execute(&mut self.connection).await?;
        Ok(self.connection)
    }

    /// Ends the turn with a write, so that a synchronous standby surely has all that came before it.
    ///
    /// # Errors
    /// Whatever the driver says.
    pub async fn confirm(mut self) -> Result<PgConnection, sqlx::Error> {
        sqlx::raw_sql("select pg_logical_emit_message(true, 'vtid-ledger', ''); commit")
            .execute(&mut self.connection)
            .await?;
        Ok(self.connection)
    }

    /// Sets the hold, and commits.
    ///
    /// # Errors
    /// Whatever the driver says.
    pub async fn hold(mut self, hold: &Hold) -> Result<PgConnection, sqlx::Error> {
        set_hold(&mut self.connection, hold).await?;
        sqlx::raw_sql("commit").execute(&mut self.connection).await?;
        Ok(self.connection)
    }

    /// The last event.
    ///
    /// # Errors
    /// Whatever the driver says.
    pub async fn head(&mut self) -> Result<Cursor, sqlx::Error> {
        Ok(read_head(&mut self.connection).await?.cursor)
    }

    /// Puts a loss on record as given up; not before [`Turn::commit`].
    ///
    /// # Errors
    /// Whatever the driver says.
    pub async fn accept_loss(&mut self, first: Position, last: Position) -> Result<(), sqlx::Error> {
        self.losses = None;
        accept_loss(&mut self.connection, first, last).await
    }

    /// The hold that stands because the past is not the one that was sealed.
    ///
    /// # Errors
    /// Whatever the driver says.
    pub async fn past_hold(&mut self) -> Result<Option<Hold>, sqlx::Error> {
        read_past_hold(&mut self.connection).await
    }

    /// Sets or lifts that one; not before [`Turn::commit`].
    ///
    /// # Errors
    /// Whatever the driver says.
    pub async fn set_past_hold(&mut self, hold: Option<&Hold>) -> Result<(), sqlx::Error> {
        set_past_hold(&mut self.connection, hold).await
    }

    /// Removes the hold that stands because history was lost; not before [`Turn::commit`].
    ///
    /// # Errors
    /// Whatever the driver says.
    pub async fn lift_hold(&mut self) -> Result<(), sqlx::Error> {
        lift_hold(&mut self.connection).await
    }

    /// Ends the turn without having written.
    ///
    /// # Errors
    /// Whatever the driver says.
    pub async fn end(mut self) -> Result<PgConnection, sqlx::Error> {
        sqlx::raw_sql("rollback").execute(&mut self.connection).await?;
        Ok(self.connection)
    }
}

fn is_lock_timeout(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "55P03")
}

/// Ends sessions of this role that hold the lock and have waited for their client for over three quarters of a second: a
/// client that vanished between Execute and Sync would hold it, and its rows, without end.
///
/// Found by one statement and ended by another: within one, `PostgreSQL` may call the function on a session before it
/// has looked whether that session is meant.
async fn end_blockers(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let blockers: Vec<i32> = sqlx::query_scalar(
        "select a.pid
         from pg_locks l join pg_stat_activity a on a.pid = l.pid
         where l.locktype = 'advisory' and l.granted
           and l.database = (select d.oid from pg_database d where d.datname = current_database())
           and l.classid::bigint = (ledger.append_lock() >> 32) and l.objid::bigint = (ledger.append_lock() & 4294967295)
           and l.objsubid = 1
           and a.pid <> pg_backend_pid() and a.usename = current_user
           and a.wait_event_type = 'Client' and a.state in ('active', 'idle in transaction', 'idle in transaction (aborted)')
           and a.state_change < clock_timestamp() - interval '750 milliseconds'",
    )
    .fetch_all(&mut *connection)
    .await?;
    if blockers.is_empty() {
        return Ok(());
    }
    tracing::warn!(pids = ?blockers, "ending sessions that hold the append lock while they wait for their client");
    sqlx::query("select pg_terminate_backend(blocker) from unnest($1::integer[]) blocker")
        .bind(blockers)
        .execute(connection)
        .await?;
    Ok(())
}
