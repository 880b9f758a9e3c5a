//! `GET /events`

use std::collections::BTreeSet;

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use vtid_ledger::domain::position::Position;
use vtid_ledger::domain::record::Recorded;
use vtid_ledger::domain::text::Tenant;
use vtid_ledger::history::History;
use vtid_ledger::history::export::Export;
use vtid_ledger::history::records::{PAGE_POSITIONS, RecordQuery, Wanted};
use vtid_ledger::log::records::RecordFilter;
use vtid_ledger::projections::connections::ReadConnections;
use vtid_ledger::projections::page::PageLimit;
use vtid_ledger::projections::read::Reader;
use vtid_ledger::projections::status::ProjectorStatus;

use crate::support::commands::some_create;
use crate::support::eventually;
use crate::support::past::{append_many, bodies, create_many, lines, page_of, parsed};
use crate::support::service::{Answer, Platform, Service, platform, some_task};
use crate::support::tokens::{WITH_SECRET, authenticated, token};

const LINES: &str = "application/x-ndjson";

async fn read_lines(service: &Service, query: &str) -> Answer {
    let request = service.request(Method::GET, &format!("/events?{query}"));
    service.send(request.header("accept", LINES)).await
}

/// All records by pages of JSON, on from `from`; `query` has the filters.
async fn walk(service: &Service, query: &str) -> Vec<String> {
    let (mut records, mut from) = (Vec::new(), 1);
    loop {
        let page = service.get(&format!("/events?{query}&from={from}")).await.expect(200);
        records.extend(page_of(&page));
        match page.body["next"].as_u64() {
            Some(next) => {
                assert_eq!(next, page.position() + 1);
                from = next;
            }
            None => return records,
        }
    }
}

/// Some thousand events, odd ones among them.
async fn some_thousand(platform: &Platform, service: &Service) -> Vec<String> {
    create_many(service, 1_500).await;
    for odd in ["🚀 \\\" \u{2028}", "a\n\tb", &"\"".repeat(10_000)] {
        let created = service.create(some_task(odd)).await.expect(200);
        let body =
            r#"{"status":"active","metadata":{"zz":1e3,"a":[0.10,12345678901234567890123],"":"\u0001"}}"#;
        service.patch(created.vtid(), body).await.expect(200);
    }
    for chunk in (1..=1_500).collect::<Vec<_>>().chunks(50) {
        let patches = chunk.iter().map(|n| service.patch_number(*n));
        join_all(patches).await.into_iter().for_each(|answer| drop(answer.expect(200)));
    }
    let stored = bodies(&mut platform.connection().await).await;
    assert_eq!(stored.len(), 3_006);
    stored
}

trait PatchNumber {
    async fn patch_number(&self, number: usize) -> Answer;
}

impl PatchNumber for Service {
    async fn patch_number(&self, number: usize) -> Answer {
        let year = vtid_ledger::clock::Clock::system().now().year();
        self.patch(&format!("VTID-{year}-{number:04}"), r#"{"assignedTo":"me"}"#).await
    }
}

#[tokio::test]
async fn the_records_are_the_stored_bytes_by_page_and_by_line() {
    let platform = platform().await;
    let service = platform.serve().await;
    let stored = some_thousand(&platform, &service).await;
    for limit in [1_000, 333] {
        assert_eq!(walk(&service, &format!("limit={limit}")).await, stored, "limit {limit}");
    }
    let whole = read_lines(&service, "").await.expect(200);
    assert_eq!((whole.header("content-type"), whole.header("vary")), (LINES, "accept"));
    assert_eq!(whole.position(), 3_006);
    assert!(whole.text == lines(&stored), "the exact bytes");
    // Whoever loses the rest goes on after the last whole line.
    for cut in [0, 1, 700, 100_000, whole.text.len() - 1, whole.text.len()] {
        let got = whole.text.get(..cut).unwrap_or_default();
        let got = got.rsplit_once('\n').map_or("", |(got, _)| &whole.text[..=got.len()]);
        let last = got.lines().last().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let last = last.map_or(0, |last| last["position"].as_str().unwrap().parse::<u64>().unwrap());
        let rest = read_lines(&service, &format!("from={}", last + 1)).await.expect(200);
        assert!(format!("{got}{}", rest.text) == whole.text, "cut at {cut}");
        assert_eq!(rest.position(), 3_006);
    }
    // With a limit, lines come as pages do.
    let few = read_lines(&service, "from=11&limit=3").await.expect(200);
    assert_eq!((few.text.as_str(), few.position()), (lines(&stored[10..13]).as_str(), 13));
    let head =
        service.send(service.request(Method::HEAD, "/events").header("accept", LINES)).await.expect(200);
    assert_eq!((head.text.as_str(), head.position()), ("", 3_006));
}

#[tokio::test]
async fn a_page_says_where_to_go_on() {
    let platform = platform().await;
    let service = platform.serve().await;
    let empty = service.get("/events").await.expect(200);
    assert_eq!(empty.body, json!({"ok": true, "count": 0, "data": [], "next": null}));
    assert_eq!((empty.position(), read_lines(&service, "").await.expect(200).text.as_str()), (0, ""));
    create_many(&service, 60).await;
    let page = service.get("/events").await.expect(200);
    assert_eq!((&page.body["count"], &page.body["next"], page.position()), (&json!(50), &json!(51), 50));
    let rest = service.get("/events?from=51").await.expect(200);
    assert_eq!((&rest.body["count"], &rest.body["next"], rest.position()), (&json!(10), &Value::Null, 60));
    let exact = service.get("/events?limit=60").await.expect(200);
    assert_eq!(exact.body["next"], Value::Null, "nothing follows");
    let none_yet = service.get("/events?from=61").await.expect(200);
    assert_eq!((&none_yet.body["count"], none_yet.position()), (&json!(0), 60));
    let accepts = service.request(Method::GET, "/events?from=60").header("accept", "application/json, */*");
    assert_eq!(service.send(accepts).await.expect(200).header("content-type"), "application/json");
}

/// Writers of three tenants and the platform, each with some events.
async fn diverse(platform: &Platform, service: &Service) -> Vec<Recorded> {
    let send = async |method: Method, path: &str, token: &str, body: &str| {
        service.send(service.with_body(method, path, body).bearer_auth(token)).await.expect(200)
    };
    for n in 0..12 {
        let (who, tenant) = ([("ada", "a"), ("bob l", "b"), ("ada", "b"), ("ü", "c")])[n % 4];
        let token = authenticated(who, tenant);
        let body =
            format!(r#"{{"taskFamily":"f","taskType":"t","description":"d {n}","tenant":"{tenant}"}}"#);
        let created = send(Method::POST, "/vtid/create", &token, &body).await;
        let path = format!("/vtid/{}", created.vtid());
        send(Method::PATCH, &path, &token, r#"{"status":"active"}"#).await;
        if n % 3 == 0 {
            send(Method::PATCH, &path, &token, r#"{"status":"complete"}"#).await;
        }
    }
    parsed(&bodies(&mut platform.connection().await).await)
}

/// What a filter lets through.
type Matches<'a> = Box<dyn Fn(&Recorded) -> bool + 'a>;

#[tokio::test]
async fn every_filter_filters_and_they_combine() {
    let platform = platform().await;
    let service = platform.serve_with(&WITH_SECRET).await;
    let log = diverse(&platform, &service).await;
    let bearer = token(&json!({"role": "service_role", "sub": "reader"}));
    let time = |index: usize| log[index].event.recorded_at;
    let vtid = log[10].event.vtid;
    let (since, until) = (time(9), time(20));
    let filters: Vec<(String, Matches)> = vec![
        ("tenant=b".into(), Box::new(|r| r.event.tenant.as_str() == "b")),
        ("actor=ada".into(), Box::new(|r| r.event.origin.actor.id.as_str() == "ada")),
        ("actor=%C3%BC".into(), Box::new(|r| r.event.origin.actor.id.as_str() == "ü")),
        ("type=vtid-created".into(), Box::new(|r| r.event.data.event_type().as_str() == "vtid-created")),
        ("type=vtid-completed".into(), Box::new(|r| r.event.data.event_type().as_str() == "vtid-completed")),
        (format!("vtid={vtid}"), Box::new(|r| r.event.vtid == vtid)),
        (
            format!("vtid={vtid}&type=vtid-updated"),
            Box::new(|r| r.event.vtid == vtid && r.event.data.event_type().as_str() == "vtid-updated"),
        ),
        (format!("since={since}"), Box::new(|r| r.event.recorded_at >= since)),
        (format!("until={until}"), Box::new(|r| r.event.recorded_at <= until)),
        (
            format!("since={since}&until={until}&tenant=b&actor=ada"),
            Box::new(|r| {
                (since..=until).contains(&r.event.recorded_at)
                    && (r.event.tenant.as_str(), r.event.origin.actor.id.as_str()) == ("b", "ada")
            }),
        ),
        (
            format!("since={until}&until={since}"),
            Box::new(|r| since == until && r.event.recorded_at == since),
        ),
        ("tenant=nobody".into(), Box::new(|_| false)),
        ("vtid=VTID-2026-0000".into(), Box::new(|_| false)),
        ("vtid=VTID-1999-0001".into(), Box::new(|_| false)),
        ("until=2000-01-01T00:00:00%2B02:00".into(), Box::new(|_| false)),
        ("since=0000-01-01T00:00:00Z".into(), Box::new(|_| true)),
    ];
    let get = async |query: &str, accept: &str| {
        let request = service.request(Method::GET, &format!("/events?{query}")).header("accept", accept);
        service.send(request.bearer_auth(&bearer)).await.expect(200)
    };
    for (query, matches) in filters {
        let expected: Vec<String> = log.iter().filter(|r| matches(r)).map(|r| r.body.to_string()).collect();
        let all = get(&query, LINES).await;
        assert_eq!(all.text, lines(&expected), "{query}");
        assert_eq!(all.position(), log.len() as u64, "{query}");
        let (mut paged, mut from) = (Vec::new(), 1);
        loop {
            let page = get(&format!("{query}&limit=4&from={from}"), "*/*").await;
            paged.extend(page_of(&page));
            let Some(next) = page.body["next"].as_u64() else { break };
            assert_eq!(page.position() + 1, next, "{query}");
            from = next;
        }
        assert_eq!(paged, expected, "{query}");
        // From the middle on.
        let late: Vec<&String> = expected
            .iter()
            .zip(log.iter().filter(|r| matches(r)))
            .filter(|(_, r)| r.event.position.get() >= 15)
            .map(|(body, _)| body)
            .collect();
        let answer = get(&format!("{query}&from=15"), LINES).await;
        assert_eq!(answer.text.lines().collect::<Vec<_>>(), late, "{query}");
    }
}

#[tokio::test]
async fn bad_queries_are_refused() {
    let platform = platform().await;
    let service = platform.serve().await;
    create_many(&service, 3).await;
    for query in [
        "from=0",
        "from=-1",
        "from=x",
        "from=",
        "from=5",
        "from=9223372036854775807",
        "from=9223372036854775808",
        "limit=0",
        "limit=1001",
        "tenant=A*",
        "type=created",
        "type=VTID-CREATED",
        "vtid=foo",
        "vtid=VTID-2026-1",
        "actor=",
        "actor=%00",
        "since=yesterday",
        "since=2026-01-01",
        "until=2026-01-01T00:00:00",
        "until=2026-01-01T00:00:00+00:00",
        "cursor=x",
        "at=2026-01-01T00:00:00Z",
        "tenant=a&tenant=a",
    ] {
        for accept in [LINES, "application/json"] {
            let request = service.request(Method::GET, &format!("/events?{query}")).header("accept", accept);
            let answer = service.send(request).await.expect(400);
            assert_eq!(answer.body["error"], "Invalid query", "{query}");
        }
    }
    let answer = service.get("/events?from=0&type=x&since=1").await.expect(400);
    let named: Vec<&str> =
        answer.body["detail"].as_array().unwrap().iter().map(|f| f["path"][0].as_str().unwrap()).collect();
    assert_eq!(named, ["from", "type", "since"], "every fault");
    let told = service.get("/events?from=5").await.expect(400);
    assert_eq!(told.body["detail"][0]["message"], "must be 4 at most: the ledger ends at position 3");
}

#[tokio::test]
async fn a_read_shows_what_was_acknowledged_by_any_process() {
    let platform = platform().await;
    let (one, other) = (platform.serve().await, platform.serve().await);
    for n in 0..20 {
        let created = one.create(some_task(&format!("n {n}"))).await.expect(200);
        for service in [&one, &other] {
            let read = service.get(&format!("/events?from={}", created.position())).await.expect(200);
            assert_eq!(read.body["data"][0]["subject"], created.body["vtid"]);
            assert!(read.position() >= created.position());
        }
    }
    let late = other.request(Method::GET, "/events").header("ledger-min-position", "21");
    let (late, _) = tokio::join!(other.send(late), one.create(some_task("late")));
    assert_eq!(late.expect(200).position(), 21);
    for accept in ["*/*", LINES] {
        let never = other.request(Method::GET, "/events").header("ledger-min-position", "99");
        let behind = other.send(never.header("accept", accept)).await.expect(503);
        assert_eq!(behind.body["code"], "read_behind");
    }
}

/// Callers who take nothing hold no transaction, only so many of them are let in, and their places are free once they
/// are gone.
#[tokio::test]
async fn exports_are_bounded_and_end_with_their_callers() {
    let platform = platform().await;
    let service = platform.serve().await;
    create_many(&service, 1).await;
    append_many(&mut platform.connection().await, 24_999).await;
    let export =
        async || service.request(Method::GET, "/events").header("accept", LINES).send().await.unwrap();
    let mut open = Vec::new();
    for _ in 0..vtid_ledger::history::EXPORTS_MAX {
        // A machine that is busy may take its time to answer the first look.
        let answered =
            eventually("an export begins", async || Some(export().await).filter(|r| r.status() == 200));
        let mut response = answered.await;
        assert!(response.chunk().await.unwrap().unwrap().starts_with(b"{\"specversion\""));
        open.push(response);
    }
    let refused =
        service.send(service.request(Method::GET, "/events").header("accept", LINES)).await.expect(503);
    assert_eq!(refused.body["code"], "unavailable");
    assert!(refused.text.contains("too many requests are under way"), "{refused:?}");
    assert!(!refused.header("retry-after").is_empty());
    service.get("/events").await.expect(200);
    eventually("nothing is open in the database", async || {
        let open: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
                 and query like '%octet_length(body)%' and (xact_start is not null or state <> 'idle')",
        )
        .fetch_one(&mut platform.connection().await)
        .await
        .unwrap();
        (open == 0).then_some(())
    })
    .await;
    drop(open);
    let whole = eventually("a place is free", async || {
        let answer =
            service.try_send(service.request(Method::GET, "/events").header("accept", LINES)).await?;
        (answer.status == 200).then_some(answer)
    })
    .await;
    let stored = bodies(&mut platform.connection().await).await;
    assert!(whole.text == lines(&stored), "the exact bytes of {} events", stored.len());
}

/// A caller sees that an answer broke off, and gets the rest from another process.
#[tokio::test]
async fn what_an_export_that_broke_off_lacks_follows_on_its_last_line() {
    let platform = platform().await;
    let (mut one, other) = (platform.serve().await, platform.serve().await);
    create_many(&one, 1).await;
    append_many(&mut platform.connection().await, 39_999).await;
    let mut response = one.request(Method::GET, "/events").header("accept", LINES).send().await.unwrap();
    assert_eq!(response.headers()["ledger-position"], "40000");
    let mut got = response.chunk().await.unwrap().unwrap().to_vec();
    one.kill();
    let broke_off = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => got.extend(chunk),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broke_off, "{} bytes looked whole", got.len());
    let got = String::from_utf8_lossy(&got).into_owned();
    let (whole, _) = got.rsplit_once('\n').unwrap();
    let last: Value = serde_json::from_str(whole.lines().last().unwrap()).unwrap();
    let last: u64 = last["position"].as_str().unwrap().parse().unwrap();
    let rest = read_lines(&other, &format!("from={}", last + 1)).await.expect(200);
    let stored = bodies(&mut platform.connection().await).await;
    assert!(format!("{whole}\n{}", rest.text) == lines(&stored), "the exact bytes");
}

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
    assert_eq!((pieces, text.as_str()), (last.div_ceil(10_000), ""));
    let (_, text) = drain(history.export(&of(RecordFilter::default()), Position::ZERO).await.unwrap()).await;
    let stored = bodies(&mut ledger.connection().await).await;
    assert!(text == lines(&stored[1..]));
    let positions: BTreeSet<&String> = stored.iter().collect();
    assert_eq!(positions.len() as u64, last);
}
