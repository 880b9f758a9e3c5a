//! VTID numbers: unique and without gaps, over processes, years and the ten-thousandth.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures::StreamExt;
use vtid_ledger::clock::Clock;
use vtid_ledger::domain::time::Timestamp;
use vtid_ledger::writer::shell::spawn;

use crate::support::commands::some_create;
use crate::support::ledger;
use crate::support::service::{platform, some_task};

#[tokio::test]
async fn two_thousand_creates_from_64_clients_over_two_processes() {
    let platform = platform().await;
    let services = [platform.serve().await, platform.serve().await];
    let creates = (0..2000).map(|n| services[n % 2].create(some_task(&format!("task {n}"))));
    let answers: Vec<_> = futures::stream::iter(creates).buffer_unordered(64).collect().await;
    let numbers: BTreeSet<u64> =
        answers.into_iter().map(|answer| answer.expect(200).vtid()[10..].parse().unwrap()).collect();
    assert_eq!(numbers, (1..=2000).collect(), "1 to 2,000, each once");
}

#[tokio::test]
async fn the_year_rolls_over_to_the_millisecond() {
    let ledger = ledger().await;
    let log = ledger.log().await;
    let millis = Arc::new(AtomicI64::new(Timestamp::parse("2025-12-31T23:59:59.998Z").unwrap().millis()));
    let clock = {
        let millis = Arc::clone(&millis);
        Clock::new(move || Timestamp::from_millis(millis.load(Ordering::SeqCst)))
    };
    let stop = tokio_util::sync::CancellationToken::new();
    let (writer, _, _) = spawn(ledger.writer_options(), clock, log, stop.clone());
    let create = async || writer.submit(some_create("at midnight")).await.unwrap().task;
    let mut recorded = Vec::new();
    for step in [0, 1, 1, -5_000] {
        millis.fetch_add(step, Ordering::SeqCst);
        let task = create().await;
        recorded.push((task.vtid.to_string(), task.created_at.to_string()));
    }
    let expected = [
        ("VTID-2025-0001", "2025-12-31T23:59:59.998Z"),
        ("VTID-2025-0002", "2025-12-31T23:59:59.999Z"),
        ("VTID-2026-0001", "2026-01-01T00:00:00.000Z"),
        // The clock ran back: the ledger's time does not.
        ("VTID-2026-0002", "2026-01-01T00:00:00.000Z"),
    ];
    assert_eq!(recorded, expected.map(|(vtid, time)| (vtid.to_owned(), time.to_owned())));
    stop.cancel();
}

#[tokio::test]
async fn after_9999_comes_10000_and_pages_order_by_number() {
    let platform = platform().await;
    let service = platform.serve().await;
    for _ in 0..9_990_usize.div_ceil(450) {
        let bodies = (0..450).map(|n| service.create(some_task(&format!("filler {n}"))));
        futures::stream::iter(bodies)
            .buffer_unordered(64)
            .for_each(async |answer| drop(answer.expect(200)))
            .await;
    }
    let last = service.create(some_task("past")).await.expect(200);
    let number: u64 = last.vtid()[10..].parse().unwrap();
    assert!(number >= 10_000, "{}", last.vtid());
    let page = service.get("/vtid/list?limit=1000").await.expect(200);
    let numbers: Vec<u64> = page.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["vtid"].as_str().unwrap()[10..].parse().unwrap())
        .collect();
    assert_eq!(
        numbers,
        (number - 999..=number).rev().collect::<Vec<_>>(),
        "newest first, by number and not by text"
    );
    let year = &last.vtid()[..9];
    for number in [9_999, 10_000] {
        service.get(&format!("/vtid/{year}-{number}")).await.expect(200);
    }
    service.patch(&format!("{year}-10000"), r#"{"status":"active"}"#).await.expect(200);
}
