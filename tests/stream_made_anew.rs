//! A stream that is deleted while others make it anew and publish, again and again, as `oasis rebuild` does beside running
//! processes: what NATS acknowledges from then on can be read.

use std::str::FromStr as _;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::stream::Stream;
use async_nats::jetstream::{self, Context};
use futures::future::join_all;
use vtid_ledger::oasis::stream::{StreamArgs, StreamName, context, ensure, ensure_again};

use crate::support::{NatsFlavor, nats};

const SUBJECT: &str = "oasis.system.vtid-ledger.vtid-created";
const NAME: &str = "MADE_ANEW";
const MESSAGES: u64 = 200;
const TIMES: usize = 15;
/// Beside other tests, NATS 2.9 may take half a minute to make a stream that it has just deleted.
const PATIENCE: Duration = Duration::from_mins(3);
/// Made at once, it may also never take another message.
const NO_PATIENCE: Duration = Duration::from_secs(5);

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

/// How often a stream could not be filled, or not be read when it was full.
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
        let limit = if waits { PATIENCE } else { NO_PATIENCE };
        let readable = match tokio::time::timeout(limit, full(&context)).await {
            Ok(stream) => {
                let read = [1, MESSAGES / 2, MESSAGES].map(|sequence| stream.get_raw_message(sequence));
                join_all(read).await.iter().all(Result::is_ok)
            }
            Err(_) => false,
        };
        broken += usize::from(!readable);
        // One that was not made in time is not there to be deleted.
        let _ = context.delete_stream(NAME).await;
    }
    broken
}

async fn full(context: &Context) -> Stream {
    loop {
        if let Ok(mut stream) = context.get_stream(NAME).await
            && stream.info().await.is_ok_and(|info| info.state.last_sequence >= MESSAGES)
        {
            return stream;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
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
