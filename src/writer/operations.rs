//! The writer's operations on the database, one at a time, each within its time; and what their errors mean.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgConnection;
use sqlx::postgres::{PgConnectOptions, PgDatabaseError};
use tokio::time::timeout;

use super::machine::{Attempt, Closing, Failure, Input};
use crate::domain::cursor::Cursor;
use crate::domain::position::Position;
use crate::domain::record::Recorded;
use crate::log::append::{AppendReply, append};
use crate::log::connect::connect;
use crate::log::entry::Entry;
use crate::log::head::read_head;
use crate::log::load::{Loaded, Wanted, load};
use crate::log::read::ReadError;
use crate::log::turn::{Turn, TurnView, end_blockers, is_lock_timeout};

/// One connection to the primary, or a turn that is open on it.
pub(super) struct Operations {
    database: PgConnectOptions,
    /// For each operation; a turn may take longer, since it waits for its lock.
    limit: Duration,
    max_ahead: Duration,
    state: State,
}

enum State {
    Disconnected,
    Connected(PgConnection),
    InTurn(Turn),
}

/// How long an append waits for a lock, as a turn does: most of all for the row of another one at its position, whose
/// client may have vanished.
const LOCK_TIMEOUT: (&str, &str) = ("lock_timeout", "1s");
/// How much longer than other operations the opening of a turn may take: it ends what blocks it, second by second.
const TURN_PATIENCE: u32 = 3;

impl Operations {
    pub(super) fn new(database: PgConnectOptions, limit: Duration, max_ahead: Duration) -> Self {
        Self { database: database.options([LOCK_TIMEOUT]), limit, max_ahead, state: State::Disconnected }
    }

    /// Takes the connection out: whoever does not put it back has given it up, and what it did is unknown.
    async fn take_connection(&mut self) -> Result<PgConnection, sqlx::Error> {
        match std::mem::replace(&mut self.state, State::Disconnected) {
            State::Connected(connection) => Ok(connection),
            State::InTurn(turn) => turn.end().await,
            State::Disconnected => connect(&self.database).await,
        }
    }

    pub(super) async fn load(&mut self, attempt: Attempt, wanted: Wanted, at: Position) -> Input {
        let limit = self.limit;
        let loading = async {
            let mut connection = self.take_connection().await?;
            let loaded = load(&mut connection, &wanted, at).await?;
            self.state = State::Connected(connection);
            Ok::<Loaded, ReadError>(loaded)
        };
        Input::Loaded(attempt, told("loading states", timeout(limit, loading).await))
    }

    pub(super) async fn load_in_turn(&mut self, attempt: Attempt, wanted: Wanted, at: Position) -> Input {
        let State::InTurn(mut turn) = std::mem::replace(&mut self.state, State::Disconnected) else {
            return Input::Loaded(attempt, None);
        };
        let loaded = told("loading states", timeout(self.limit, turn.load(&wanted, at)).await);
        if loaded.is_some() {
            self.state = State::InTurn(turn);
        }
        Input::Loaded(attempt, loaded)
    }

    pub(super) async fn append(&mut self, attempt: Attempt, head: Cursor, entries: Vec<Arc<Entry>>) -> Input {
        let (limit, max_ahead) = (self.limit, self.max_ahead);
        // Before this has succeeded, nothing was sent.
        let connection = match timeout(limit, self.take_connection()).await {
            Ok(Ok(connection)) => Some(connection),
            failed => told("connecting", failed),
        };
        let Some(mut connection) = connection else {
            return Input::Appended(attempt, Err(Failure::NotWritten));
        };
        let records = records(&entries);
        let appended = timeout(limit, append(&mut connection, head, max_ahead, &records)).await;
        let usable = match &appended {
            // It has waited for as long as a turn would before it ends what blocks it: the turn need not wait again.
            Ok(Err(error)) if is_lock_timeout(error) => {
                let ending = timeout(limit, end_blockers(&mut connection)).await;
                told("ending what blocks an append", ending).is_some()
            }
            _ => true,
        };
        let outcome = outcome(appended);
        if usable && outcome != Err(Failure::Unknown) {
            self.state = State::Connected(connection);
        }
        // Else it is dropped, which closes the socket at once: a peer that takes no bytes can't hold us up.
        Input::Appended(attempt, outcome)
    }

    pub(super) async fn look_at_head(&mut self, attempt: Attempt, head: Cursor) -> Input {
        let limit = self.limit;
        let looking = async {
            let mut connection = self.take_connection().await?;
            let found = read_head(&mut connection).await?.cursor;
            self.state = State::Connected(connection);
            Ok::<Cursor, sqlx::Error>(found)
        };
        let found = told("looking at the head", timeout(limit, looking).await);
        Input::HeadSeen(attempt, found == Some(head))
    }

    pub(super) async fn open_turn(
        &mut self,
        attempt: Attempt,
        head: Option<Cursor>,
        unsettled: Option<Cursor>,
        delay: Duration,
    ) -> Input {
        tokio::time::sleep(delay).await;
        let limit = self.limit * TURN_PATIENCE;
        let opening = async {
            let connection = self.take_connection().await?;
            let mut turn = Turn::open(connection).await?;
            let view = turn.view(head, unsettled).await?;
            self.state = State::InTurn(turn);
            Ok::<TurnView, ReadError>(view)
        };
        Input::TurnOpened(attempt, told("opening a turn", timeout(limit, opening).await))
    }

    pub(super) async fn close_turn(&mut self, attempt: Attempt, closing: Closing) -> Input {
        let State::InTurn(turn) = std::mem::replace(&mut self.state, State::Disconnected) else {
            return Input::TurnClosed(attempt, Err(Failure::NotWritten));
        };
        let closing = close(turn, closing, self.max_ahead);
        let (outcome, connection) = match timeout(self.limit, closing).await {
            Ok((outcome, connection)) => (outcome, connection),
            Err(_) => (Err(Failure::Unknown), None),
        };
        if let Some(connection) = connection {
            self.state = State::Connected(connection);
        }
        Input::TurnClosed(attempt, outcome)
    }
}

async fn close(
    mut turn: Turn,
    closing: Closing,
    max_ahead: Duration,
) -> (Result<(), Failure>, Option<PgConnection>) {
    let closed = match closing {
        Closing::Append(head, entries) => {
            let outcome = outcome(Ok(turn.append(head, max_ahead, &records(&entries)).await));
            match outcome {
                Ok(()) => turn.commit().await,
                // Nothing is committed, so nothing is in, whatever went wrong.
                Err(failure) => {
                    let failure = if failure == Failure::Unknown { Failure::NotWritten } else { failure };
                    return (Err(failure), turn.end().await.ok());
                }
            }
        }
        Closing::Confirm => turn.confirm().await,
        Closing::Hold(hold) => turn.hold(&hold).await,
        Closing::End => turn.end().await,
    };
    match closed {
        Ok(connection) => (Ok(()), Some(connection)),
        Err(error) => {
            tracing::warn!(%error, "closing a turn");
            (Err(Failure::Unknown), None)
        }
    }
}

fn records(entries: &[Arc<Entry>]) -> Vec<&Recorded> {
    entries.iter().map(|entry| &entry.recorded).collect()
}

/// The value, or none and a line in the log.
fn told<T, E: std::fmt::Display>(
    what: &str,
    ended: Result<Result<T, E>, tokio::time::error::Elapsed>,
) -> Option<T> {
    match ended {
        Ok(Ok(value)) => return Some(value),
        Ok(Err(error)) => tracing::warn!(%error, "{what} failed"),
        Err(_) => tracing::warn!("{what} took too long"),
    }
    None
}

/// What is known of an append that ended so.
fn outcome(
    ended: Result<Result<AppendReply, sqlx::Error>, tokio::time::error::Elapsed>,
) -> Result<(), Failure> {
    let error = match ended {
        Ok(Ok(AppendReply::Appended)) => return Ok(()),
        Ok(Ok(AppendReply::NotTheHead)) => return Err(Failure::NotTheHead),
        Ok(Ok(AppendReply::Held)) => return Err(Failure::Held),
        Ok(Ok(AppendReply::TimeRefused)) => return Err(Failure::TimeRefused),
        Ok(Err(error)) => error,
        Err(_) => {
            tracing::warn!("an append took too long; whether it went in is settled by a turn");
            return Err(Failure::Unknown);
        }
    };
    let failure = match error.as_database_error().and_then(|e| e.try_downcast_ref::<PgDatabaseError>()) {
        Some(error) => meaning(error.code(), error.constraint()),
        None => Failure::Unknown,
    };
    if failure != Failure::NotTheHead {
        tracing::warn!(%error, ?failure, "an append failed");
    }
    Err(failure)
}

/// What an error that the database answered means for the append.
fn meaning(code: &str, constraint: Option<&str>) -> Failure {
    match (code, constraint) {
        ("23505", Some("event_position")) => Failure::NotTheHead,
        ("23505", _) | (_, Some("event_follows_predecessor")) => Failure::Conflict,
        _ if ["22", "23", "42", "54", "P0"].iter().any(|class| code.starts_with(class)) => Failure::Refused,
        ("57014", _) => Failure::NotWritten,
        _ if ["25", "40", "53", "55"].iter().any(|class| code.starts_with(class)) => Failure::NotWritten,
        // The session is being ended, perhaps after its commit; or something between us and the database speaks.
        _ => Failure::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_errors_mean() {
        for (code, constraint, failure) in [
            ("23505", Some("event_position"), Failure::NotTheHead),
            ("23505", Some("event_version"), Failure::Conflict),
            ("23505", Some("event_idempotency_key"), Failure::Conflict),
            ("23000", Some("event_follows_predecessor"), Failure::Conflict),
            ("23514", Some("event_body_size"), Failure::Refused),
            ("22021", None, Failure::Refused),
            ("57P01", None, Failure::Unknown),
            ("08P01", None, Failure::Unknown),
            ("XX000", None, Failure::Unknown),
            ("57014", None, Failure::NotWritten),
            ("55P03", None, Failure::NotWritten),
            ("53100", None, Failure::NotWritten),
            ("40001", None, Failure::NotWritten),
            ("25006", None, Failure::NotWritten),
        ] {
            assert_eq!(meaning(code, constraint), failure, "{code} {constraint:?}");
        }
    }
}
