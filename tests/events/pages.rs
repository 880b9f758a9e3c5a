//! Pages of JSON, and few lines: the stored bytes, and where to go on.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::{LINES, read_lines, walk};
use crate::support::past::{bodies, create_many, lines};
use crate::support::service::{Answer, Platform, Service, platform, some_task};

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
