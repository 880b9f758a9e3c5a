//! Walking over the stream with the log beside it.

use std::sync::Arc;

use async_nats::Client;

use super::comparison::Compared;
use super::published::Found;
use super::stored::{Messages, StoredError, StoredStream};
use super::stream::StreamName;
use crate::domain::cursor::Cursor;
use crate::domain::position::Position;
use crate::domain::record::LedgerId;
use crate::log::entry::Entry;
use crate::log::folder::Folder;
use crate::log::head::read_head;
use crate::log::lookup::{cursor_at, event_id_at};
use crate::log::pool::Pool;
use crate::log::read::{ReadError, read_after};

/// Messages and events of a batch at most: some 64 MiB were each as large as can be.
const BATCH: u32 = 256;
/// States of tasks kept between batches.
const MAX_STATES: usize = 16_384;

/// Why stream and log can't be compared.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The stream.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// The log.
    #[error("the log: {0}")]
    Log(#[from] ReadError),
    /// The log changed its past meanwhile.
    #[error("the log has no event at position {0} any more: it has just lost history")]
    Shrunk(Position),
}

impl From<sqlx::Error> for ScanError {
    fn from(error: sqlx::Error) -> Self {
        Self::Log(error.into())
    }
}

/// Stream and log, side by side.
pub struct Scan {
    pool: Pool,
    ledger: LedgerId,
    messages: Messages,
    folder: Folder,
    cursor: Cursor,
    /// The log has no further event, as of the last look.
    log_ended: bool,
}

impl Scan {
    /// Begins after `after`, where stream and log agree (zero: at the first message).
    ///
    /// # Errors
    /// [`ScanError`].
    pub async fn begin(
        stream: &StoredStream,
        pool: Pool,
        ledger: LedgerId,
        after: Position,
    ) -> Result<Self, ScanError> {
        let messages = stream.read(after.next()).await?;
        let found = cursor_at(&mut *pool.acquire().await?, after).await?;
        let cursor = found.ok_or(ScanError::Shrunk(after))?;
        let folder = Folder::new(pool.clone(), MAX_STATES);
        Ok(Self { pool, ledger, messages, folder, cursor, log_ended: false })
    }

    /// The next sequences, compared; empty after the stream's last. The log is read after the stream.
    ///
    /// # Errors
    /// [`ScanError`].
    pub async fn next(&mut self) -> Result<Vec<Compared>, ScanError> {
        let messages = self.messages.batch(BATCH as usize).await?;
        let (entries, transitions) = if messages.is_empty() || self.log_ended {
            (Vec::new(), Vec::new())
        } else {
            let count = u32::try_from(messages.len()).unwrap_or(BATCH);
            let events = read_after(&mut *self.pool.acquire().await?, self.cursor, count).await?;
            let entries: Vec<_> = events.into_iter().map(|event| Arc::new(Entry::read(event))).collect();
            self.log_ended = entries.len() < messages.len();
            if let Some(last) = entries.last() {
                self.cursor = Cursor::at(&last.recorded.event);
            }
            let transitions = self.folder.fold(&entries).await?;
            (entries, transitions)
        };
        let mut logged = entries.iter().map(|entry| &entry.recorded).zip(&transitions);
        let compared = messages
            .iter()
            .map(|(sequence, stored)| Compared::new(self.ledger, *sequence, stored.as_ref(), logged.next()));
        Ok(compared.collect())
    }
}

/// The log's head on the primary.
///
/// # Errors
/// Whatever the driver says.
pub async fn head(pool: &Pool) -> Result<Cursor, sqlx::Error> {
    Ok(read_head(&mut *pool.acquire().await?).await?.cursor)
}

/// Opens the stream; none where there is none.
///
/// # Errors
/// [`StoredError`].
pub async fn open_if_there(client: &Client, name: &StreamName) -> Result<Option<StoredStream>, StoredError> {
    match StoredStream::open(client.clone(), name).await {
        Ok(stream) => Ok(Some(stream)),
        Err(StoredError::Stream(super::stream::StreamError::Missing(_))) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A position up to which stream and log are of one past: both have the same event there. Found by halving, so that a
/// long history takes a few looks; a foreign message on the way makes it lower than need be.
///
/// # Errors
/// [`ScanError`].
pub async fn agreed(stream: &StoredStream, pool: &Pool, ledger: LedgerId) -> Result<Position, ScanError> {
    let mut connection = pool.acquire().await?;
    let head = read_head(&mut connection).await?.cursor.position();
    let (mut same, mut unknown) = (0, stream.last().min(head).get());
    while same < unknown {
        let middle = Position::new(same + (unknown - same).div_ceil(2));
        let found = stream.at(middle).await?.map(|stored| stored.found(ledger));
        let logged = event_id_at(&mut connection, middle).await?;
        if logged.is_some() && found == logged.map(Found::Ours) {
            same = middle.get();
        } else {
            unknown = middle.get() - 1;
        }
    }
    Ok(Position::new(same))
}
