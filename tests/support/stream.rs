//! The log and the OASIS stream, read whole, and held against each other.

use std::sync::Arc;

use async_nats::ServerAddr;
use async_nats::jetstream;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use futures::StreamExt as _;
use serde::Deserialize;
use serde_json::value::RawValue;
use sqlx::{Connection, PgConnection};
use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::domain::record::Recorded;
use vtid_ledger::log::read::read_after;

use super::eventually;

const STREAM: &str = "OASIS_VTID_LEDGER";
const PAGE: u32 = 1000;

/// What a subscriber takes out of a message: the record, byte for byte.
#[derive(Deserialize)]
struct Body<'a> {
    rid: &'a str,
    #[serde(borrow)]
    metadata: Metadata<'a>,
}

#[derive(Deserialize)]
struct Metadata<'a> {
    position: u64,
    #[serde(borrow)]
    record: &'a RawValue,
}

/// Every event of a database's log after `from`, in order.
pub(crate) async fn log_after(database: &str, from: Cursor) -> Vec<Recorded> {
    let mut connection = PgConnection::connect(database).await.unwrap();
    let (mut all, mut cursor) = (Vec::new(), from);
    loop {
        let page = read_after(&mut connection, cursor, PAGE).await.unwrap();
        let Some(last) = page.last() else { return all };
        cursor = Cursor::at(&last.event);
        all.extend(page);
    }
}

async fn stream_of(nats: &str) -> Stream {
    let servers: Vec<ServerAddr> = nats.split(',').map(|url| url.parse().unwrap()).collect();
    let context = jetstream::new(async_nats::connect(servers).await.unwrap());
    // It may just be being made.
    eventually("the stream to be there", async || context.get_stream(STREAM).await.ok()).await
}

/// What stands at one sequence of a stream.
pub(crate) struct InStream {
    pub(crate) sequence: u64,
    /// As the body says.
    pub(crate) position: u64,
    pub(crate) record: Arc<str>,
}

/// None where the stream has none; asked again where there is no such answer, as of a leader that has just been chosen.
async fn message_at(stream: &Stream, sequence: u64) -> Option<StreamMessage> {
    eventually("an answer about a message", async || match stream.get_raw_message(sequence).await {
        Ok(message) => Some(Some(message)),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Some(None),
        Err(_) => None,
    })
    .await
}

/// The messages of a NATS server's stream, in the order of their sequences; what is missing is left out.
pub(crate) async fn stream_messages(nats: &str) -> Vec<InStream> {
    let stream = stream_of(nats).await;
    let state = &stream.cached_info().state;
    let messages = futures::stream::iter(1..=state.last_sequence).map(|n| message_at(&stream, n));
    let messages = messages.buffered(64).filter_map(std::future::ready).map(|message| {
        assert_eq!(message.headers.get("ce-position").unwrap().as_str(), message.sequence.to_string());
        let body: Body = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(message.headers.get("Nats-Msg-Id").unwrap().as_str(), body.rid);
        let (sequence, position) = (message.sequence, body.metadata.position);
        InStream { sequence, position, record: Arc::from(body.metadata.record.get()) }
    });
    messages.collect().await
}

/// The records of a NATS server's stream, in the order of their sequences.
pub(crate) async fn stream_records(nats: &str) -> Vec<Arc<str>> {
    let messages = stream_messages(nats).await;
    for (message, sequence) in messages.iter().zip(1..) {
        assert_eq!(message.sequence, sequence, "a sequence is missing");
        assert_eq!(message.position, sequence);
    }
    messages.into_iter().map(|message| message.record).collect()
}

/// Waits until the stream has every event, and asserts that it holds each once, in order, at the sequence that is its
/// position, with the log's bytes. Gives the log.
pub(crate) async fn assert_stream_is_the_log(database: &str, nats: &str) -> Vec<Recorded> {
    let log = log_after(database, Cursor::Start).await;
    let mut stream = stream_of(nats).await;
    eventually("the stream to have every event", async || {
        (stream.info().await.ok()?.state.last_sequence >= log.len() as u64).then_some(())
    })
    .await;
    let stream = stream_records(nats).await;
    assert_eq!(stream.len(), log.len(), "messages in the stream, events in the log");
    for (recorded, record) in log.iter().zip(&stream) {
        assert_eq!(record, &recorded.body, "at position {}", recorded.event.position);
    }
    log
}
