//! The writer's operations on the database, one at a time, each within its time; and what their errors mean.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgConnection;
use sqlx::postgres::PgDatabaseError;
use tokio::time::timeout;

use super::machine::{Attempt, Closing, Failure, Input};
use super::shell::{Compare, WriterOptions};
use crate::domain::cursor::Cursor;
use crate::domain::position::Position;
use crate::domain::record::Recorded;
use crate::log::append::{AppendReply, append};
use crate::log::connect::is_read_only;
use crate::log::entry::Entry;
use crate::log::head::is_head;
use crate::log::hold::Losses;
use crate::log::load::{Loaded, Wanted, load};
use crate::log::read::ReadError;
use crate::log::servers::{Servers, Timeline};
use crate::log::turn::APPEND_LOCK_TIMEOUT;
use crate::log::turn::writing::WritersTurn;
use crate::log::view::TurnView;

/// One connection to the primary, or a turn that is open on it.
pub(super) struct Operations {
    database: Servers,
    /// For each operation; a turn may take longer, since it waits for its lock.
    limit: Duration,
    max_ahead: Duration,
    compare: Option<Compare>,
    state: State,
    /// Of the connection.
    timeline: Timeline,
}

enum State {
    Disconnected,
    Connected(PgConnection),
    InTurn(WritersTurn),
}

/// How much longer than other operations the opening of a turn may take: it ends what blocks it, second by second.
const TURN_PATIENCE: u32 = 3;

impl Operations {
    pub(super) fn new(options: WriterOptions) -> Self {
        let WriterOptions { database, operation_timeout: limit, max_ahead, compare, .. } = options;
        // An append that meets another's row waits for that one's commit, and without end where its client has vanished:
        // after a while it gives up, surely not written, and a turn ends whoever is in the way.
        // Its few statements have one good plan each, by an index: planning them anew is a seventh of what a turn costs PostgreSQL.
        let database = database
            .options([("lock_timeout", APPEND_LOCK_TIMEOUT), ("plan_cache_mode", "force_generic_plan")]);
        Self {
            database,
            limit,
            max_ahead,
            compare,
            state: State::Disconnected,
            timeline: Timeline::default(),
        }
    }

    /// Takes the connection out: whoever does not put it back has given it up, and what it did is unknown. One to a server
    /// that is not the primary any more counts as broken, so that a new one is looked at as such: behind it may be a ledger
    /// that lost history.
    async fn take_connection(&mut self) -> Result<PgConnection, sqlx::Error> {
        let connection = match std::mem::replace(&mut self.state, State::Disconnected) {
            State::Connected(connection) => connection,
            State::InTurn(turn) => turn.end().await?,
            State::Disconnected => {
                let (connection, timeline) = self.database.connect().await?;
                self.timeline = timeline;
                return Ok(connection);
            }
        };
        if self.timeline < self.database.timeline() {
            return Err(sqlx::Error::Io(std::io::Error::other("another server has become the primary")));
        }
        Ok(connection)
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

    pub(super) async fn append(
        &mut self,
        attempt: Attempt,
        head: Cursor,
        losses: Losses,
        entries: Vec<Arc<Entry>>,
    ) -> Input {
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
        let appending = append(&mut connection, head, losses, max_ahead, &records);
        let appended = timeout(limit, appending).await;
        let read_only = matches!(&appended, Ok(Err(error)) if is_read_only(error));
        let outcome = outcome(appended);
        if outcome != Err(Failure::Unknown) && !read_only {
            self.state = State::Connected(connection);
        }
        // Else it is dropped, which closes the socket at once: a peer that takes no bytes can't hold us up.
        Input::Appended(attempt, outcome)
    }

    pub(super) async fn look_at_head(&mut self, attempt: Attempt, head: Cursor) -> Input {
        let limit = self.limit;
        let looking = async {
            let mut connection = self.take_connection().await?;
            let same = is_head(&mut connection, head).await?;
            self.state = State::Connected(connection);
            Ok::<bool, sqlx::Error>(same)
        };
        Input::HeadSeen(attempt, told("looking at the head", timeout(limit, looking).await))
    }

    pub(super) async fn open_turn(
        &mut self,
        attempt: Attempt,
        head: Option<Cursor>,
        unsettled: Option<Cursor>,
        delay: Duration,
        compare: bool,
    ) -> Input {
        tokio::time::sleep(delay).await;
        let limit = self.limit;
        let connected = told("reaching the database", timeout(limit, self.take_connection()).await);
        let Some(connection) = connected else { return Input::TurnOpened(attempt, None) };
        if let Some(comparing) = self.compare.as_ref().filter(|_| compare)
            && !comparing().await
        {
            tracing::warn!("the stream is not compared with the ledger yet: NATS does not answer");
        }
        let limit = self.limit * TURN_PATIENCE;
        let opening = async {
            let (turn, view) = WritersTurn::open(connection, head, unsettled).await?;
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
    mut turn: WritersTurn,
    closing: Closing,
    max_ahead: Duration,
) -> (Result<(), Failure>, Option<PgConnection>) {
    let closed = match closing {
        Closing::Append(head, entries) => {
            let appended = turn.append(head, max_ahead, &records(&entries)).await;
            let read_only = matches!(&appended, Err(error) if is_read_only(error));
            match outcome(Ok(appended)) {
                // As any append: the events may be in.
                Err(Failure::Unknown) => return (Err(Failure::Unknown), None),
                Err(failure) => {
                    let connection = if read_only { None } else { turn.end().await.ok() };
                    return (Err(failure), connection);
                }
                Ok(()) => turn.end().await,
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
            ("53100", None, Failure::NotWritten),
            ("40001", None, Failure::NotWritten),
            ("25006", None, Failure::NotWritten),
        ] {
            assert_eq!(meaning(code, constraint), failure, "{code} {constraint:?}");
        }
    }
}
