//! The OASIS stream, as a subscriber sees it: on the oldest and on the current NATS.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::{self, Context, stream::Stream};
use clap::Parser;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::Row;
use tokio_util::sync::CancellationToken;
use vtid_ledger::leases::Held;
use vtid_ledger::log::hold::read_hold;
use vtid_ledger::oasis::connect::{Nats, NatsArgs};
use vtid_ledger::oasis::relay::machine::Limits;
use vtid_ledger::oasis::relay::{self, RelayHandle, RelayOptions, State};
use vtid_ledger::oasis::stream::{DEFAULT_NAME, StreamArgs};
use vtid_ledger::oasis::tail;
use vtid_ledger::telemetry::metrics::relay::RelayMetrics;
use vtid_ledger::telemetry::traces::Traces;
use vtid_ledger::writer::handle::WriterHandle;

use crate::support::commands::{create, patch, some_create};
use crate::support::ledger::ByHand;
use crate::support::{NatsFlavor, TestLedger, TestNats, eventually, ledger, nats};

const FLAVORS: [NatsFlavor; 2] = [NatsFlavor::Oldest, NatsFlavor::Current];

fn nats_args(url: &str) -> NatsArgs {
    NatsArgs::plain(url)
}

/// A relay as one process would run it; it ends when dropped.
struct Relay {
    handle: RelayHandle,
    _stop: tokio_util::sync::DropGuard,
}

impl Relay {
    async fn start(ledger: &TestLedger, url: String) -> Self {
        let nats = Nats::connect(&nats_args(&url), "test").await.unwrap();
        let stop = CancellationToken::new();
        let stream = StreamArgs { name: DEFAULT_NAME.parse().unwrap(), replicas: 1 };
        let options = RelayOptions {
            stream,
            limits: Limits::default(),
            lease: Held::always(),
            metrics: RelayMetrics::default(),
            traces: Traces::off(),
        };
        let handle = relay::spawn(ledger.log().await, nats, options, stop.clone());
        Self { handle, _stop: stop.drop_guard() }
    }

    async fn reaches(&self, position: u64) {
        let status = self.handle.status();
        eventually(&format!("the relay to reach {position}"), async || {
            let status = status.borrow().clone();
            (status.position.get() == position && status.degraded().is_none()).then_some(())
        })
        .await;
    }

    async fn is(&self, state: &str) {
        let status = self.handle.status();
        eventually(state, async || (format!("{:?}", status.borrow().state) == state).then_some(())).await;
    }
}

async fn jetstream_of(nats: &TestNats) -> Context {
    jetstream::new(async_nats::connect(nats.url()).await.unwrap())
}

async fn stream_of(context: &Context) -> Stream {
    context.get_stream(DEFAULT_NAME).await.unwrap()
}

async fn write(writer: &WriterHandle, count: usize) {
    let creates = (0..count).map(|n| writer.submit(some_create(&format!("task {n}"))));
    for answer in futures::future::join_all(creates).await {
        answer.unwrap();
    }
}

/// Every event of the log stands in the stream, at its position, with its exact bytes; and nothing else does.
async fn assert_same(ledger: &TestLedger, context: &Context) {
    let mut connection = ledger.connection().await;
    let rows =
        sqlx::query("select event_id::text id, tenant, type kind, body from ledger.event order by position")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    let stream = stream_of(context).await;
    let state = &stream.cached_info().state;
    assert_eq!((state.last_sequence, state.messages), (rows.len() as u64, rows.len() as u64));
    for (row, sequence) in rows.iter().zip(1..) {
        let message = stream.get_raw_message(sequence).await.unwrap();
        let (id, body): (String, String) = (row.get("id"), row.get("body"));
        let (tenant, kind): (String, String) = (row.get("tenant"), row.get("kind"));
        assert_eq!(message.subject.as_str(), format!("oasis.{tenant}.vtid-ledger.{kind}"));
        for (name, value) in [("Nats-Msg-Id", &id), ("ce-id", &id), ("ce-position", &sequence.to_string())] {
            assert_eq!(message.headers.get(name).unwrap().as_str(), value, "{name} of {sequence}");
        }
        let payload = std::str::from_utf8(&message.payload).unwrap();
        let expected = format!(r#""record":{body}}}}}"#);
        assert!(payload.ends_with(&expected), "sequence {sequence}: {payload}");
    }
}

#[tokio::test]
async fn every_event_stands_in_the_stream_at_its_position() {
    for flavor in FLAVORS {
        let (ledger, nats) = (ledger().await, nats(flavor).await);
        let writer = ledger.writer(&ledger.log().await);
        // Before the relay, and while it runs.
        write(&writer, 700).await;
        let relay = Relay::start(&ledger, nats.url()).await;
        let task =
            writer.submit(create(r#"{"taskFamily":"f","taskType":"t","description":"d","tenant":"acme"}"#));
        let vtid = task.await.unwrap().task.vtid;
        writer.submit(patch(vtid, r#"{"status":"active"}"#)).await.unwrap();
        writer.submit(patch(vtid, r#"{"status":"complete","metadata":{"notes":"n"}}"#)).await.unwrap();
        relay.reaches(703).await;
        let context = jetstream_of(&nats).await;
        assert_same(&ledger, &context).await;
        let stream = stream_of(&context).await;
        let completed = stream.get_raw_message(703).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&completed.payload).unwrap();
        assert_eq!((&body["status"], &body["notes"]), (&"success".into(), &"n".into()));
        assert!(body["metadata"]["duration"].as_f64().unwrap() < 0.1, "{body}");
        // A relay that starts anew finds it all there.
        drop(relay);
        let relay = Relay::start(&ledger, nats.url()).await;
        write(&writer, 10).await;
        relay.reaches(713).await;
        assert_same(&ledger, &context).await;
    }
}

#[tokio::test]
async fn writes_go_on_while_nats_is_away_and_are_relayed_later() {
    for flavor in FLAVORS {
        let (ledger, mut nats) = (ledger().await, nats(flavor).await);
        let url = nats.url();
        nats.stop().await;
        let writer = ledger.writer(&ledger.log().await);
        let relay = Relay::start(&ledger, url).await;
        write(&writer, 20).await;
        assert!(!relay.handle.comparer().compare(Duration::from_millis(50)).await, "nothing was compared");
        assert_eq!(relay.handle.status().borrow().state, State::Connecting);
        nats.start().await;
        relay.reaches(20).await;
        for round in 1..=3 {
            tokio::join!(write(&writer, 200), async {
                if round > 1 {
                    // Killed, so that it may lose what it has not synced.
                    let pid = i32::try_from(nats.server().pid()).unwrap();
                    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
                }
                nats.stop().await;
                nats.start().await;
            });
            relay.reaches(20 + 200 * round).await;
        }
        assert!(relay.handle.comparer().compare(Duration::from_secs(10)).await);
        assert_same(&ledger, &jetstream_of(&nats).await).await;
    }
}

#[tokio::test]
async fn a_stream_that_is_lost_is_put_back_at_the_same_sequences() {
    for flavor in FLAVORS {
        let (ledger, nats) = (ledger().await, nats(flavor).await);
        let writer = ledger.writer(&ledger.log().await);
        write(&writer, 1500).await;
        let relay = Relay::start(&ledger, nats.url()).await;
        relay.reaches(1500).await;
        let context = jetstream_of(&nats).await;
        context.delete_stream(DEFAULT_NAME).await.unwrap();
        // Noticed although nothing more is written.
        eventually("the stream to be whole again", async || {
            let stream = context.get_stream(DEFAULT_NAME).await.ok()?;
            (stream.cached_info().state.last_sequence == 1500).then_some(())
        })
        .await;
        relay.reaches(1500).await;
        assert_same(&ledger, &context).await;
    }
}

#[tokio::test]
async fn two_relays_at_once_do_no_harm() {
    for flavor in FLAVORS {
        let (ledger, nats) = (ledger().await, nats(flavor).await);
        let writer = ledger.writer(&ledger.log().await);
        let relays = [Relay::start(&ledger, nats.url()).await, Relay::start(&ledger, nats.url()).await];
        for _ in 0..10 {
            write(&writer, 100).await;
        }
        for relay in &relays {
            relay.reaches(1000).await;
        }
        assert_same(&ledger, &jetstream_of(&nats).await).await;
        assert_eq!(read_hold(&mut ledger.connection().await).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_foreign_message_stops_the_relay_until_the_stream_is_made_anew() {
    for flavor in FLAVORS {
        let (ledger, nats) = (ledger().await, nats(flavor).await);
        let writer = ledger.writer(&ledger.log().await);
        let relay = Relay::start(&ledger, nats.url()).await;
        write(&writer, 4).await;
        relay.reaches(4).await;
        let context = jetstream_of(&nats).await;
        let subject = "oasis.acme.vtid-ledger.vtid-created";
        context.publish(subject, "not the ledger's".into()).await.unwrap().await.unwrap();
        write(&writer, 3).await;
        relay.is("Stopped { sequence: Position(5) }").await;
        let told = relay.handle.status().borrow().degraded().unwrap();
        assert!(told.contains("sequence 5"), "{told}");
        assert_eq!(read_hold(&mut ledger.connection().await).await.unwrap(), None, "writes go on");
        // As `oasis rebuild` does.
        context.delete_stream(DEFAULT_NAME).await.unwrap();
        relay.reaches(7).await;
        assert_same(&ledger, &context).await;
    }
}

#[tokio::test]
async fn an_event_that_the_ledger_no_longer_has_sets_the_hold() {
    for flavor in FLAVORS {
        let (ledger, nats) = (ledger().await, nats(flavor).await);
        let log = ledger.log().await;
        let writer = ledger.writer(&log);
        write(&writer, 4).await;
        let relay = Relay::start(&ledger, nats.url()).await;
        relay.reaches(4).await;
        // What a ledger restored without its last commit finds: its own event, past its head.
        let id = "0199a2b0-0000-7000-8000-000000000005";
        let mut headers = HeaderMap::new();
        for (name, value) in [("ce-id", id), ("ce-source", &log.ledger().source()), ("ce-position", "5")] {
            headers.insert(name, value);
        }
        let context = jetstream_of(&nats).await;
        let subject = "oasis.system.vtid-ledger.vtid-created";
        context.publish_with_headers(subject, headers, "{}".into()).await.unwrap().await.unwrap();
        relay.is("LedgerBehind { position: Position(5) }").await;
        let hold =
            eventually("the hold", async || read_hold(&mut ledger.connection().await).await.unwrap()).await;
        assert_eq!(hold.position.get(), 5);
        assert!(hold.reason.contains(id), "{hold:?}");
        let refused = writer.submit(some_create("held")).await;
        assert!(refused.is_err(), "{refused:?}");
    }
}

#[tokio::test]
async fn another_stream_in_the_way_is_named() {
    for flavor in FLAVORS {
        let (ledger, nats) = (ledger().await, nats(flavor).await);
        let context = jetstream_of(&nats).await;
        let other = |name: &str| jetstream::stream::Config {
            name: name.to_owned(),
            subjects: vec!["oasis.>".to_owned()],
            ..jetstream::stream::Config::default()
        };
        context.create_stream(other("EVERYTHING")).await.unwrap();
        let relay = Relay::start(&ledger, nats.url()).await;
        relay.is("StreamDiffers").await;
        let told = relay.handle.status().borrow().degraded().unwrap();
        assert!(told.contains("EVERYTHING"), "{told}");
        context.delete_stream("EVERYTHING").await.unwrap();
        relay.reaches(0).await;
        // Under the right name, and not the right one.
        drop(relay);
        context.delete_stream(DEFAULT_NAME).await.unwrap();
        context.create_stream(other(DEFAULT_NAME)).await.unwrap();
        let relay = Relay::start(&ledger, nats.url()).await;
        relay.is("StreamDiffers").await;
        let told = relay.handle.status().borrow().degraded().unwrap();
        assert!(told.contains("deny_delete is false, must be true"), "{told}");
    }
}

#[tokio::test]
async fn a_record_of_a_later_version_stops_the_relay_and_is_named() {
    let (ledger, nats) = (ledger().await, nats(NatsFlavor::Oldest).await);
    let writer = ledger.writer(&ledger.log().await);
    let relay = Relay::start(&ledger, nats.url()).await;
    write(&writer, 4).await;
    relay.reaches(4).await;
    let (kind, vtid) = ("vtid-renamed", Some("VTID-2026-9999"));
    let renamed = ByHand { base: 4, position: 5, version: 1, kind, vtid, tenant: None };
    renamed.append(&mut ledger.connection().await).await.unwrap();
    let status = relay.handle.status();
    let told = eventually("the record to be named", async || status.borrow().degraded()).await;
    assert!(told.contains("position 5") && told.contains("vtid-renamed"), "{told}");
    assert_eq!(status.borrow().position.get(), 4);
}

#[tokio::test]
async fn a_cancelled_relay_ends_at_once() {
    let (ledger, nats) = (ledger().await, nats(NatsFlavor::Oldest).await);
    let writer = ledger.writer(&ledger.log().await);
    let relay = Relay::start(&ledger, nats.url()).await;
    write(&writer, 50).await;
    let Relay { handle, _stop: stop } = relay;
    drop(stop);
    tokio::time::timeout(Duration::from_secs(20), handle.stopped()).await.expect("the relay to end");
}

/// Stands for the command line, until it is there.
#[derive(Parser)]
struct Tail {
    #[command(flatten)]
    args: tail::TailArgs,
}

async fn tail_of(nats: &TestNats, args: &[&str]) -> Vec<String> {
    let url = nats.url();
    let args = ["tail", "--nats-url", &url].into_iter().chain(args.iter().copied());
    let mut out = Vec::new();
    let run = tokio::time::timeout(Duration::from_secs(20), async {
        tail::run(&Tail::parse_from(args).args, &mut out).await
    });
    run.await.expect("the tail to end").unwrap();
    String::from_utf8(out).unwrap().lines().map(ToOwned::to_owned).collect()
}

#[tokio::test]
async fn the_tail_shows_events_to_people() {
    for flavor in FLAVORS {
        let (ledger, nats) = (ledger().await, nats(flavor).await);
        let writer = ledger.writer(&ledger.log().await);
        let relay = Relay::start(&ledger, nats.url()).await;
        write(&writer, 14).await;
        let acme = create(r#"{"taskFamily":"f","taskType":"t","description":"d","tenant":"acme"}"#);
        writer.submit(acme).await.unwrap();
        relay.reaches(15).await;
        let newest = tail_of(&nats, &["--count", "10"]).await;
        assert_eq!(newest.len(), 10);
        assert!(newest[0].starts_with("6  oasis.system.vtid-ledger.vtid-created  {"), "{}", newest[0]);
        let from = tail_of(&nats, &["--from", "2", "--count", "1"]).await;
        assert!(from[0].starts_with("2  "), "{from:?}");
        let subject = "oasis.acme.vtid-ledger.*";
        let json = tail_of(&nats, &["--from", "1", "--subject", subject, "--count", "1", "--json"]).await;
        let body: serde_json::Value = serde_json::from_str(&json[0]).unwrap();
        assert_eq!(body["metadata"]["position"], 15);
    }
}
