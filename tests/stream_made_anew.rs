//! A stream that is deleted while others make it anew and publish, again and again, as `oasis rebuild` does beside running
//! processes: what NATS acknowledges from then on can be read.

use std::str::FromStr as _;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::{self, Context};
use futures::future::join_all;
use vtid_ledger::oasis::stream::{StreamArgs, StreamName, context, ensure, ensure_again};

use crate::support::{NatsFlavor, nats, within};

const SUBJECT: &str = "oasis.system.vtid-ledger.vtid-created";
const NAME: &str = "MADE_ANEW";
const MESSAGES: u64 = 200;
const TIMES: usize = 15;
/// Beside other tests, NATS 2.9 may take half a minute to make a stream that it has just deleted.
const PATIENCE: Duration = Duration::from_mins(3);

/// Makes it wherever it is missing, and fills it, many messages at a time: as a relay does.
async fn keep_full(context: Context, args: StreamArgs, waits: bool) {
    loop {
        let ensured = if waits { ensure_again(&context, &args).await } else { ensure(&context, &args).await };
        let Ok(last) = ensured else { continue };
        let publish = (last.get()..MESSAGES).take(64).map(async |before| {
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Expected-Last-Sequence", before.to_string());
            let sent = context.publish_with_headers(SUBJECT, headers, "x".repeat(600).into()).await.ok()?;
            tokio::time::timeout(Duration::from_millis(500), sent).await.ok()?.ok()
        });
        if join_all(publish).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// How often a full stream could not be read.
async fn times_broken(flavor: NatsFlavor, waits: bool) -> usize {
    let nats = nats(flavor).await;
    let args = StreamArgs { name: StreamName::from_str(NAME).unwrap(), replicas: 1 };
    let mut makers = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let client = async_nats::connect(nats.url()).await.unwrap();
        makers.spawn(keep_full(context(client), args.clone(), waits));
    }
    let context = jetstream::new(async_nats::connect(nats.url()).await.unwrap());
    let mut broken = 0;
    for _ in 0..TIMES {
        let stream = within(PATIENCE, "the stream to be full", async || {
            let mut stream = context.get_stream(NAME).await.ok()?;
            (stream.info().await.ok()?.state.last_sequence >= MESSAGES).then_some(stream)
        })
        .await;
        let read = [1, MESSAGES / 2, MESSAGES].map(|sequence| stream.get_raw_message(sequence));
        broken += usize::from(join_all(read).await.iter().any(Result::is_err));
        context.delete_stream(NAME).await.unwrap();
    }
    broken
}

/// NATS 2.9 removes a deleted stream's file somewhat later, even where another stream of that name is there already.
#[tokio::test]
async fn a_stream_made_anew_can_be_read_oldest() {
    println!("made at once: unreadable {} times of {TIMES}", times_broken(NatsFlavor::Oldest, false).await);
    assert_eq!(times_broken(NatsFlavor::Oldest, true).await, 0);
}

#[tokio::test]
async fn a_stream_made_anew_can_be_read_current() {
    assert_eq!(times_broken(NatsFlavor::Current, true).await, 0);
}
