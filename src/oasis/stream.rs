//! The stream: made where it is missing, compared where it is not.

use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::context::RequestErrorKind;
use async_nats::jetstream::{self, Context, ErrorCode};
use serde::{Deserialize, Serialize};

use super::api_error::{Answer, ApiError};
use crate::domain::position::Position;

/// The subjects of the ledger's events, of every tenant.
pub const SUBJECTS: &str = "oasis.*.vtid-ledger.*";
/// The stream's name where no other is set.
pub const DEFAULT_NAME: &str = "OASIS_VTID_LEDGER";
/// Within it NATS calls a message with a known id a repeat. As short as can be: the expected sequence is the fence,
/// and each id in the window costs the server memory.
const DUPLICATE_WINDOW: Duration = Duration::from_millis(100);
/// `JetStream`'s answer to a request of its API takes this long at most.
const API_TIMEOUT: Duration = Duration::from_secs(2);
/// And this long where a person waits for it.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a deleted stream is left alone before it is made again.
const SETTLES: Duration = Duration::from_millis(500);

/// A stream's name: letters, digits, `_` and `-`, 100 at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamName(String);

/// The text can't name a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 100 letters, digits, _ or -")]
pub struct MalformedStreamName;

impl std::str::FromStr for StreamName {
    type Err = MalformedStreamName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        let valid = matches!(text.len(), 1..=100) && text.bytes().all(allowed);
        if valid { Ok(Self(text.to_owned())) } else { Err(MalformedStreamName) }
    }
}

impl std::fmt::Display for StreamName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which stream, and how many servers of a cluster keep it.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct StreamArgs {
    /// The JetStream stream that holds the ledger's events
    #[arg(long = "oasis-stream", env = "OASIS_STREAM", value_name = "NAME", default_value = DEFAULT_NAME)]
    pub name: StreamName,
    /// How many servers of a NATS cluster keep the stream
    #[arg(long = "oasis-replicas", env = "OASIS_REPLICAS", value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u8).range(1..=5))]
    pub replicas: u8,
}

/// A stream as this program needs it.
pub trait NeededStream {
    /// Its name.
    fn name(&self) -> &StreamName;
    /// The subjects that it takes.
    fn subjects(&self) -> &'static str;
    /// How many servers keep it.
    fn replicas(&self) -> u8;
}

impl NeededStream for StreamArgs {
    fn name(&self) -> &StreamName {
        &self.name
    }

    fn subjects(&self) -> &'static str {
        SUBJECTS
    }

    fn replicas(&self) -> u8 {
        self.replicas
    }
}

/// Why there is no stream to publish to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The stream is there, and is not the one that this ledger needs.
    #[error("the stream {name} has another configuration: {}", .differences.join("; "))]
    Differs {
        /// The stream.
        name: StreamName,
        /// Each setting, with what it is and what it must be.
        differences: Vec<String>,
    },
    /// Another stream takes the same subjects.
    #[error("the stream {other} has the subjects of the ledger's events already ({subjects})")]
    Overlap {
        /// That stream.
        other: String,
        /// Those subjects.
        subjects: &'static str,
    },
    /// `JetStream` refuses, for some other reason: it may be mended by waiting, or by whoever runs NATS.
    #[error("JetStream: {0}")]
    Refused(String),
    /// There is no stream of this name.
    #[error("the stream {0} does not exist")]
    Missing(StreamName),
    /// No answer: try again.
    #[error("JetStream does not answer: {0}")]
    Unreachable(String),
}

/// The stream's settings as `JetStream` tells them. What is not in here does not count: servers of other versions add
/// fields of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Config {
    name: String,
    subjects: Vec<String>,
    storage: String,
    retention: String,
    discard: String,
    num_replicas: u8,
    max_age: i64,
    max_bytes: i64,
    max_msgs: i64,
    #[serde(default = "unlimited")]
    max_msgs_per_subject: i64,
    #[serde(default = "unlimited")]
    max_msg_size: i64,
    max_consumers: i64,
    duplicate_window: i64,
    deny_delete: bool,
    deny_purge: bool,
    /// Off, all of them: they lose messages, change them, or let them in by other ways.
    #[serde(flatten)]
    off: serde_json::Map<String, serde_json::Value>,
}

fn unlimited() -> i64 {
    -1
}

/// Settings that must be absent or off.
const OFF: [&str; 9] = [
    "sealed",
    "no_ack",
    "allow_rollup_hdrs",
    "allow_msg_ttl",
    "allow_msg_counter",
    "mirror",
    "sources",
    "subject_transform",
    "subject_delete_marker_ttl",
];

fn wanted(needed: &impl NeededStream) -> Config {
    Config {
        name: needed.name().0.clone(),
        subjects: vec![needed.subjects().to_owned()],
        storage: "file".to_owned(),
        retention: "limits".to_owned(),
        // There is no limit to reach; should somebody set one, the oldest messages must not go.
        discard: "new".to_owned(),
        num_replicas: needed.replicas(),
        max_age: 0,
        max_bytes: -1,
        max_msgs: -1,
        max_msgs_per_subject: -1,
        max_msg_size: -1,
        max_consumers: -1,
        duplicate_window: i64::try_from(DUPLICATE_WINDOW.as_nanos()).unwrap_or(i64::MAX),
        deny_delete: true,
        deny_purge: true,
        off: serde_json::Map::new(),
    }
}

fn differences(found: &Config, wanted: &Config) -> Vec<String> {
    let as_map = |config: &Config| match serde_json::to_value(config) {
        Ok(serde_json::Value::Object(map)) => map,
        _ => serde_json::Map::new(),
    };
    let (found, wanted) = (as_map(found), as_map(wanted));
    let null = serde_json::Value::Null;
    let mut told: Vec<String> = wanted
        .iter()
        .filter(|(name, value)| found.get(*name) != Some(value))
        .map(|(name, value)| format!("{name} is {}, must be {value}", found.get(name).unwrap_or(&null)))
        .collect();
    let is_off = |value: &serde_json::Value| match value {
        serde_json::Value::Array(items) => items.is_empty(),
        value => [null.clone(), false.into(), 0.into()].contains(value),
    };
    let on = OFF.iter().filter_map(|name| found.get(*name).map(|value| (name, value)));
    told.extend(on.filter(|(_, value)| !is_off(value)).map(|(name, value)| format!("{name} is {value}")));
    if let Some(mode) = found.get("persist_mode").filter(|mode| *mode != "default" && *mode != "") {
        told.push(format!("persist_mode is {mode}"));
    }
    told
}

#[derive(Debug, Deserialize)]
struct Info {
    config: Config,
    state: InfoState,
}

#[derive(Debug, Deserialize)]
struct InfoState {
    first_seq: u64,
    last_seq: u64,
}

/// `JetStream`'s API behind a client.
#[must_use]
pub fn context(client: Client) -> Context {
    let mut context = jetstream::new(client);
    context.set_timeout(API_TIMEOUT);
    context
}

/// As [`context`], for commands that an operator waits for: a busy server may take a while to delete or make a stream.
#[must_use]
pub fn patient_context(client: Client) -> Context {
    let mut context = jetstream::new(client);
    context.set_timeout(COMMAND_TIMEOUT);
    context
}

/// Makes the stream where it is missing, and compares it where it is not. Tells its last sequence.
///
/// # Errors
/// [`StreamError`].
pub async fn ensure(context: &Context, needed: &impl NeededStream) -> Result<Position, StreamError> {
    match info(context, needed).await {
        Err(StreamError::Missing(_)) => create(context, needed).await,
        found => found,
    }
}

/// As [`ensure`], where the stream may have been deleted a moment ago: made at once, NATS 2.9 removes the new one's file
/// along with the old one's, and can't read what it acknowledges from then on.
///
/// # Errors
/// [`StreamError`].
pub async fn ensure_again(context: &Context, needed: &impl NeededStream) -> Result<Position, StreamError> {
    match info(context, needed).await {
        Err(StreamError::Missing(_)) => {
            tokio::time::sleep(SETTLES).await;
            ensure(context, needed).await
        }
        found => found,
    }
}

/// Compares the stream, and tells its last sequence; makes none.
///
/// # Errors
/// [`StreamError`].
pub async fn info(context: &Context, needed: &impl NeededStream) -> Result<Position, StreamError> {
    let found = request::<Info>(context, format!("STREAM.INFO.{}", needed.name()), &()).await?;
    let info = found.map_err(|error| {
        if error.is(ErrorCode::STREAM_NOT_FOUND) {
            StreamError::Missing(needed.name().clone())
        } else {
            StreamError::Refused(error.to_string())
        }
    })?;
    end_of(needed, &info)
}

async fn create(context: &Context, needed: &impl NeededStream) -> Result<Position, StreamError> {
    let subject = format!("STREAM.CREATE.{}", needed.name());
    match request::<Info>(context, subject, &wanted(needed)).await? {
        Ok(info) => {
            tracing::info!(stream = %needed.name(), "made the stream");
            end_of(needed, &info)
        }
        Err(error) if error.is(ErrorCode::STREAM_SUBJECT_OVERLAP) => {
            let subjects = needed.subjects();
            let other = context.stream_by_subject(subjects).await;
            let other = other.unwrap_or_else(|_| "of another name".to_owned());
            Err(StreamError::Overlap { other, subjects })
        }
        Err(error) => Err(StreamError::Refused(error.to_string())),
    }
}

fn end_of(needed: &impl NeededStream, info: &Info) -> Result<Position, StreamError> {
    let mut differences = differences(&info.config, &wanted(needed));
    if info.state.first_seq > 1 {
        differences.push(format!("it begins at sequence {}, not at 1", info.state.first_seq));
    }
    if differences.is_empty() {
        Ok(Position::new(info.state.last_seq))
    } else {
        Err(StreamError::Differs { name: needed.name().clone(), differences })
    }
}

async fn request<T: serde::de::DeserializeOwned>(
    context: &Context,
    subject: String,
    payload: &impl Serialize,
) -> Result<Result<T, ApiError>, StreamError> {
    match context.request(subject, payload).await {
        Ok(Answer::Done(answer)) => Ok(Ok(answer)),
        Ok(Answer::Refused { error }) => Ok(Err(error)),
        Err(error) if error.kind() == RequestErrorKind::NoResponders => {
            Err(StreamError::Unreachable("JetStream is off, or has no leader".to_owned()))
        }
        Err(error) => Err(StreamError::Unreachable(error.to_string())),
    }
}

#[cfg(test)]
#[path = "tests/stream.rs"]
mod tests;
