//! What the stream has beyond the ledger, and putting it back.

use std::borrow::Cow;

use async_nats::Client;
use serde::Deserialize;

use super::comparison::{Compared, Tally};
use super::published::Found;
use super::scan::{Scan, ScanError, head};
use super::stored::{Stored, StoredError, StoredStream};
use super::stream::StreamArgs;
use crate::domain::cursor::Cursor;
use crate::domain::position::Position;
use crate::domain::record::{LedgerId, RecordError, Recorded};
use crate::log::connect::connect;
use crate::log::hold::{Hold, read_loss_hold};
use crate::log::pool::Pool;
use crate::log::recovery::{RecoveryError, put_back};
use crate::log::servers::Servers;
use crate::log::turn::Turn;

/// Events put back in one transaction, at most.
const BATCH_EVENTS: usize = 256;
/// Their bytes at most; a single larger one goes alone.
const BATCH_BYTES: usize = 4 << 20;

/// A ledger and its stream, as an operator's command reaches them.
pub struct Site {
    /// The primary.
    pub pool: Pool,
    /// How to reach it, for connections of one's own.
    pub database: Servers,
    /// Which ledger.
    pub ledger: LedgerId,
    /// NATS.
    pub client: Client,
    /// The stream.
    pub stream: StreamArgs,
}

/// The stream, or its end, beside the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// What was found.
    pub tally: Tally,
    /// The stream's last sequence.
    pub last: Position,
    /// The log's last event, read after the stream.
    pub head: Cursor,
    /// The hold, if one stands because history was lost.
    pub hold: Option<Hold>,
}

/// Why what the ledger lost can't be put back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unrecoverable {
    /// The log has other events in its place.
    #[error(
        "the ledger has since written other events at {count} of these positions, from {first} on: nothing was changed \
         (`vtid-ledger oasis rebuild --accept-loss` gives the stream's events up)"
    )]
    Replaced {
        /// The first of them.
        first: Position,
        /// How many.
        count: u64,
    },
    /// The next event that belongs into the log is not in the stream.
    #[error(
        "the stream has no event of this ledger at sequence {0}, so that nothing can follow there: nothing was changed \
         (`vtid-ledger oasis rebuild --accept-loss` gives the later events up)"
    )]
    Interrupted(Position),
}

/// Why a recovery ended; what was put back before stays.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// Stream and log can't be compared.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// The message says it is the ledger's event, and its record says otherwise.
    #[error("the message at sequence {sequence} does not hold the record of its event: {reason}")]
    Record {
        /// The message.
        sequence: Position,
        /// What is wrong.
        reason: String,
    },
    /// The log does not take them.
    #[error(transparent)]
    Refused(#[from] RecoveryError),
}

impl From<StoredError> for RecoverError {
    fn from(error: StoredError) -> Self {
        Self::Scan(error.into())
    }
}

impl From<sqlx::Error> for RecoverError {
    fn from(error: sqlx::Error) -> Self {
        Self::Refused(error.into())
    }
}

/// Compares `stream` with the log after `after`; `each` is told of everything there, with how many sequences there are
/// to look at.
///
/// # Errors
/// [`ScanError`].
pub async fn survey(
    site: &Site,
    stream: &StoredStream,
    after: Position,
    mut each: impl FnMut(&Compared, u64),
) -> Result<Survey, ScanError> {
    let total = stream.last().get().saturating_sub(after.get());
    let mut scan = Scan::begin(stream, site.pool.clone(), site.ledger, after).await?;
    let mut tally = Tally::default();
    loop {
        let batch = scan.next().await?;
        if batch.is_empty() {
            break;
        }
        for compared in &batch {
            tally.add(compared);
            each(compared, total);
        }
    }
    let (head, hold) = (head(&site.pool).await?, read_loss_hold(&mut *site.pool.acquire().await?).await?);
    Ok(Survey { tally, last: stream.last(), head, hold })
}

impl Survey {
    /// The positions that can be put back, first and last; none where the stream has nothing beyond the log.
    ///
    /// # Errors
    /// [`Unrecoverable`].
    pub fn recoverable(&self) -> Result<Option<(Position, Position)>, Unrecoverable> {
        if let Some((first, count)) = self.tally.replaced {
            return Err(Unrecoverable::Replaced { first, count });
        }
        let Some((first, _)) = self.tally.lost else { return Ok(None) };
        let next = self.head.position().next();
        if first > next {
            return Err(Unrecoverable::Interrupted(next));
        }
        let through = match self.tally.first_useless.filter(|useless| *useless > first) {
            Some(useless) => Position::new(useless.get() - 1),
            None => self.last,
        };
        Ok(Some((first, through)))
    }
}

/// Puts the events after the log's head up to `through` back, as they are; `told` learns of each transaction's last.
/// The hold stands until the last of them is in; it stays if it is about a position beyond. Gives the hold that stays.
///
/// # Errors
/// [`RecoverError`].
pub async fn recover(
    site: &Site,
    survey: &Survey,
    through: Position,
    mut told: impl FnMut(Position),
) -> Result<Option<Hold>, RecoverError> {
    let under_way = Hold {
        reason: format!("a recovery up to position {through} is under way, or was interrupted"),
        position: survey.head.position().next(),
        last: through,
    };
    let standing = survey.hold.clone().unwrap_or(under_way);
    // What the stream does not have is still lost; and so is what stands behind a message of no use.
    let remembered = survey.hold.as_ref().map(|hold| hold.last);
    let last = remembered.max(survey.tally.last_lost).filter(|last| *last > through);
    let stays = last.map(|last| Hold {
        reason: format!(
            "the events from position {} to {last} can't be put back from the stream",
            through.next()
        ),
        position: through.next(),
        last,
    });
    let stream = StoredStream::open(site.client.clone(), &site.stream.name).await?;
    let mut messages = stream.read(survey.head.position().next()).await?;
    let mut head = survey.head;
    let mut waiting: Vec<Recorded> = Vec::new();
    let mut broken = None;
    while head.position() < through {
        if waiting.is_empty() && broken.is_none() {
            let left = usize::try_from(through.get() - head.position().get()).unwrap_or(BATCH_EVENTS);
            for (sequence, stored) in messages.batch(left.min(BATCH_EVENTS)).await? {
                match record(site.ledger, sequence, stored.as_ref()) {
                    Ok(recorded) => waiting.push(recorded),
                    Err(error) => {
                        broken = Some(error);
                        break;
                    }
                }
            }
        }
        // What stands before it is put back; the hold stays.
        if waiting.is_empty()
            && let Some(error) = broken
        {
            return Err(error);
        }
        let batch: Vec<Recorded> = waiting.drain(..fitting(&waiting)).collect();
        let Some(last) = batch.last().map(|recorded| Cursor::at(&recorded.event)) else {
            return Err(StoredError::Silent(head.position().next()).into());
        };
        let hold = if last.position() < through { Some(&standing) } else { stays.as_ref() };
        let turn = Turn::open(connect(&site.database).await?).await?;
        put_back(turn, head, &batch.iter().collect::<Vec<_>>(), hold).await?;
        head = last;
        told(head.position());
    }
    Ok(stays)
}

/// The attribute that says which ledger an event is of.
#[derive(Deserialize)]
struct Source<'a> {
    #[serde(borrow)]
    source: Cow<'a, str>,
}

/// How many of them go into one transaction: at least one.
fn fitting(events: &[Recorded]) -> usize {
    let mut bytes = 0;
    let fits = events.iter().take_while(|event| {
        bytes += event.body.len();
        bytes <= BATCH_BYTES
    });
    fits.count().max(1).min(events.len())
}

/// The record that a message holds, if it is that of the ledger's event at its sequence.
fn record(ledger: LedgerId, sequence: Position, stored: Option<&Stored>) -> Result<Recorded, RecoverError> {
    let wrong = |reason: &str| RecoverError::Record { sequence, reason: reason.to_owned() };
    let stored = stored.ok_or_else(|| wrong("there is no message"))?;
    let Found::Ours(id) = stored.found(ledger) else { return Err(wrong("it is not the ledger's")) };
    let text = stored.record().ok_or_else(|| wrong("there is none in its body"))?;
    let recorded = Recorded::parse(text.into()).map_err(|error: RecordError| wrong(&error.to_string()))?;
    let event = &recorded.event;
    if event.id != id || event.position != sequence {
        return Err(wrong("it is another event's"));
    }
    let source = serde_json::from_str::<Source<'_>>(&recorded.body);
    if source.is_err() || source.is_ok_and(|record| record.source != ledger.source()) {
        return Err(wrong("it is another ledger's"));
    }
    Ok(recorded)
}

#[cfg(test)]
#[path = "tests/recover.rs"]
mod tests;
