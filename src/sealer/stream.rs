//! The stream of the audit events: what stands in it, and publishing behind that.
//!
//! Every message is published behind the last one that was seen, so that of two who publish at once one is refused, and looks
//! again. Messages are asked of the stream's leader: never by direct get, which a lagging replica may answer.

use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::{
    LastRawMessageError, LastRawMessageErrorKind, RawMessageErrorKind, Stream,
};
use tokio::time::timeout;

use super::message::{AuditMessage, CHECKPOINTS, FINDINGS, checkpoint_in, finding_in};
use super::settings::AuditStreamArgs;
use super::status::Finding;
use crate::oasis::stream::{self, StreamError};
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::key::{KeyName, PublicKey};

/// `JetStream` answers within this time, or counts as away.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Looks back over so many messages at most that are not this log's: a log whose name is new has none there, and begins at
/// its first checkpoint.
const LOOK_BACK: u64 = 1024;

/// Why the stream could not be read or published to: try again.
#[derive(Debug, thiserror::Error)]
pub enum AuditStreamError {
    /// There is none, or it can't be asked for.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The connection is not there.
    #[error("NATS is not connected")]
    Away,
    /// `JetStream` refuses, or its answer can't be read.
    #[error("JetStream: {0}")]
    JetStream(async_nats::Error),
    /// Somebody else has published, or it is not known whether this went in: look again.
    #[error("somebody else has published meanwhile")]
    Moved,
    /// No answer.
    #[error("JetStream does not answer in time")]
    Slow,
}

/// The stream behind a client; cheap to clone.
#[derive(Clone)]
pub struct AuditStream {
    client: Client,
    args: AuditStreamArgs,
}

/// The stream at one moment.
pub struct Opened {
    context: Context,
    stream: Stream<()>,
    name: String,
    /// Its last sequence.
    pub last: u64,
}

impl AuditStream {
    /// The stream of `args`, by this client.
    #[must_use]
    pub fn new(client: Client, args: AuditStreamArgs) -> Self {
        Self { client, args }
    }

    /// Opens it, and makes it where it is missing.
    ///
    /// # Errors
    /// [`AuditStreamError`]
    pub async fn open(&self) -> Result<Opened, AuditStreamError> {
        if self.client.connection_state() != async_nats::connection::State::Connected {
            return Err(AuditStreamError::Away);
        }
        let opening = async {
            let context = stream::context(self.client.clone());
            let last = stream::ensure(&context, &self.args).await?.get();
            let name = self.args.name.to_string();
            let stream = context.get_stream_no_info(&name).await;
            let stream = stream.map_err(|error| AuditStreamError::JetStream(error.into()))?;
            Ok(Opened { context, stream, name, last })
        };
        limited(opening).await
    }
}

async fn limited<T>(work: impl Future<Output = Result<T, AuditStreamError>>) -> Result<T, AuditStreamError> {
    timeout(ANSWER_TIMEOUT, work).await.unwrap_or(Err(AuditStreamError::Slow))
}

impl Opened {
    /// The newest checkpoint of the log of this name that one of `keys` signed. Others are told in the log.
    ///
    /// # Errors
    /// [`AuditStreamError`]
    pub async fn newest(
        &self,
        origin: &KeyName,
        keys: &[PublicKey],
    ) -> Result<Option<Checkpoint>, AuditStreamError> {
        let Some(last) = self.last_of(CHECKPOINTS).await? else { return Ok(None) };
        let mut next = Some(last);
        for _ in 0..LOOK_BACK {
            let Some(message) = next else { return Ok(None) };
            if message.subject.as_str() == CHECKPOINTS
                && let Some(checkpoint) = checkpoint_in(&message.payload)
                && checkpoint.origin == origin.as_str()
            {
                match Checkpoint::open(checkpoint.note.as_bytes(), keys) {
                    Ok(checkpoint) => return Ok(Some(checkpoint)),
                    Err(error) => {
                        let sequence = message.sequence;
                        tracing::warn!(sequence, %error, "a checkpoint in the audit stream is not this log's");
                    }
                }
            }
            next = self.before(message.sequence).await?;
        }
        Ok(None)
    }

    /// The newest finding in the stream, if it is of the log of this name, and nothing was sealed after it.
    ///
    /// # Errors
    /// [`AuditStreamError`]
    pub async fn finding(&self, origin: &KeyName) -> Result<Option<Finding>, AuditStreamError> {
        let Some(said) = self.last_of(FINDINGS).await? else { return Ok(None) };
        let sealed = self.last_of(CHECKPOINTS).await?.map_or(0, |message| message.sequence);
        Ok(finding_in(&said.payload, origin).filter(|_| said.sequence > sealed))
    }

    /// Publishes a message behind the last one.
    ///
    /// # Errors
    /// [`AuditStreamError`]; it may have gone in nevertheless.
    pub async fn publish(&mut self, message: AuditMessage) -> Result<(), AuditStreamError> {
        let AuditMessage { subject, headers, body } = message;
        let publish = PublishMessage::build().headers(headers).payload(body.into());
        let publish = publish.expected_last_sequence(self.last).expected_stream(&self.name);
        let publishing = async {
            let sent = self.context.send_publish(subject, publish).await.map_err(refused)?;
            let answer = sent.await.map_err(refused)?;
            // A repeat of one that went in: what stands at its place has to be looked at.
            if answer.duplicate || answer.sequence != self.last + 1 {
                return Err(AuditStreamError::Moved);
            }
            Ok(answer.sequence)
        };
        self.last = limited(publishing).await?;
        Ok(())
    }

    async fn last_of(&self, subject: &str) -> Result<Option<StreamMessage>, AuditStreamError> {
        let asked = async {
            match self.stream.get_last_raw_message_by_subject(subject).await {
                Ok(message) => Ok(Some(message)),
                Err(error) if nothing(&error) => Ok(None),
                Err(error) => Err(AuditStreamError::JetStream(error.into())),
            }
        };
        limited(asked).await
    }

    /// The message before a sequence. None is ever deleted; one that a damaged store can't give is passed over.
    async fn before(&self, sequence: u64) -> Result<Option<StreamMessage>, AuditStreamError> {
        let asked = async {
            for before in (sequence.saturating_sub(LOOK_BACK).max(1)..sequence).rev() {
                match self.stream.get_raw_message(before).await {
                    Ok(message) => return Ok(Some(message)),
                    Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => {}
                    Err(error) => return Err(AuditStreamError::JetStream(error.into())),
                }
            }
            Ok(None)
        };
        limited(asked).await
    }
}

fn nothing(error: &LastRawMessageError) -> bool {
    error.kind() == LastRawMessageErrorKind::NoMessageFound
}

fn refused(error: PublishError) -> AuditStreamError {
    match error.kind() {
        PublishErrorKind::WrongLastSequence => AuditStreamError::Moved,
        PublishErrorKind::TimedOut => AuditStreamError::Slow,
        _ => AuditStreamError::JetStream(error.into()),
    }
}
