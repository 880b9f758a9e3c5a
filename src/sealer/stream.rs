//! The stream of the audit events: what stands in it, and publishing behind that.
//!
//! Every message is published behind the last one that was seen, so that of two who publish at once one is refused, and looks
//! again. Messages are asked of the stream's leader: never by direct get, which a lagging replica may answer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::{
    LastRawMessageError, LastRawMessageErrorKind, RawMessageErrorKind, Stream,
};
use tokio::time::timeout;

use super::backwards::Passed;
use super::message::{AuditMessage, CHECKPOINTS, FINDINGS, finding_in};
use super::settings::AuditStreamArgs;
use super::status::Finding;
use crate::oasis::stream::{self, StreamError};
use crate::tlog::key::KeyName;

/// `JetStream` answers within this time, or counts as away.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

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
    /// So many of the last messages were looked at, and none is this log's; it is gone on with the next time.
    #[error(
        "none of the audit stream's last {passed} messages is a checkpoint of this log; {left} more are yet to be looked at"
    )]
    LookingBack {
        /// How many.
        passed: u64,
        /// How many are left.
        left: u64,
    },
}

/// The stream behind a client; cheap to clone.
#[derive(Clone)]
pub struct AuditStream {
    client: Client,
    args: AuditStreamArgs,
    passed: Arc<Mutex<Passed>>,
}

/// The stream at one moment.
pub struct Opened {
    context: Context,
    stream: Stream<()>,
    name: String,
    pub(super) passed: Arc<Mutex<Passed>>,
    /// Its last sequence.
    pub last: u64,
}

impl AuditStream {
    /// The stream of `args`, by this client.
    #[must_use]
    pub fn new(client: Client, args: AuditStreamArgs) -> Self {
        Self { client, args, passed: Arc::default() }
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
            Ok(Opened { context, stream, name, passed: Arc::clone(&self.passed), last })
        };
        limited(opening).await
    }
}

async fn limited<T>(work: impl Future<Output = Result<T, AuditStreamError>>) -> Result<T, AuditStreamError> {
    timeout(ANSWER_TIMEOUT, work).await.unwrap_or(Err(AuditStreamError::Slow))
}

impl Opened {
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

    pub(super) async fn last_of(&self, subject: &str) -> Result<Option<StreamMessage>, AuditStreamError> {
        let asked = async {
            match self.stream.get_last_raw_message_by_subject(subject).await {
                Ok(message) => Ok(Some(message)),
                Err(error) if nothing(&error) => Ok(None),
                Err(error) => Err(AuditStreamError::JetStream(error.into())),
            }
        };
        limited(asked).await
    }

    /// A message; none where none is, or where a damaged store can't give it.
    pub(super) async fn at(&self, sequence: u64) -> Result<Option<StreamMessage>, AuditStreamError> {
        let asked = async {
            match self.stream.get_raw_message(sequence).await {
                Ok(message) => Ok(Some(message)),
                Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
                Err(error) => Err(AuditStreamError::JetStream(error.into())),
            }
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
