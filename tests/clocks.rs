//! Clocks that are wrong: one bad clock must neither freeze everybody's time nor, once it has written, stop the ledger.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use vtid_ledger::clock::Clock;
use vtid_ledger::domain::time::Timestamp;
use vtid_ledger::log::EventLog;
use vtid_ledger::log::connect::{options, pool};
use vtid_ledger::writer::answer::WriteError;
use vtid_ledger::writer::machine::WriterLimits;
use vtid_ledger::writer::shell::{WriterOptions, spawn};

use crate::support::commands::some_create;
use crate::support::service::{platform_on, some_task};
use crate::support::{NatsFlavor, ledger};

/// One bad clock has written far ahead of `PostgreSQL`'s, or just within what is allowed: the next writer goes on from
/// there, and time does not run backwards.
#[tokio::test]
async fn a_last_event_ahead_of_the_databases_clock_does_not_stop_the_next() {
    for ahead_ms in [59_900, 3_600_000] {
        let platform = platform_on(NatsFlavor::Current).await;
        let mut log = Vec::new();
        for (allowed_s, clock_ahead_ms) in [(7_200, ahead_ms), (60, 0), (60, -3_600_000)] {
            let database = options(platform.database.url(), "writer").unwrap();
            let events = EventLog::new(pool(database.clone(), 2), platform.ledger_id().await, 1 << 20);
            let writer_options = WriterOptions {
                database,
                limits: WriterLimits::default(),
                deadline: Duration::from_secs(20),
                operation_timeout: Duration::from_secs(5),
                max_ahead: Duration::from_secs(allowed_s),
                compare: None,
            };
            let clock =
                Clock::new(move || Timestamp::from_millis(Clock::system().now().millis() + clock_ahead_ms));
            let stop = CancellationToken::new();
            let (writer, _, _) = spawn(writer_options, clock, events, stop.clone());
            for _ in 0..2 {
                log.push(writer.submit(some_create("ahead")).await.unwrap().task.created_at);
            }
            stop.cancel();
        }
        assert!(log.is_sorted(), "time runs backwards: {log:?}");
        assert_eq!(log[2], log[1], "the last event's time, until the clock has come so far");
        // And the whole program, with its own clock.
        platform.serve().await.create(some_task("on top")).await.expect(200);
    }
}

/// A clock that is itself too far ahead writes nothing, and says so.
#[tokio::test]
async fn a_clock_too_far_ahead_writes_nothing() {
    let ledger = ledger().await;
    let log = ledger.log().await;
    let stop = CancellationToken::new();
    let clock = Clock::new(|| Timestamp::from_millis(Clock::system().now().millis() + 61_500));
    let (ahead, _, _) = spawn(ledger.writer_options(), clock, log.clone(), stop.clone());
    assert_eq!(ahead.submit(some_create("ahead")).await.unwrap_err(), WriteError::Unavailable);
    let written = ledger.writer(&log).submit(some_create("in time")).await.unwrap();
    assert_eq!(written.task.position.get(), 1, "nothing was written before");
    stop.cancel();
}
