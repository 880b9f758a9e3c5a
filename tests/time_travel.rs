//! `?at=…` and `?position=…`: tasks and lists as they were.

use proptest::test_runner::{Config, TestCaseError, TestRunner};
use reqwest::Method;
use serde_json::json;
use vtid_ledger::domain::record::Recorded;
use vtid_ledger::domain::status::Status;
use vtid_ledger::domain::task::Task;
use vtid_ledger::domain::time::Timestamp;

use crate::support::generate::{Request, requests};
use crate::support::past::{Tasks, bodies, create_many, folds, page_of, parsed, row, row_of, walk};
use crate::support::service::{Answer, Platform, Service, platform, some_task};

const CASES: u32 = 5;
const REQUESTS: usize = 25;

async fn get(service: &Service, vtid: &str, moment: &str) -> Answer {
    service.get(&format!("/vtid/{vtid}?{moment}")).await
}

/// Sends the requests one after another; gives what was accepted.
async fn send(service: &Service, requests: &[Request]) -> Vec<Answer> {
    let (mut made, mut accepted) = (Vec::new(), Vec::new());
    for request in requests {
        let answer = match request {
            Request::Create(body) => service.create(body.as_str()).await,
            Request::Patch(task, body) => {
                let vtid: &str = made.get(*task).map_or("VTID-1999-0001", String::as_str);
                service.patch(vtid, body.as_str()).await
            }
        };
        if answer.status == 200 {
            if matches!(request, Request::Create(_)) {
                made.push(answer.vtid().to_owned());
            }
            accepted.push(answer);
        }
    }
    accepted
}

/// Each answer's row comes back at its position.
async fn assert_answered(service: &Service, accepted: &[Answer]) {
    for answer in accepted {
        let then = get(service, answer.vtid(), &format!("position={}", answer.position())).await.expect(200);
        let is_page = answer.text.split_once(r#""data":"#).is_some_and(|(_, data)| data.starts_with('['));
        let row = if is_page { page_of_one(answer) } else { row_of(answer) };
        assert_eq!(row_of(&then), row);
        assert_eq!(then.header("etag"), answer.header("etag"));
        assert_eq!(then.position(), answer.position());
    }
}

fn page_of_one(answer: &Answer) -> String {
    row_of(answer).trim_start_matches('[').trim_end_matches(']').to_owned()
}

/// Each task at each position is what the fold says.
async fn assert_folds(service: &Service, folds: &[Tasks], from: usize) {
    let all = folds.last().unwrap();
    for (position, tasks) in folds.iter().enumerate().skip(from) {
        for vtid in all.keys().rev().take(6) {
            let answer = get(service, &vtid.to_string(), &format!("position={position}")).await;
            assert_eq!(answer.position(), position as u64);
            match tasks.get(vtid) {
                None => assert_eq!(answer.expect(404).body["code"], "vtid_not_found"),
                Some(task) => {
                    assert_eq!(row_of(&answer.expect(200)), row(task), "{vtid} at {position}");
                }
            }
        }
    }
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// A filter, and what it lets through.
type Filter = (String, Box<dyn Fn(&Task) -> bool>);

/// Some filters that some of these tasks match, and what matches them.
fn filters(tasks: &Tasks) -> Vec<Filter> {
    let mut filters: Vec<Filter> = vec![(String::new(), Box::new(|_| true))];
    for status in Status::ALL {
        filters.push((format!("&status={status}"), Box::new(move |task| task.status == status)));
    }
    for task in tasks.values().rev().take(2).cloned() {
        let (tenant, kind, family) = (task.tenant.clone(), task.kind.clone(), task.family.clone());
        let name = encoded(tenant.as_str());
        filters.push((format!("&tenant={name}"), Box::new(move |task| task.tenant == tenant)));
        let name = encoded(family.as_str());
        filters.push((format!("&taskFamily={name}"), Box::new(move |task| task.family == family)));
        let (name, status) = (encoded(kind.as_str()), task.status);
        filters.push((
            format!("&taskType={name}&status={status}"),
            Box::new(move |task| task.kind == kind && task.status == status),
        ));
        if let Some(assignee) = task.assigned_to.filter(|assignee| !assignee.as_str().is_empty()) {
            let name = encoded(assignee.as_str());
            filters.push((
                format!("&assignedTo={name}"),
                Box::new(move |task| task.assigned_to.as_ref() == Some(&assignee)),
            ));
        }
        if let Some(parent) = task.parent {
            filters
                .push((format!("&parentVtid={parent}"), Box::new(move |task| task.parent == Some(parent))));
        }
    }
    filters
}

/// Lists are what the folds say, newest first.
async fn assert_lists(service: &Service, tasks: &Tasks, position: u64) {
    for (query, matches) in filters(tasks) {
        let mut expected: Vec<&Task> = tasks.values().filter(|task| matches(task)).collect();
        expected.sort_by_key(|task| std::cmp::Reverse(task.created_position));
        let expected: Vec<String> = expected.into_iter().map(row).collect();
        let pages = walk(service, &format!("/vtid/list?position={position}&limit=5{query}")).await;
        assert!(pages.iter().all(|page| page.position() == position));
        let shown: Vec<String> = pages.iter().flat_map(page_of).collect();
        assert_eq!(shown, expected, "{query} at {position}");
    }
}

async fn case(platform: &Platform, service: &Service, requests: &[Request]) {
    let before = bodies(&mut platform.connection().await).await.len();
    let accepted = send(service, requests).await;
    let log = parsed(&bodies(&mut platform.connection().await).await);
    let folds = folds(&log);
    assert_answered(service, &accepted).await;
    assert_folds(service, &folds, before).await;
    for position in (before..folds.len()).step_by(4) {
        assert_lists(service, &folds[position], position as u64).await;
    }
    assert_times(service, &log, before).await;
}

/// A time shows all that was recorded until then, and in that very millisecond.
async fn assert_times(service: &Service, log: &[Recorded], from: usize) {
    for Recorded { event, .. } in log.iter().skip(from) {
        let time = event.recorded_at;
        let before = Timestamp::from_millis(time.millis() - 1);
        for (at, shown) in [
            (time.to_string(), time),
            (time.to_string().replace('Z', "999Z"), time),
            (before.to_string(), before),
        ] {
            let until = log.iter().take_while(|r| r.event.recorded_at <= shown).count() as u64;
            let answer = get(service, &event.vtid.to_string(), &format!("at={at}")).await;
            assert_eq!(answer.position(), until, "at {at}");
            let same = get(service, &event.vtid.to_string(), &format!("position={until}")).await;
            assert_eq!((answer.status, answer.text), (same.status, same.text), "at {at}");
        }
    }
}

#[test]
fn every_position_shows_the_tasks_as_they_were_answered_then() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let platform = runtime.block_on(platform());
    let service = runtime.block_on(platform.serve());
    let config =
        Config { cases: CASES, max_shrink_iters: 20, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&requests(REQUESTS), |requests| {
        let run = || runtime.block_on(case(&platform, &service, &requests));
        // A failed assertion is a failed case, which is then made smaller.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        outcome.map_err(|_| TestCaseError::fail("see above"))
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Folded from snapshots, and without them, or from what another version left as one.
#[tokio::test]
async fn a_long_stream_is_the_same_with_snapshots_and_without() {
    let platform = platform().await;
    let service = platform.serve().await;
    let vtid = service.create(some_task("long")).await.expect(200).vtid().to_owned();
    for n in 2..=200 {
        service.patch(&vtid, format!(r#"{{"metadata":{{"n":{n},"k{}":{n}}}}}"#, n % 7)).await.expect(200);
    }
    let folds = folds(&parsed(&bodies(&mut platform.connection().await).await));
    let check = async || {
        for (position, tasks) in folds.iter().enumerate().skip(1) {
            let answer = get(&service, &vtid, &format!("position={position}")).await.expect(200);
            assert_eq!(row_of(&answer), row(tasks.values().next().unwrap()), "at {position}");
            assert_eq!(answer.header("etag"), format!("\"v{position}\""));
        }
    };
    let mut connection = platform.connection().await;
    crate::support::eventually("snapshots are there", async || {
        let count: i64 = sqlx::query_scalar("select count(*) from ledger.snapshot")
            .fetch_one(&mut platform.connection().await)
            .await
            .unwrap();
        (count == 3).then_some(())
    })
    .await;
    check().await;
    let spoil = "update ledger.snapshot set state = '{\"another\": \"version\"}' where version = 128";
    sqlx::raw_sql(spoil).execute(&mut connection).await.unwrap();
    check().await;
    sqlx::raw_sql("delete from ledger.snapshot").execute(&mut connection).await.unwrap();
    check().await;
}

#[tokio::test]
async fn what_is_yet_to_come_and_what_is_wrong_is_refused() {
    let platform = platform().await;
    let service = platform.serve().await;
    create_many(&service, 5).await;
    let vtid = service.get("/vtid/list?limit=1").await.expect(200).body["data"][0]["vtid"].clone();
    let paths = [format!("/vtid/{}", vtid.as_str().unwrap()), "/vtid/list".to_owned()];
    for path in &paths {
        for (query, named) in [
            ("position=6", "position"),
            ("position=9223372036854775807", "position"),
            ("position=-1", "position"),
            ("position=1.0", "position"),
            ("position=", "position"),
            ("position=1&position=1", "position"),
            ("at=9999-01-01T00:00:00Z", "at"),
            ("at=2026-01-01T00:00:00", "at"),
            ("at=2026-01-01T00:00:00+01:00", "at"),
            ("at=now", "at"),
            ("at=", "at"),
            ("at=2026-01-01T00:00:00Z&position=1", "position"),
        ] {
            let answer = service.get(&format!("{path}?{query}")).await.expect(400);
            assert_eq!(answer.body["error"], "Invalid query", "{path}?{query}");
            assert_eq!(answer.body["detail"][0]["path"], json!([named]), "{path}?{query}");
        }
    }
    let told = service.get("/vtid/list?position=6").await.expect(400);
    assert_eq!(told.body["detail"][0]["message"], "must be 5 at most: the ledger ends there");
    // Each walk's cursors are its own.
    let cursor = async |query: &str| {
        let page = service.get(&format!("/vtid/list?limit=1{query}")).await.expect(200);
        page.body["next_cursor"].as_str().unwrap().to_owned()
    };
    let (today, then) = (cursor("").await, cursor("&position=4").await);
    for query in [
        format!("position=4&cursor={today}"),
        format!("cursor={then}"),
        format!("position=5&cursor={then}"),
        format!("position=4&status=pending&cursor={then}"),
        format!("at=2026-01-01T00:00:00Z&cursor={then}"),
    ] {
        let answer = service.get(&format!("/vtid/list?{query}")).await.expect(400);
        assert_eq!(answer.body["detail"][0]["path"], json!(["cursor"]), "{query}");
    }
    service.get(&format!("/vtid/list?position=4&cursor={then}")).await.expect(200);
}

#[tokio::test]
async fn a_past_state_is_told_with_its_version_and_position() {
    let platform = platform().await;
    let (one, other) = (platform.serve().await, platform.serve().await);
    let created = one.create(some_task("first")).await.expect(200);
    one.create(some_task("second")).await.expect(200);
    one.patch(created.vtid(), r#"{"status":"active"}"#).await.expect(200);
    let path = format!("/vtid/{}?position=2", created.vtid());
    // Another process shows it at once: it reads the log itself.
    let then = other.get(&path).await.expect(200);
    assert_eq!((then.header("etag"), then.position()), ("\"v1\"", 2));
    assert_eq!(then.body["data"], created.body["data"]);
    let known = other.request(Method::GET, &path).header("if-none-match", "\"v1\"");
    let known = other.send(known).await.expect(304);
    assert_eq!((known.header("etag"), known.position(), known.text.as_str()), ("\"v1\"", 2, ""));
    let newer = other.request(Method::GET, &path).header("if-none-match", "\"v2\"");
    other.send(newer).await.expect(200);
    for never in ["VTID-2026-0000", "VTID-2026-0777"] {
        assert_eq!(other.get(&format!("/vtid/{never}?position=2")).await.expect(404).position(), 2);
    }
    let before = other.get(&format!("/vtid/{}?position=0", created.vtid())).await.expect(404);
    assert_eq!((before.position(), &before.body["code"]), (0, &json!("vtid_not_found")));
    let nothing = other.get("/vtid/list?position=0").await.expect(200);
    assert_eq!((nothing.body["count"].as_u64(), nothing.position()), (Some(0), 0));
    let early = other.get("/vtid/list?at=2001-01-01T00:00:00Z").await.expect(200);
    assert_eq!((early.body["count"].as_u64(), early.position()), (Some(0), 0));
    let behind = other.request(Method::GET, &path).header("ledger-min-position", "9");
    assert_eq!(other.send(behind).await.expect(503).body["code"], "read_behind");
}
