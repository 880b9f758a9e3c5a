//! The turn: whatever is done under the exclusive append lock. No append is in flight then, so that what the log
//! shows is final. Here a turn is a transaction; a writer's, which all others wait for, is a [`writing::WritersTurn`].

mod lock;
pub mod writing;

use std::time::Duration;

use sqlx::PgConnection;

use super::append::{AppendReply, append};
use super::head::read_head;
use super::hold::{
    Hold, Losses, accept_loss, lift_hold, read_loss_hold, read_losses, read_past_hold, set_hold,
    set_past_hold,
};
use super::lookup::event_id_at;
use crate::domain::cursor::Cursor;
use crate::domain::position::Position;
use crate::domain::record::Recorded;
pub use lock::APPEND_LOCK_TIMEOUT;
use lock::{end_blockers, is_lock_timeout, millis, waits};

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
    pub async fn open(mut connection: PgConnection) -> Result<Self, sqlx::Error> {
        let mut blocked = sqlx::Error::PoolTimedOut;
        for wait in waits(false) {
            sqlx::raw_sql("begin").execute(&mut connection).await?;
            let locked = sqlx::query(
                "select set_config('lock_timeout', $1, true), pg_advisory_xact_lock(ledger.append_lock())",
            )
            .bind(millis(wait).to_string())
            .execute(&mut connection)
            .await;
            match locked {
                Ok(_) => return Ok(Self { connection, losses: None }),
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
