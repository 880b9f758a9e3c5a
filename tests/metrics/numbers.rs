//! After known requests the counters say how many there were.

use reqwest::Method;

use crate::support::scrape::{Scrape, promtool};
use crate::support::service::{Service, platform, some_task};

/// Both followers stand at the head.
fn caught_up(scrape: &Scrape, head: i64) -> bool {
    scrape.get("head") == Some(head)
        && ["projector", "relay"].iter().all(|follower| {
            scrape.get(&format!("follower_position{{follower=\"{follower}\"}}")) == Some(head)
                && scrape.get(&format!("follower_lag_events{{follower=\"{follower}\"}}")) == Some(0)
                && scrape.get(&format!("follower_lag_seconds{{follower=\"{follower}\"}}")) == Some(0)
        })
}

fn answered(scrape: &Scrape, method: &str, route: &str, status: u16) -> Option<i64> {
    let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
    scrape.get(&format!("http_requests_total{{{labels}}}"))
}

fn appended(scrape: &Scrape, kind: &str) -> i64 {
    scrape.value(&format!("events_appended_total{{type=\"{kind}\"}}"))
}

/// 5 creates, one of them as complete, one patch that completes and one that does not: 8 events.
async fn write_eight_events(service: &Service) {
    let first = service.create(some_task("0")).await.expect(200).vtid().to_owned();
    for number in 1..4 {
        service.create(some_task(&number.to_string())).await.expect(200);
    }
    let complete = some_task("complete").replace("\"taskType\"", "\"status\":\"complete\",\"taskType\"");
    service.create(complete).await.expect(200);
    service.patch(&first, r#"{"status":"active"}"#).await.expect(200);
    service.patch(&first, r#"{"status":"complete"}"#).await.expect(200);
}

#[tokio::test]
async fn events_and_what_becomes_of_them_are_counted() {
    let platform = platform().await;
    let service = platform.serve_scraped().await;
    // What a rate begins with.
    let fresh = service.scrape().await;
    for kind in ["vtid-created", "vtid-updated", "vtid-completed"] {
        assert_eq!(appended(&fresh, kind), 0, "{kind}");
    }
    write_eight_events(&service).await;
    service.patch("VTID-2026-0001", r#"{"status":"active"}"#).await;
    let scrape = service.scraped("the followers are there", |scrape| caught_up(scrape, 8)).await;
    assert_eq!(appended(&scrape, "vtid-created"), 5);
    assert_eq!(appended(&scrape, "vtid-updated"), 1);
    assert_eq!(appended(&scrape, "vtid-completed"), 2);
    assert_eq!(scrape.value("group_events_sum"), 8);
    assert_eq!(scrape.value("group_events_count"), scrape.value("appends_total{outcome=\"appended\"}"));
    assert_eq!(scrape.value("appends_total{outcome=\"appended\"}"), 7);
    assert!(scrape.value("append_duration_seconds_count") >= 7, "{}", scrape.text);
    assert_eq!(scrape.value("task_duration_seconds_count"), 2);
    assert_eq!(scrape.value("task_duration_seconds_bucket{le=\"60\"}"), 2);
    assert_eq!(scrape.value("relay_publishes_total{outcome=\"published\"}"), 8);
    assert_eq!(platform.stream_length().await, 8);
    let (queue, most) = (scrape.value("queue_commands"), scrape.value("queue_commands_max"));
    assert_eq!((queue, most), (0, 4096));
    assert_eq!((scrape.value("ready"), scrape.value("degraded"), scrape.value("hold")), (1, 0, 0));
    promtool(&["check", "metrics"], &scrape.text);
}

#[tokio::test]
async fn requests_are_counted_by_template_and_status() {
    let platform = platform().await;
    let service = platform.serve_scraped().await;
    let vtid = service.create(some_task("one")).await.expect(200).vtid().to_owned();
    service.create(some_task("two")).await.expect(200);
    service.create("{}").await.expect(400);
    service.get(&format!("/vtid/{vtid}")).await.expect(200);
    service.get("/vtid/VTID-2026-7777").await.expect(404);
    service.get("/vtid/nonsense").await.expect(400);
    for unknown in ["/secret-path-1", "/secret-path-2", "/vtid/a/b"] {
        service.get(unknown).await.expect(404);
    }
    for made_up in ["BREW", "ROAST"] {
        let method = Method::from_bytes(made_up.as_bytes()).unwrap();
        service.send(service.request(method, "/nowhere")).await.expect(404);
    }
    let scrape = service.scrape().await;
    assert_eq!(answered(&scrape, "POST", "/vtid/create", 200), Some(2));
    assert_eq!(answered(&scrape, "POST", "/vtid/create", 400), Some(1));
    for status in [200, 404, 400] {
        assert_eq!(answered(&scrape, "GET", "/vtid/{vtid}", status), Some(1), "{status}: {}", scrape.text);
    }
    assert_eq!(answered(&scrape, "GET", "none", 404), Some(3));
    assert_eq!(answered(&scrape, "other", "none", 404), Some(2));
    let created = "http_request_duration_seconds_count{method=\"POST\",route=\"/vtid/create\"}";
    assert_eq!(scrape.value(created), 3);
    for never in ["secret-path", "VTID-", "nonsense", "BREW", "ROAST"] {
        assert!(!scrape.text.contains(never), "{never}: {}", scrape.text);
    }
    assert_eq!(scrape.value("http_requests_abandoned_total"), 0);
}

#[tokio::test]
async fn the_counters_of_two_processes_add_up_to_the_ledger() {
    let platform = platform().await;
    let (one, other) = (platform.serve_scraped().await, platform.serve_scraped().await);
    for number in 0..6 {
        // Each finds that the other has written since: it loses a race once, and then waits for its turn at once.
        let service = if number % 2 == 0 { &one } else { &other };
        service.create(some_task(&number.to_string())).await.expect(200);
    }
    let (one, other) = (one.scrape().await, other.scrape().await);
    for scrape in [&one, &other] {
        assert_eq!(appended(scrape, "vtid-created"), 3);
        assert_eq!(scrape.value("group_events_sum"), 3);
        assert!(scrape.value("turns_total") >= 3, "{}", scrape.text);
    }
    let lost = |scrape: &Scrape| scrape.value("appends_total{outcome=\"lost_race\"}");
    assert_eq!((lost(&one), lost(&other)), (1, 1), "whoever has met the other tries nothing else");
    // Whoever published it, each event is in the stream once.
    let published = |scrape: &Scrape| scrape.value("relay_publishes_total{outcome=\"published\"}");
    assert!(published(&one) + published(&other) <= 6);
}
