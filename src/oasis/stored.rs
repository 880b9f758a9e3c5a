//! The stream as it is stored: single messages, and all of them in order, for those who compare it with the log.

use std::time::Duration;

use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use async_nats::jetstream::{self, Context, ErrorCode};
use async_nats::{Client, HeaderMap};
use bytes::Bytes;
use futures::StreamExt as _;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::published::{Found, Published};
use super::stream::{self, StreamError, StreamName};
use crate::domain::position::Position;
use crate::domain::record::LedgerId;

/// The next message of a stream that holds it takes this long at most.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the stream could not be read.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// There is none, or it can't be asked for.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// `JetStream` refuses, or its answer can't be read.
    #[error("JetStream: {0}")]
    JetStream(async_nats::Error),
    /// It said that there are more messages and does not send them.
    #[error("JetStream does not send the message at sequence {0}")]
    Silent(Position),
}

/// A stored message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Where it stands.
    pub sequence: Position,
    /// Its subject.
    pub subject: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    metadata: BodyMetadata<'a>,
}

#[derive(Deserialize)]
struct BodyMetadata<'a> {
    #[serde(borrow)]
    record: &'a RawValue,
}

impl Stored {
    /// A header's text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(async_nats::HeaderValue::as_str)
    }

    /// What it is to `ledger`.
    #[must_use]
    pub fn found(&self, ledger: LedgerId) -> Found {
        let published = Published::from_headers(|name| self.header(name));
        Published::found(published.as_ref(), ledger, self.sequence)
    }

    /// The record's exact bytes, if the body holds one.
    #[must_use]
    pub fn record(&self) -> Option<&str> {
        let body: Body<'_> = serde_json::from_slice(&self.body).ok()?;
        Some(body.metadata.record.get())
    }
}

/// The stream behind a client, whatever its configuration.
pub struct StoredStream {
    stream: Stream,
    last: Position,
}

impl StoredStream {
    /// Opens it, and sees how far it goes; makes none.
    ///
    /// # Errors
    /// [`StoredError`].
    pub async fn open(client: Client, name: &StreamName) -> Result<Self, StoredError> {
        let context: Context = stream::patient_context(client);
        let opened = context.get_stream(name.to_string()).await;
        let stream = opened.map_err(|error| match error.kind() {
            jetstream::context::GetStreamErrorKind::JetStream(told)
                if told.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                StreamError::Missing(name.clone()).into()
            }
            _ => StoredError::JetStream(error.into()),
        })?;
        let last = Position::new(stream.cached_info().state.last_sequence);
        Ok(Self { stream, last })
    }

    /// The last sequence when it was opened.
    #[must_use]
    pub fn last(&self) -> Position {
        self.last
    }

    /// The message at a sequence, from the stream's leader; none where there is none.
    ///
    /// # Errors
    /// [`StoredError::JetStream`].
    pub async fn at(&self, sequence: Position) -> Result<Option<Stored>, StoredError> {
        match self.stream.get_raw_message(sequence.get()).await {
            Ok(message) => Ok(Some(Stored {
                sequence: Position::new(message.sequence),
                subject: message.subject.to_string(),
                headers: message.headers,
                body: message.payload,
            })),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(StoredError::JetStream(error.into())),
        }
    }

    /// All messages from `first` up to the last, in order.
    ///
    /// # Errors
    /// [`StoredError::JetStream`].
    pub async fn read(&self, first: Position) -> Result<Messages, StoredError> {
        let incoming = if first > self.last {
            None
        } else {
            let config = pull::OrderedConfig {
                deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: first.get().max(1) },
                ..pull::OrderedConfig::default()
            };
            let consumer = self.stream.create_consumer(config).await;
            let consumer = consumer.map_err(|error| StoredError::JetStream(error.into()))?;
            let messages = consumer.messages().await;
            Some(messages.map_err(|error| StoredError::JetStream(error.into()))?)
        };
        let stream = StoredStream { stream: self.stream.clone(), last: self.last };
        Ok(Messages { stream, incoming, ahead: None, next: first, last: self.last })
    }
}

/// The stream's messages in order.
pub struct Messages {
    stream: StoredStream,
    /// None once it has nothing more to send.
    incoming: Option<pull::Ordered>,
    /// The message after a sequence that has none.
    ahead: Option<Stored>,
    next: Position,
    last: Position,
}

impl Messages {
    /// What stands at each of the next `max` sequences (none where nothing does); empty after the last.
    ///
    /// # Errors
    /// [`StoredError`].
    pub async fn batch(&mut self, max: usize) -> Result<Vec<(Position, Option<Stored>)>, StoredError> {
        let mut batch = Vec::new();
        while batch.len() < max && self.next <= self.last {
            if self.ahead.is_none() {
                self.ahead = self.receive().await?;
            }
            let here = self.ahead.take_if(|stored| stored.sequence <= self.next);
            batch.push((self.next, here));
            self.next = self.next.next();
        }
        Ok(batch)
    }

    /// The next message; none where the rest of the stream was deleted.
    async fn receive(&mut self) -> Result<Option<Stored>, StoredError> {
        let Some(incoming) = &mut self.incoming else { return self.stream.at(self.next).await };
        let received = tokio::time::timeout(MESSAGE_TIMEOUT, incoming.next()).await;
        let Ok(Some(message)) = received else {
            if self.stream.at(self.next).await?.is_some() {
                return Err(StoredError::Silent(self.next));
            }
            self.incoming = None;
            return Ok(None);
        };
        let message = message.map_err(|error| StoredError::JetStream(error.into()))?;
        let sequence = message.info().map_err(StoredError::JetStream)?.stream_sequence;
        let message = message.message;
        Ok(Some(Stored {
            sequence: Position::new(sequence),
            subject: message.subject.to_string(),
            headers: message.headers.unwrap_or_default(),
            body: message.payload,
        }))
    }
}
