//! A writer's turn: the lock and the look in one round trip, the append in another.

use std::time::Duration;

use sqlx::PgConnection;

use super::lock::{end_blockers, is_lock_timeout, millis, waits};
use crate::domain::cursor::Cursor;
use crate::domain::position::Position;
use crate::domain::record::Recorded;
use crate::log::append::{AppendReply, append_and_let_go};
use crate::log::hold::{Hold, Losses, set_hold};
use crate::log::load::{Loaded, Wanted, load};
use crate::log::read::ReadError;
use crate::log::view::{TurnView, take_turn};

/// A session that holds the exclusive append lock, until the turn is ended or dropped: what is dropped ends the session.
pub struct WritersTurn {
    connection: PgConnection,
    losses: Losses,
    /// Whether an append has let go of the lock.
    is_over: bool,
}

impl WritersTurn {
    /// Takes the lock, ending sessions of this role that hold it without need, and looks at the log from `head` on, and
    /// whether `unsettled` is in it: the last event of an append that may have waited for
    /// [`super::APPEND_LOCK_TIMEOUT`] already.
    ///
    /// # Errors
    /// [`ReadError`], of which [`ReadError::OtherPast`] is told by [`crate::log::view::TailView`] instead; the lock's
    /// time-out where somebody kept it for longer than all tries.
    pub async fn open(
        mut connection: PgConnection,
        head: Option<Cursor>,
        unsettled: Option<Cursor>,
    ) -> Result<(Self, TurnView), ReadError> {
        let mut blocked = sqlx::Error::PoolTimedOut;
        for wait in waits(unsettled.is_some()) {
            match take_turn(&mut connection, millis(wait), head, unsettled).await {
                Ok(view) => return Ok((Self { connection, losses: view.losses, is_over: false }, view)),
                Err(ReadError::Database(error)) if is_lock_timeout(&error) => {
                    end_blockers(&mut connection).await?;
                    blocked = error;
                }
                Err(error) => return Err(error),
            }
        }
        Err(blocked.into())
    }

    /// Loads states.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn load(&mut self, wanted: &Wanted, at: Position) -> Result<Loaded, ReadError> {
        load(&mut self.connection, wanted, at).await
    }

    /// Appends, which ends the turn where the database answered: [`Self::end`] gives the connection back.
    ///
    /// # Errors
    /// Whatever the driver says. After an error of the connection the events may have gone in.
    pub async fn append(
        &mut self,
        head: Cursor,
        max_ahead: Duration,
        events: &[&Recorded],
    ) -> Result<AppendReply, sqlx::Error> {
        let reply = append_and_let_go(&mut self.connection, head, self.losses, max_ahead, events).await?;
        self.is_over = true;
        Ok(reply)
    }

    /// Ends the turn with a write, so that a synchronous standby surely has all that came before it.
    ///
    /// # Errors
    /// Whatever the driver says.
    pub async fn confirm(mut self) -> Result<PgConnection, sqlx::Error> {
        sqlx::raw_sql("select pg_logical_emit_message(true, 'vtid-ledger', '')")
            .execute(&mut self.connection)
            .await?;
        self.end().await
    }

    /// Ends the turn with the hold set.
    ///
    /// # Errors
    /// Whatever the driver says.
    pub async fn hold(mut self, hold: &Hold) -> Result<PgConnection, sqlx::Error> {
        set_hold(&mut self.connection, hold).await?;
        self.end().await
    }

    /// Ends the turn.
    ///
    /// # Errors
    /// Whatever the driver says; the session is ended then.
    pub async fn end(mut self) -> Result<PgConnection, sqlx::Error> {
        if !self.is_over {
            sqlx::raw_sql("select pg_advisory_unlock(ledger.append_lock())")
                .execute(&mut self.connection)
                .await?;
        }
        Ok(self.connection)
    }
}
