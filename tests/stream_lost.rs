//! The stream loses its tail or its store, or somebody else writes into it: put back at the same sequences, or named;
//! and nothing of the ledger's is lost silently, for the README's subscriber neither.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::{self, Context};
use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::domain::record::Recorded;
use vtid_ledger::oasis::message::{CE_ID, CE_POSITION, CE_SOURCE};

use crate::support::load::{Load, assert_kept};
use crate::support::service::{Platform, Service, platform_on, some_task};
use crate::support::stream::{assert_stream_is_the_log, log_after};
use crate::support::subscriber::Subscriber;
use crate::support::{NatsFlavor, eventually};

const SUBJECT: &str = "oasis.acme.vtid-ledger.vtid-created";

fn load(service: &Service) -> Load {
    Load::start(&[service], 4, Duration::from_millis(5))
}

async fn jetstream_of(platform: &Platform) -> Context {
    jetstream::new(async_nats::connect(platform.nats.url()).await.unwrap())
}

async fn the_stream_is_whole(platform: &Platform) -> usize {
    let log = assert_stream_is_the_log(platform.database.url(), &platform.nats.url()).await;
    platform.run(&["oasis", "check"]).await.succeeded();
    log.len()
}

async fn nats_comes_back_with_less(flavor: NatsFlavor) {
    let mut platform = platform_on(flavor).await;
    let service = platform.serve().await;
    let mut subscriber = Subscriber::start(&platform.nats.url());
    let load = load(&service);
    load.further(100).await;
    let older = platform.nats.snapshot_store().await;
    load.further(150).await;
    platform.nats.restore_store(&older).await;
    load.further(100).await;
    platform.nats.wipe_store().await;
    load.further(100).await;
    let acknowledged = load.stop().await;
    let last = the_stream_is_whole(&platform).await;
    assert_kept(&log_after(platform.database.url(), Cursor::Start).await, &acknowledged);
    subscriber.has_handled(last).await;
    // And while nothing is written.
    platform.nats.restore_store(&older).await;
    the_stream_is_whole(&platform).await;
    platform.nats.wipe_store().await;
    assert_eq!(the_stream_is_whole(&platform).await, last);
    eventually("nothing is degraded any more", async || {
        let ready = service.get("/readyz").await.expect(200);
        (ready.body["degraded"] == serde_json::json!([])).then_some(())
    })
    .await;
}

async fn somebody_else_publishes(flavor: NatsFlavor) {
    let platform = platform_on(flavor).await;
    let service = platform.serve().await;
    let mut subscriber = Subscriber::start(&platform.nats.url());
    let load = load(&service);
    load.further(100).await;
    // While the ledger's own are under way.
    let context = jetstream_of(&platform).await;
    let foreign = context.publish(SUBJECT, "not the ledger's".into()).await.unwrap().await.unwrap().sequence;
    eventually("it is named", async || {
        let ready = service.get("/readyz").await.expect(200);
        ready.body["degraded"].to_string().contains(&format!("sequence {foreign} ")).then_some(())
    })
    .await;
    load.further(100).await;
    let checked = platform.run(&["oasis", "check"]).await;
    assert!(checked.out.contains(&format!("{foreign}  foreign")), "{checked:?}");
    checked.failed();
    let listed = platform.run(&["oasis", "recover", "--yes"]).await;
    assert!(listed.succeeded().contains("nothing to recover"));
    let rebuilt = platform.run(&["oasis", "rebuild"]).await.succeeded();
    assert!(rebuilt.contains(&format!("goes back to position {}", foreign - 1)), "{rebuilt}");
    load.further(100).await;
    let acknowledged = load.stop().await;
    let last = the_stream_is_whole(&platform).await;
    assert_kept(&log_after(platform.database.url(), Cursor::Start).await, &acknowledged);
    // It has left the foreign message out, and whatever of the ledger's stood behind it is where it was.
    subscriber.has_handled(last).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_comes_back_with_an_older_or_an_empty_store_oldest() {
    nats_comes_back_with_less(NatsFlavor::Oldest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_comes_back_with_an_older_or_an_empty_store_current() {
    nats_comes_back_with_less(NatsFlavor::Current).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_message_is_named_and_writes_go_on_oldest() {
    somebody_else_publishes(NatsFlavor::Oldest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_message_is_named_and_writes_go_on_current() {
    somebody_else_publishes(NatsFlavor::Current).await;
}

/// As the relay would, but for what is wrong with it.
async fn publish(platform: &Platform, log: &[Recorded], id: &str, position: usize, body: String) {
    let record: serde_json::Value = serde_json::from_str(&log[0].body).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(CE_ID, id);
    headers.insert(CE_SOURCE, record["source"].as_str().unwrap());
    headers.insert(CE_POSITION, position.to_string());
    headers.insert("ce-subject", "VTID-2026-0042");
    headers.insert("ce-type", "vtid-created");
    let context = jetstream_of(platform).await;
    let stored = context.publish_with_headers(SUBJECT, headers, body.into()).await.unwrap().await.unwrap();
    assert_eq!(stored.sequence, position as u64);
}

/// Every kind of difference, each named by `check`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_names_each_difference() {
    let mut platform = platform_on(NatsFlavor::Current).await;
    let mut service = platform.serve().await;
    for n in 0..3 {
        service.create(some_task(&format!("published {n}"))).await.expect(200);
    }
    assert_stream_is_the_log(platform.database.url(), &platform.nats.url()).await;
    platform.nats.stop().await;
    for n in 0..4 {
        service.create(some_task(&format!("unpublished {n}"))).await.expect(200);
    }
    service.kill();
    platform.nats.start().await;
    let checked = platform.run(&["oasis", "check"]).await.succeeded();
    assert!(checked.contains("last 4 events, up to position 7, are not published yet"), "{checked}");

    let log = log_after(platform.database.url(), Cursor::Start).await;
    let other = uuid::Uuid::from_u128(7).to_string();
    publish(&platform, &log, &log[3].event.id.to_string(), 4, "{}".to_owned()).await;
    jetstream_of(&platform).await.publish(SUBJECT, "foreign".into()).await.unwrap().await.unwrap();
    publish(&platform, &log, &other, 6, "{}".to_owned()).await;
    publish(&platform, &log, &log[6].event.id.to_string(), 7, "{}".to_owned()).await;
    publish(&platform, &log, &other, 8, "{}".to_owned()).await;
    let checked = platform.run(&["oasis", "check"]).await;
    let expected = [
        "4  altered  vtid-created VTID-2026-0042: the subject, the header Nats-Msg-Id",
        "5  foreign  subject oasis.acme.vtid-ledger.vtid-created",
        &format!(
            "6  another event  vtid-created VTID-2026-0042  {other}; the ledger has {}",
            log[5].event.id
        ),
        "7  altered",
        &format!("8  lost by the ledger  vtid-created VTID-2026-0042  {other}"),
        "OASIS_VTID_LEDGER: 8 messages, 5 of them different from the ledger's events",
    ];
    for (line, expected) in checked.out.lines().zip(expected) {
        assert!(line.starts_with(expected), "{line:?} is not {expected:?}: {checked:?}");
    }
    assert_eq!(checked.out.lines().count(), expected.len(), "{checked:?}");
    assert!(checked.failed().contains("differ at 5 sequences"));
    // Such a record is none: it is not put into the ledger.
    platform.run(&["oasis", "recover", "--yes"]).await.failed();
    assert_eq!(log_after(platform.database.url(), Cursor::Start).await, log);
}

/// A foreign message took a sequence while the ledger's own were under way behind it; then the ledger lost those.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_message_does_not_hide_that_history_was_lost() {
    let mut platform = platform_on(NatsFlavor::Current).await;
    let mut service = platform.serve().await;
    for n in 0..3 {
        service.create(some_task(&format!("kept {n}"))).await.expect(200);
    }
    assert_stream_is_the_log(platform.database.url(), &platform.nats.url()).await;
    let copy = platform.database.copy().await;
    platform.nats.stop().await;
    for n in 0..3 {
        // It has to find the database again first.
        eventually("it is written", async || {
            let answer = service.create(some_task(&format!("lost {n}"))).await;
            (answer.status == 200).then_some(())
        })
        .await;
    }
    service.kill();
    platform.nats.start().await;
    let log = log_after(platform.database.url(), Cursor::Start).await;
    jetstream_of(&platform).await.publish(SUBJECT, "foreign".into()).await.unwrap().await.unwrap();
    publish(&platform, &log, &log[4].event.id.to_string(), 5, "{}".to_owned()).await;
    publish(&platform, &log, &log[5].event.id.to_string(), 6, "{}".to_owned()).await;
    // Nothing is lost yet.
    let before = platform.serve().await;
    eventually("the foreign message is named", async || {
        let ready = before.get("/readyz").await.body;
        ready["degraded"].to_string().contains("at sequence 4 is not the ledger's").then_some(())
    })
    .await;
    before.create(some_task("goes on")).await.expect(200);
    drop(before);

    platform.database.put_back(&copy).await;
    let after = platform.serve().await;
    let held = after.create(some_task("would be given out again")).await.expect(503);
    assert_eq!(held.body["code"], "ledger_behind", "{held:?}");
    assert_eq!(log_after(platform.database.url(), Cursor::Start).await, log[..3]);
}

/// A stream that somebody made by hand, and from which messages can be deleted: each is named, and a rebuild makes it
/// what it must be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_another_make_is_named_and_made_anew() {
    let platform = platform_on(NatsFlavor::Current).await;
    let context = jetstream_of(&platform).await;
    let config = jetstream::stream::Config {
        name: "OASIS_VTID_LEDGER".to_owned(),
        subjects: vec!["oasis.*.vtid-ledger.*".to_owned()],
        ..jetstream::stream::Config::default()
    };
    let stream = context.create_stream(config).await.unwrap();
    for _ in 0..3 {
        context.publish(SUBJECT, "foreign".into()).await.unwrap().await.unwrap();
    }
    stream.delete_message(2).await.unwrap();
    let service = platform.serve().await;
    service.create(some_task("one")).await.expect(200);
    eventually("it is named", async || {
        let ready = service.get("/readyz").await.expect(200);
        ready.body["degraded"].to_string().contains("deny_delete is false, must be true").then_some(())
    })
    .await;
    let checked = platform.run(&["oasis", "check"]).await;
    let lines: Vec<&str> = checked.out.lines().collect();
    let found = ["1  foreign", "2  no message", "3  foreign"];
    assert!(found.iter().zip(&lines).all(|(found, line)| line.starts_with(found)), "{checked:?}");
    assert!(lines[4].contains("has another configuration") && lines[4].contains("deny_purge"), "{checked:?}");
    checked.failed();
    platform.run(&["oasis", "rebuild"]).await.succeeded();
    assert_eq!(the_stream_is_whole(&platform).await, 1);
    let missing = platform.run(&["oasis", "check", "--oasis-stream", "ANOTHER"]).await.failed();
    assert!(missing.contains("the stream ANOTHER does not exist"), "{missing}");
}

/// What says that it is the ledger's event, and holds no record of it, is not put back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_without_its_record_is_not_put_back() {
    let platform = platform_on(NatsFlavor::Current).await;
    let mut service = platform.serve().await;
    service.create(some_task("one")).await.expect(200);
    let log = assert_stream_is_the_log(platform.database.url(), &platform.nats.url()).await;
    service.kill();
    let id = uuid::Uuid::from_u128(9).to_string();
    let of_another = format!(r#"{{"metadata":{{"record":{}}}}}"#, log[0].body);
    publish(&platform, &log, &id, 2, of_another).await;
    let refused = platform.run(&["oasis", "recover", "--yes"]).await.failed();
    assert!(refused.contains("sequence 2 does not hold the record of its event"), "{refused}");
    assert_eq!(log_after(platform.database.url(), Cursor::Start).await, log);
}
