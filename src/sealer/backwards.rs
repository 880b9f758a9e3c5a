//! The newest checkpoint of a log in the audit stream, which others may have put any number of messages behind: looked for
//! backwards, for some time at once, and gone on with the next time. Until the stream's begin nobody can tell that there is none.

use std::sync::PoisonError;
use std::time::Duration;

use async_nats::datetime::DateTime;
use async_nats::jetstream::message::StreamMessage;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::time::Instant;

use super::message::{CHECKPOINTS, checkpoint_in};
use super::settings::AuditKeys;
use super::stream::{AuditStreamError, Opened};
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::key::PublicKey;

/// Messages that are asked for at once.
const AT_ONCE: usize = 32;
/// How long a look goes on.
const LOOK: Duration = Duration::from_secs(8);

/// What was looked at before, and has no checkpoint that counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Passed {
    /// From here on.
    low: u64,
    /// Up to here: the newest message then, with its time, so that another one at its place is told from it.
    high: Option<(u64, DateTime)>,
    /// The newest one in there by a key that is merely on record.
    older: Option<Checkpoint>,
}

impl Opened {
    /// The newest checkpoint of this log by one of the keys that are given; where the whole stream has none, by one of `known`,
    /// which may have been put on record by anybody.
    ///
    /// # Errors
    /// [`AuditStreamError`]
    pub(super) async fn newest(
        &self,
        keys: &AuditKeys,
        known: &[PublicKey],
    ) -> Result<Option<Checkpoint>, AuditStreamError> {
        let Some(last) = self.last_of(CHECKPOINTS).await? else { return Ok(None) };
        let given = keys.public();
        if let Some(checkpoint) = of(&last, keys, &given) {
            return Ok(Some(checkpoint));
        }
        let earlier = self.passed_before().await?;
        let mut now = Passed { low: last.sequence, high: Some((last.sequence, last.time)), older: None };
        now.older = of(&last, keys, known);
        let deadline = Instant::now() + LOOK;
        while now.low > 1 {
            if earlier.high.is_some_and(|(high, _)| now.low <= high + 1 && now.low > earlier.low) {
                now.low = earlier.low;
                now.older = now.older.or_else(|| earlier.older.clone());
                continue;
            }
            if Instant::now() >= deadline {
                let (passed, left) = (last.sequence + 1 - now.low, now.low - 1);
                self.keep(now);
                return Err(AuditStreamError::LookingBack { passed, left });
            }
            let page = self.page_before(now.low).await?;
            if let Some(checkpoint) = page.iter().find_map(|message| of(message, keys, &given)) {
                return Ok(Some(checkpoint));
            }
            now.older = now.older.or_else(|| page.iter().find_map(|message| of(message, keys, known)));
            now.low = now.low.saturating_sub(AT_ONCE as u64).max(1);
        }
        let older = now.older.clone();
        self.keep(now);
        Ok(older)
    }

    /// What was looked at before, if the stream still has it.
    async fn passed_before(&self) -> Result<Passed, AuditStreamError> {
        let passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((high, time)) = passed.high else { return Ok(passed) };
        let stands = self.at(high).await?.is_some_and(|message| message.time == time);
        Ok(if stands { passed } else { Passed::default() })
    }

    fn keep(&self, passed: Passed) {
        *self.passed.lock().unwrap_or_else(PoisonError::into_inner) = passed;
    }

    /// The messages before a sequence, newest first.
    async fn page_before(&self, sequence: u64) -> Result<Vec<StreamMessage>, AuditStreamError> {
        let first = sequence.saturating_sub(AT_ONCE as u64).max(1);
        let asked = stream::iter((first..sequence).rev().map(|sequence| self.at(sequence)));
        let page: Vec<Option<StreamMessage>> = asked.buffered(AT_ONCE).try_collect().await?;
        Ok(page.into_iter().flatten().collect())
    }
}

/// The checkpoint of this log that a message bears, if one of `signers` signed it.
fn of(message: &StreamMessage, keys: &AuditKeys, signers: &[PublicKey]) -> Option<Checkpoint> {
    let bears = message.subject.as_str() == CHECKPOINTS;
    let checkpoint = checkpoint_in(&message.payload).filter(|_| bears)?;
    let ours = checkpoint.origin == keys.origin().as_str();
    Checkpoint::open(checkpoint.note.as_bytes(), signers).ok().filter(|_| ours)
}
