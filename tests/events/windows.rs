//! How far one look goes for what is rare, and how looks join: by positions, and by the versions of a task.

use std::ops::RangeInclusive;

use serde_json::Value;
use tokio::sync::watch;
use vtid_ledger::domain::position::Position;
use vtid_ledger::domain::text::Tenant;
use vtid_ledger::history::History;
use vtid_ledger::history::export::Export;
use vtid_ledger::history::records::{PAGE_POSITIONS, RecordQuery, Wanted};
use vtid_ledger::log::records::{RecordFilter, WINDOW};
use vtid_ledger::projections::connections::ReadConnections;
use vtid_ledger::projections::page::PageLimit;
use vtid_ledger::projections::read::Reader;
use vtid_ledger::projections::status::ProjectorStatus;

use super::{read_lines, walk};
use crate::support::commands::some_create;
use crate::support::past::{append_many, append_versions, bodies, lines, page_of};
use crate::support::service::{Platform, Service, platform, some_task};

/// What is rare is looked for a bounded number of positions at a time.
#[tokio::test]
async fn a_page_looks_at_so_many_positions_and_says_how_far_it_came() {
    let ledger = crate::support::ledger().await;
    ledger.writer(&ledger.log().await).submit(some_create("first")).await.unwrap();
    let last = PAGE_POSITIONS + 5_000;
    append_many(&mut ledger.connection().await, i64::try_from(last).unwrap() - 1).await;
    let connections = ReadConnections::new(ledger.writer_options().database, 2);
    let (_projector, status) = watch::channel(ProjectorStatus::default());
    let reader = Reader::acknowledging(connections, status, || Position::ZERO);
    let (_heard, heard) = watch::channel(Position::ZERO);
    let history = History::new(reader, heard);
    let of =
        |filter| RecordQuery { from: Position::new(2), since: None, until: None, filter: Wanted::Of(filter) };
    let nobody =
        of(RecordFilter { tenant: Some(Tenant::parse("nobody").unwrap()), ..RecordFilter::default() });
    let read = async |query: &RecordQuery| {
        history.records(query, PageLimit::default(), Position::ZERO).await.unwrap()
    };
    let first = read(&nobody).await;
    let reached = Position::new(1 + PAGE_POSITIONS);
    assert_eq!((first.records.len(), first.looked_to, first.next), (0, reached, Some(reached.next())));
    let rest = read(&RecordQuery { from: reached.next(), ..nobody.clone() }).await;
    assert_eq!((rest.records.len(), rest.looked_to, rest.next), (0, Position::new(last), None));
    // An export goes on to the end, window by window.
    let drain = async |mut export: Export| {
        let (mut pieces, mut text) = (0, String::new());
        while let Some(lines) = export.next().await.unwrap() {
            pieces += 1;
            text += &lines;
        }
        (pieces, text)
    };
    let (pieces, text) = drain(history.export(&nobody, Position::ZERO).await.unwrap()).await;
    assert_eq!((pieces, text.as_str()), (last.div_ceil(WINDOW), ""));
    let (_, text) = drain(history.export(&of(RecordFilter::default()), Position::ZERO).await.unwrap()).await;
    assert!(text == lines(&bodies(&mut ledger.connection().await).await[1..]));
}

/// The first task, a second one of so many versions, which its last event completes, and its VTID. So version `n` is at
/// position `n + 1`.
async fn long(platform: &Platform, service: &Service, versions: u64) -> String {
    service.create(some_task("another")).await.expect(200);
    let vtid = service.create(some_task("long")).await.expect(200).vtid().to_owned();
    service.patch(&vtid, r#"{"metadata":{"n":1}}"#).await.expect(200);
    append_versions(&mut platform.connection().await, versions - 1).await;
    let done = service.patch(&vtid, r#"{"status":"complete"}"#).await.expect(200);
    assert_eq!(done.position(), versions + 1);
    vtid
}

#[tokio::test]
async fn a_long_stream_is_looked_through_window_by_window() {
    let platform = platform().await;
    let service = platform.serve().await;
    let last = 2 * WINDOW + 100;
    let vtid = long(&platform, &service, last).await;
    let stored = bodies(&mut platform.connection().await).await;
    let expected = &stored[1..];
    assert!(walk(&service, &format!("vtid={vtid}&limit=1000")).await == expected);
    assert!(read_lines(&service, &format!("vtid={vtid}")).await.expect(200).text == lines(expected));
    // What comes two windows further, from wherever the look begins.
    let completed = &stored[stored.len() - 1..];
    for from in [1, 2, 3, 99, 100, 101, 102, WINDOW, WINDOW + 1, WINDOW + 2, last, last + 1] {
        let query = format!("vtid={vtid}&type=vtid-completed&from={from}");
        let page = service.get(&format!("/events?{query}")).await.expect(200);
        assert_eq!((&page_of(&page)[..], &page.body["next"]), (completed, &Value::Null), "{query}");
        assert_eq!(page.position(), last + 1, "{query}");
        assert_eq!(read_lines(&service, &query).await.expect(200).text, lines(completed), "{query}");
    }
}

/// Somebody with every right took events out of the log: those that are left are shown, and found wherever the look begins.
#[tokio::test]
async fn what_is_left_of_a_stream_that_lacks_events_is_found() {
    let platform = platform().await;
    let service = platform.serve().await;
    let versions = WINDOW + 1_000;
    let vtid = long(&platform, &service, versions).await;
    let before = bodies(&mut platform.connection().await).await;
    let gone = [5_000..=5_100, WINDOW + 1..=WINDOW + 1, WINDOW + 500..=WINDOW + 600];
    let mut connection = platform.connection().await;
    sqlx::raw_sql("alter table ledger.event disable trigger user").execute(&mut connection).await.unwrap();
    for range in &gone {
        let delete = "delete from ledger.event where position between $1 and $2";
        let [first, last] = [range.start(), range.end()].map(|position| i64::try_from(*position).unwrap());
        sqlx::query(delete).bind(first).bind(last).execute(&mut connection).await.unwrap();
    }
    let is_left = |position: u64| !gone.iter().any(|range: &RangeInclusive<u64>| range.contains(&position));
    let left = |from: u64| -> Vec<&String> {
        let all = (1..).zip(&before).skip(1);
        all.filter(|(position, _)| *position >= from && is_left(*position)).map(|(_, body)| body).collect()
    };
    for from in [1, 2, 4_999, 5_000, 5_001, 5_050, 5_100, 5_101, WINDOW, WINDOW + 1, WINDOW + 550] {
        let told = read_lines(&service, &format!("vtid={vtid}&from={from}")).await.expect(200);
        assert!(told.text.lines().eq(left(from)), "from {from}");
        let query = format!("/events?vtid={vtid}&type=vtid-completed&from={from}");
        let page = service.get(&query).await.expect(200);
        assert_eq!(page_of(&page), before[before.len() - 1..], "from {from}");
    }
    let time = |position: u64| {
        let body: Value = serde_json::from_str(&before[usize::try_from(position).unwrap() - 1]).unwrap();
        body["time"].as_str().unwrap().to_owned()
    };
    for position in [4_999, 5_050, 5_101, WINDOW + 1] {
        let query = format!("/events?vtid={vtid}&limit=1&since={}", time(position));
        let page = service.get(&query).await.expect(200);
        assert_eq!(page_of(&page)[..1], [left(position)[0].clone()], "since {position}");
    }
}
