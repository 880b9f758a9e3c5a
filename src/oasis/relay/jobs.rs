//! Requests of the machine that take a while, each a task of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::Context;
use uuid::Uuid;

use super::machine::{Generation, Input, OpenFault, Seen};
use crate::domain::cursor::Cursor;
use crate::domain::position::Position;
use crate::log::EventLog;
use crate::log::head::read_head;
use crate::log::hold::{Hold, Losses};
use crate::log::lookup::event_id_at;
use crate::log::turn::Turn;
use crate::oasis::published::Found;
use crate::oasis::stored::{StoredError, StoredStream};
use crate::oasis::stream::{self, StreamArgs, StreamError};

/// What the jobs work with; cheap to clone.
#[derive(Clone)]
pub(super) struct Jobs {
    pub(super) log: EventLog,
    pub(super) client: Client,
    pub(super) stream: StreamArgs,
    /// This process has seen the stream: where it is missing now, it may have been deleted a moment ago.
    pub(super) was_there: Arc<AtomicBool>,
}

/// An event that was seen and that the log does not hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lost {
    pub(super) position: Position,
    pub(super) id: Uuid,
    pub(super) seen: Seen,
    /// Those that had been accepted when the log was last followed anew.
    pub(super) losses: Losses,
}

/// The stream is looked at once more under the append lock, within less than others wait before they end who blocks it.
const LOOK_TIMEOUT: Duration = Duration::from_millis(500);

/// Why it is not known yet whether a hold is needed.
#[derive(Debug, thiserror::Error)]
pub(super) enum HoldError {
    /// The database.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// The stream.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// The stream was not looked at in time.
    #[error("JetStream does not answer in time")]
    Slow,
}

/// What a job tells the machine, and the status.
pub(super) struct Done {
    pub(super) input: Input,
    pub(super) trouble: Option<String>,
}

impl Jobs {
    fn context(&self) -> Context {
        stream::context(self.client.clone())
    }

    /// The stream's end, and after that the log's head on the primary.
    pub(super) async fn open(self, generation: Generation) -> Done {
        if self.client.connection_state() != async_nats::connection::State::Connected {
            // Asked now, it would wait in the client's memory for the connection.
            return open_failed(generation, OpenFault::Unreachable, None);
        }
        let ensured = if self.was_there.load(Ordering::Relaxed) {
            stream::ensure_again(&self.context(), &self.stream).await
        } else {
            stream::ensure(&self.context(), &self.stream).await
        };
        let last = match ensured {
            Ok(last) => {
                self.was_there.store(true, Ordering::Relaxed);
                last
            }
            Err(error) => {
                let fault = match error {
                    StreamError::Differs { .. } | StreamError::Overlap { .. } => OpenFault::StreamDiffers,
                    StreamError::Refused(_) | StreamError::Missing(_) | StreamError::Unreachable(_) => {
                        OpenFault::Unreachable
                    }
                };
                return open_failed(generation, fault, Some(error.to_string()));
            }
        };
        match self.head().await {
            Ok(head) => Done { input: Input::Opened { generation, last, head }, trouble: None },
            Err(error) => open_failed(
                generation,
                OpenFault::Unreachable,
                Some(format!("the log can't be read: {error}")),
            ),
        }
    }

    async fn head(&self) -> Result<Position, sqlx::Error> {
        let mut connection = self.log.pool().acquire().await?;
        Ok(read_head(&mut connection).await?.cursor.position())
    }

    /// Whether the primary's log holds the event now.
    pub(super) async fn ask_log(self, generation: Generation, position: Position, id: Uuid) -> Done {
        let asked = async {
            let mut connection = self.log.pool().acquire().await?;
            event_id_at(&mut connection, position).await
        };
        match asked.await {
            Ok(held) => {
                let holds = held == Some(id);
                Done { input: Input::LogSays { generation, position, holds }, trouble: None }
            }
            Err(error) => Done {
                input: Input::Failed { generation },
                trouble: Some(format!("the log can't be read: {error}")),
            },
        }
    }

    /// Sets the hold, unless under the lock it turns out that nothing is lost, or that the operator has just given it up
    /// or made the stream anew: the machine looks again soon, whatever comes of it here. False if that could not be
    /// settled.
    pub(super) async fn set_hold(self, lost: Lost) -> bool {
        let Lost { position, id, .. } = lost;
        match self.try_hold(lost).await {
            Ok(set) => {
                if set {
                    tracing::error!(%position, %id, "the ledger lost history: a hold stops all writes");
                }
                true
            }
            Err(error) => {
                tracing::error!(%position, %id, %error, "the hold could not be set");
                false
            }
        }
    }

    async fn try_hold(&self, Lost { position, id, seen, losses }: Lost) -> Result<bool, HoldError> {
        let connection = self.log.pool().acquire().await?.detach();
        let mut turn = Turn::open(connection).await?;
        let (held, now) = turn.stand().await?;
        // What stands in the stream is asked for there, whatever was accepted before.
        let known = if seen == Seen::InLog { losses } else { now };
        let lost = turn.has_lost(Cursor::At { position, id }, known).await?;
        let stands = held.is_some_and(|hold| hold.position <= position && position <= hold.last);
        if !lost || stands || !self.still_seen(position, id, seen).await? {
            turn.end().await?;
            return Ok(false);
        }
        let place = match seen {
            Seen::InStream => "the OASIS stream",
            Seen::InLog => "this ledger itself, earlier,",
        };
        let reason = format!("{place} has event {id} at position {position}, and the ledger does not");
        turn.hold(&Hold::at(position, reason)).await?;
        Ok(true)
    }

    /// Whether the stream still holds the event: an answer that does not come says nothing.
    async fn still_seen(&self, position: Position, id: Uuid, seen: Seen) -> Result<bool, HoldError> {
        if seen == Seen::InLog {
            return Ok(true);
        }
        let look = async {
            let stream = StoredStream::open(self.client.clone(), &self.stream.name).await?;
            stream.at(position).await
        };
        match tokio::time::timeout(LOOK_TIMEOUT, look).await {
            Ok(Ok(stored)) => {
                let found = stored.map(|stored| stored.found(self.log.ledger()));
                Ok(found == Some(Found::Ours(id)))
            }
            Ok(Err(StoredError::Stream(StreamError::Missing(_)))) => Ok(false),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(HoldError::Slow),
        }
    }
}

fn open_failed(generation: Generation, fault: OpenFault, trouble: Option<String>) -> Done {
    Done { input: Input::OpenFailed { generation, fault }, trouble }
}
