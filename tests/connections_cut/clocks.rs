//! Clocks that are wrong: one bad clock neither freezes everybody's time nor stops the ledger.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use vtid_ledger::clock::Clock;
use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::domain::event::{Event, IdSeed};
use vtid_ledger::domain::position::Version;
use vtid_ledger::domain::record::Recorded;
use vtid_ledger::domain::time::Timestamp;
use vtid_ledger::log::append::{AppendReply, append};
use vtid_ledger::log::head::read_head;
use vtid_ledger::log::hold::Losses;
use vtid_ledger::log::schema::ledger_id;
use vtid_ledger::writer::answer::WriteError;
use vtid_ledger::writer::shell::spawn;

use crate::support::commands::some_create;
use crate::support::service::{Platform, Service, platform_on, some_task};
use crate::support::stream::{assert_stream_is_the_log, log_after};
use crate::support::{NatsFlavor, ledger};

/// How far ahead of the database's clock an append may be, by the ledger's own setting.
const MAX_AHEAD: Duration = Duration::from_mins(1);

/// The database's own time.
async fn database_time(platform: &Platform) -> Timestamp {
    let now = sqlx::query_scalar("select clock_timestamp()");
    Timestamp::from_datetime(now.fetch_one(&mut platform.connection().await).await.unwrap())
}

/// Appends one more task like the first, so far ahead of the database's clock, with `allowed` as the limit. Gives the
/// event's time.
async fn append_ahead(
    platform: &Platform,
    ahead: Duration,
    allowed: Duration,
) -> Result<Timestamp, AppendReply> {
    let mut connection = platform.connection().await;
    let head = read_head(&mut connection).await.unwrap();
    let first = log_after(platform.database.url(), Cursor::Start).await.swap_remove(0).event;
    let pool = vtid_ledger::log::connect::pool(
        vtid_ledger::log::connect::options(platform.database.url(), "test").unwrap(),
        1,
    );
    let ledger = ledger_id(&pool).await.unwrap();
    let time = database_time(platform).await.millis() + i64::try_from(ahead.as_millis()).unwrap();
    let recorded_at = Timestamp::from_millis(time);
    let event = Event {
        position: head.cursor.position().next(),
        id: IdSeed(uuid::Uuid::new_v4().as_u128()).event_id(recorded_at, 1, 0),
        vtid: head.numbering.clone().give_out(recorded_at),
        version: Version::ZERO.next(),
        recorded_at,
        ..first
    };
    let recorded = Recorded::print(event, ledger);
    match append(&mut connection, head.cursor, Losses::default(), allowed, &[&recorded]).await.unwrap() {
        AppendReply::Appended => Ok(recorded_at),
        refused => Err(refused),
    }
}

/// Writes go on, and their time is that of the last event, as long as it lies ahead.
async fn assert_goes_on(service: &Service, last: Timestamp) {
    for number in 0..3 {
        let created = service.create(some_task(&format!("after it {number}"))).await.expect(200);
        let time = |answer: &serde_json::Value, field: &str| {
            Timestamp::parse(answer[field].as_str().unwrap()).unwrap()
        };
        assert_eq!(time(&created.body["data"], "created_at"), last, "time does not run backwards");
        let patched = service.patch(created.vtid(), r#"{"status":"active"}"#).await.expect(200);
        assert_eq!(time(&patched.body["data"][0], "updated_at"), last);
    }
}

async fn the_last_event_lies_ahead(flavor: NatsFlavor) {
    let platform = platform_on(flavor).await;
    let running = platform.serve().await;
    running.create(some_task("before it")).await.expect(200);
    for (ahead, allowed) in [
        (Duration::from_millis(59_900), MAX_AHEAD),
        // Nobody may do so by the settings of today; somebody did.
        (Duration::from_hours(1), Duration::from_hours(2)),
    ] {
        let last = append_ahead(&platform, ahead, allowed).await.unwrap();
        assert!(database_time(&platform).await < last);
        assert_goes_on(&running, last).await;
        assert_goes_on(&platform.serve().await, last).await;
        assert_goes_on(&running, last).await;
        // And yet nobody gets further ahead than that.
        let further = append_ahead(&platform, ahead + MAX_AHEAD, MAX_AHEAD).await;
        assert_eq!(further, Err(AppendReply::TimeRefused));
    }
    let log = assert_stream_is_the_log(platform.database.url(), &platform.nats.url()).await;
    assert_eq!(log.len(), 1 + 2 * (1 + 3 * 6));
    assert!(log.is_sorted_by_key(|recorded| recorded.event.recorded_at), "times never run backwards");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_last_event_ahead_of_the_database_stops_nothing_oldest() {
    the_last_event_lies_ahead(NatsFlavor::Oldest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_last_event_ahead_of_the_database_stops_nothing_current() {
    the_last_event_lies_ahead(NatsFlavor::Current).await;
}

// On one thread, so that what the writer's task logs can be read.
#[tokio::test]
async fn a_writer_whose_clock_is_an_hour_ahead_writes_nothing_and_says_so() {
    let lines = tempfile::NamedTempFile::new().unwrap();
    let writer = Arc::new(lines.reopen().unwrap());
    let subscriber = tracing_subscriber::fmt().with_writer(writer).with_ansi(false).finish();
    let _reading = tracing::subscriber::set_default(subscriber);
    let ledger = ledger().await;
    let ahead_ms = Arc::new(AtomicI64::new(0));
    let clock = {
        let ahead_ms = Arc::clone(&ahead_ms);
        Clock::new(move || {
            Timestamp::from_millis(Clock::system().now().millis() + ahead_ms.load(Ordering::SeqCst))
        })
    };
    let stop = CancellationToken::new();
    let (writer, _, _) = spawn(ledger.writer_options(), clock, ledger.log().await, stop.clone());
    let create = async |description: &str| writer.submit(some_create(description)).await;
    create("right").await.unwrap();
    ahead_ms.store(3_600_000, Ordering::SeqCst);
    for _ in 0..3 {
        assert_eq!(create("wrong").await.unwrap_err(), WriteError::Unavailable);
    }
    let logged = std::fs::read_to_string(lines.path()).unwrap();
    assert!(logged.contains("clock is too far ahead of the database's"), "{logged}");
    let count = "select count(*) from ledger.event";
    let events: i64 = sqlx::query_scalar(count).fetch_one(&mut ledger.connection().await).await.unwrap();
    assert_eq!(events, 1);
    ahead_ms.store(0, Ordering::SeqCst);
    let task = create("right again").await.unwrap().task;
    assert_eq!((task.position.get(), task.vtid.number()), (2, 2), "nothing was given out meanwhile");
    stop.cancel();
}
