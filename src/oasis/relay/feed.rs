//! The log's side of the relay: reads entries ahead, in a task of its own, and tells what each did to its task.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use uuid::Uuid;

use super::machine::Generation;
use crate::domain::cursor::Cursor;
use crate::domain::position::Position;
use crate::log::EventLog;
use crate::log::entry::{Entry, Transition};
use crate::log::folder::Folder;
use crate::log::follow::{BATCH_EVENTS, Follower};
use crate::log::hold::{Losses, read_losses};
use crate::log::lookup::cursor_at;
use crate::log::read::ReadError;

/// States of tasks kept between batches.
const MAX_STATES: usize = 4096;
/// So long after a batch the next one is read, unless there is a whole one: many messages at once cost NATS, and whoever
/// listens to it, little more than a few.
const GATHER: Duration = Duration::from_millis(5);
/// The pause after the database did not answer.
const RETRY: Duration = Duration::from_secs(1);
/// The pause before a record that could not be read is tried again.
const UNREADABLE_RETRY: Duration = Duration::from_secs(5);

/// An entry, and what it did to its task.
pub(super) struct Ready {
    pub(super) entry: Arc<Entry>,
    pub(super) transition: Transition,
}

/// What comes out of the log.
pub(super) enum FeedEvent {
    /// The log is followed from here on; so many losses had been accepted before.
    Begun(Losses),
    /// The next entries, in order.
    Entries(Vec<Ready>),
    /// The log has no event at the position to begin after: it has shrunk just now.
    NoStart,
    /// The event that was read last is gone from the log.
    Lost { position: Position, id: Uuid },
    /// A record that this program must not pass, and where it stands.
    Unreadable(Position, String),
}

/// Reading from one position on. Dropping it ends the reading.
pub(super) struct Feed {
    pub(super) follow: Generation,
    events: mpsc::Receiver<FeedEvent>,
    task: AbortHandle,
}

impl Feed {
    /// Follows the log after a position.
    pub(super) fn start(log: EventLog, follow: Generation, after: Position) -> Self {
        // Besides what the machine has taken: one batch here, one in the task's hands.
        let (sender, events) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            if let Some(reader) = Reader::begin(&log, after, &sender).await {
                reader.run(&sender).await;
            }
        });
        Self { follow, events, task: task.abort_handle() }
    }

    /// The next event; waits for it. Dropping the future loses nothing. Pends for ever after the last one.
    pub(super) async fn next(&mut self) -> FeedEvent {
        match self.events.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Reader {
    follower: Follower,
    folder: Folder,
}

impl Reader {
    async fn begin(log: &EventLog, after: Position, events: &mpsc::Sender<FeedEvent>) -> Option<Self> {
        loop {
            match start_cursor(log, after).await {
                Ok((losses, Some(cursor))) => {
                    // In memory may be what was given up since.
                    if log.tail_losses().is_some_and(|known| known < losses) {
                        log.forget_tail();
                    }
                    let _ = events.send(FeedEvent::Begun(losses)).await;
                    let folder = Folder::new(log.pool().clone(), MAX_STATES);
                    return Some(Self { follower: log.follow(cursor), folder });
                }
                Ok((_, None)) => {
                    // The relay is gone if nobody takes it.
                    let _ = events.send(FeedEvent::NoStart).await;
                    return None;
                }
                Err(error) => {
                    tracing::warn!(%error, "the relay can't read the log");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Reads until the log's past is another one, or nobody listens.
    async fn run(mut self, events: &mpsc::Sender<FeedEvent>) {
        let mut gather = None;
        loop {
            if let Some(deadline) = gather.take() {
                tokio::time::sleep_until(deadline).await;
            }
            let event = match self.next().await {
                Ok(ready) => {
                    gather = (ready.len() < BATCH_EVENTS as usize).then(|| Instant::now() + GATHER);
                    FeedEvent::Entries(ready)
                }
                Err(ReadError::Database(error)) => {
                    tracing::warn!(%error, "the relay can't read the log");
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
                Err(ReadError::OtherPast { position, id }) => FeedEvent::Lost { position, id },
                Err(error @ (ReadError::Record { position, .. } | ReadError::Damaged(position))) => {
                    FeedEvent::Unreadable(position, error.to_string())
                }
            };
            let (last, unreadable) =
                (matches!(event, FeedEvent::Lost { .. }), matches!(event, FeedEvent::Unreadable(..)));
            if events.send(event).await.is_err() || last {
                return;
            }
            if unreadable {
                tokio::time::sleep(UNREADABLE_RETRY).await;
            }
        }
    }

    async fn next(&mut self) -> Result<Vec<Ready>, ReadError> {
        let entries = self.follower.next().await?;
        loop {
            // The follower has moved on: these entries have to be folded, however often it takes.
            match self.folder.fold(&entries).await {
                Ok(transitions) => {
                    let ready = entries.into_iter().zip(transitions);
                    return Ok(ready.map(|(entry, transition)| Ready { entry, transition }).collect());
                }
                Err(ReadError::Database(error)) => {
                    tracing::warn!(%error, "the relay can't read the log");
                    tokio::time::sleep(RETRY).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

async fn start_cursor(log: &EventLog, after: Position) -> Result<(Losses, Option<Cursor>), sqlx::Error> {
    let mut connection = log.pool().acquire().await?;
    // First: an event that is found afterwards was not given up by these.
    let losses = read_losses(&mut connection).await?;
    Ok((losses, cursor_at(&mut connection, after).await?))
}
