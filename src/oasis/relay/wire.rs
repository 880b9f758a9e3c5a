//! What goes to `JetStream` and comes back on the relay's one inbox, by core NATS.
//!
//! A reply's subject is `<inbox>.<kind>.<generation>.<position>`, so that every answer says what it answers.

use async_nats::jetstream::ErrorCode;
use async_nats::{Client, HeaderMap, HeaderName, Message, PublishError, Subscriber};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::feed::Ready;
use super::machine::{Answer, Generation, Input};
use crate::domain::position::Position;
use crate::domain::record::LedgerId;
use crate::oasis::api_error::ApiError;
use crate::oasis::message::OasisMessage;
use crate::oasis::published::{Found, Published};
use crate::oasis::stream::StreamName;

/// The publish is refused unless this is the stream's last sequence.
const EXPECTED_LAST_SEQUENCE: &str = "Nats-Expected-Last-Sequence";
/// Where it is told, with the stream's name behind it.
const LEADER_ELECTED: &str = "$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED";
const PUBLISH: &str = "p";
const READ: &str = "r";
/// The status of a reply that says: nobody listens.
const NO_RESPONDERS: u16 = 503;

/// Publishing and reading by messages, without waiting for their answers.
pub(super) struct Wire {
    client: Client,
    ledger: LedgerId,
    stream: StreamName,
    inbox: String,
    read_subject: String,
}

/// An answer, and what `JetStream` said to it where it refused.
pub(super) struct Answered {
    pub(super) input: Input,
    pub(super) trouble: Option<String>,
}

impl Wire {
    pub(super) fn new(client: Client, ledger: LedgerId, stream: StreamName) -> Self {
        let inbox = client.new_inbox();
        let read_subject = format!("$JS.API.STREAM.MSG.GET.{stream}");
        Self { client, ledger, stream, inbox, read_subject }
    }

    /// Where every answer comes in; and what a cluster says whenever the stream has another leader. Who may not listen to
    /// that only learns of it later.
    pub(super) async fn subscribe(&self) -> Result<(Subscriber, Subscriber), async_nats::SubscribeError> {
        let answers = self.client.subscribe(format!("{}.>", self.inbox)).await?;
        let elections = self.client.subscribe(format!("{LEADER_ELECTED}.{}", self.stream)).await?;
        Ok((answers, elections))
    }

    /// Publishes an event, expecting the one before it to be the stream's last.
    pub(super) async fn publish(&self, generation: Generation, ready: &Ready) -> Result<(), PublishError> {
        let recorded = &ready.entry.recorded;
        let position = recorded.event.position;
        let message = OasisMessage::new(self.ledger, recorded, &ready.transition);
        let mut headers = HeaderMap::new();
        for (name, value) in message.headers {
            headers.insert(HeaderName::from_static(name), value);
        }
        headers.insert(
            HeaderName::from_static(EXPECTED_LAST_SEQUENCE),
            position.get().saturating_sub(1).to_string(),
        );
        let reply = self.reply(PUBLISH, generation, position);
        self.client.publish_with_reply_and_headers(message.subject, reply, headers, message.body.into()).await
    }

    /// Asks the stream's leader for the message at a sequence.
    pub(super) async fn read(&self, generation: Generation, position: Position) -> Result<(), PublishError> {
        let reply = self.reply(READ, generation, position);
        self.client
            .publish_with_reply(self.read_subject.clone(), reply, format!("{{\"seq\":{position}}}").into())
            .await
    }

    fn reply(&self, kind: &str, generation: Generation, position: Position) -> String {
        format!("{}.{kind}.{}.{position}", self.inbox, generation.0)
    }

    /// Reads what came in on the inbox; none for what was not asked for.
    pub(super) fn answered(&self, message: &Message) -> Option<Answered> {
        let rest = message.subject.as_str().strip_prefix(&self.inbox)?.strip_prefix('.')?;
        let mut parts = rest.split('.');
        let (kind, generation, position) = (parts.next()?, parts.next()?, parts.next()?);
        let generation = Generation(generation.parse().ok()?);
        let position = Position::new(position.parse().ok()?);
        let nobody = message.status.is_some_and(|status| status.as_u16() == NO_RESPONDERS);
        match kind {
            PUBLISH => Some(self.acked(generation, position, (!nobody).then_some(&message.payload))),
            READ if nobody => Some(Answered {
                input: Input::Failed { generation },
                trouble: Some("JetStream does not answer for the stream".to_owned()),
            }),
            READ => Some(self.read_answer(generation, position, &message.payload)),
            _ => None,
        }
    }

    fn acked(&self, generation: Generation, position: Position, payload: Option<&bytes::Bytes>) -> Answered {
        let (answer, trouble) = match payload.map(|payload| serde_json::from_slice(payload)) {
            None => (Answer::Refused, Some("no stream takes the ledger's subjects".to_owned())),
            Some(Ok(PubAck { error: None, stream: Some(stream), seq: Some(sequence), duplicate })) => {
                if stream != self.stream.to_string() {
                    (Answer::Refused, Some(format!("the stream {stream} takes the ledger's subjects")))
                } else if duplicate {
                    (Answer::Duplicate, None)
                } else {
                    (Answer::Stored { sequence }, None)
                }
            }
            // What was sent ahead comes too early when the message before it was refused: it is that refusal which says
            // why.
            Some(Ok(PubAck { error: Some(error), .. }))
                if error.is(ErrorCode::STREAM_WRONG_LAST_SEQUENCE) =>
            {
                (Answer::Refused, None)
            }
            Some(Ok(PubAck { error: Some(error), .. })) => (Answer::Refused, Some(error.to_string())),
            Some(_) => (Answer::Refused, Some("an acknowledgement that can't be read".to_owned())),
        };
        Answered { input: Input::Acked { generation, position, answer }, trouble }
    }

    fn read_answer(&self, generation: Generation, position: Position, payload: &[u8]) -> Answered {
        let failed =
            |trouble: String| Answered { input: Input::Failed { generation }, trouble: Some(trouble) };
        let found = match serde_json::from_slice(payload) {
            Ok(Stored { message: Some(message), error: None }) if message.seq == position.get() => {
                let block = message.hdrs.and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
                Published::found(Published::from_block(&block).as_ref(), self.ledger, position)
            }
            Ok(Stored { error: Some(error), .. }) if error.is(ErrorCode::NO_MESSAGE_FOUND) => Found::Nothing,
            Ok(Stored { error: Some(error), .. }) => return failed(error.to_string()),
            _ => return failed("a message that can't be read".to_owned()),
        };
        Answered { input: Input::Read { generation, position, found }, trouble: None }
    }
}

/// The answer to a publish.
#[derive(Deserialize)]
struct PubAck {
    stream: Option<String>,
    seq: Option<u64>,
    #[serde(default)]
    duplicate: bool,
    error: Option<ApiError>,
}

/// The answer to `STREAM.MSG.GET`; the body is not needed.
#[derive(Deserialize)]
struct Stored {
    message: Option<StoredMessage>,
    error: Option<ApiError>,
}

#[derive(Deserialize)]
struct StoredMessage {
    seq: u64,
    hdrs: Option<String>,
}
