//! `GET /vtid/list` and `GET /vtid/{vtid}`

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::service::{Answer, Service, platform, some_task};

fn vtids(answer: &Answer) -> Vec<String> {
    answer.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["vtid"].as_str().unwrap().to_owned())
        .collect()
}

async fn create_many(service: &Service, count: usize) {
    for chunk in (0..count).collect::<Vec<_>>().chunks(50) {
        let creates = chunk.iter().map(|n| service.create(some_task(&format!("task {n}"))));
        join_all(creates).await.into_iter().for_each(|answer| drop(answer.expect(200)));
    }
}

#[tokio::test]
async fn newest_first_fifty_by_default() {
    let platform = platform().await;
    let service = platform.serve().await;
    create_many(&service, 60).await;
    let page = service.get("/vtid/list").await.expect(200);
    assert_eq!((&page.body["ok"], &page.body["count"]), (&json!(true), &json!(50)));
    assert_eq!(page.position(), 60);
    let numbers: Vec<u64> = vtids(&page).iter().map(|vtid| vtid[10..].parse().unwrap()).collect();
    assert_eq!(numbers, (11..=60).rev().collect::<Vec<_>>());
    let cursor = page.body["next_cursor"].as_str().unwrap();
    let rest = service.get(&format!("/vtid/list?cursor={cursor}")).await.expect(200);
    assert_eq!((&rest.body["count"], &rest.body["next_cursor"]), (&json!(10), &Value::Null));
    let exact = service.get("/vtid/list?limit=60").await.expect(200);
    assert_eq!(exact.body["next_cursor"], Value::Null, "nothing follows");
    assert_eq!(service.get("/vtid/list?limit=1").await.expect(200).body["count"], 1);
}

#[tokio::test]
async fn every_filter_filters_and_they_combine() {
    let platform = platform().await;
    let service = platform.serve().await;
    let parent = service.create(some_task("parent")).await.expect(200).vtid().to_owned();
    let body = format!(
        r#"{{"taskFamily":"A b&c","taskType":"ü","description":"d","tenant":"acme","status":"active","assignedTo":"me@x","parentVtid":"{parent}"}}"#
    );
    let task = service.create(body).await.expect(200).vtid().to_owned();
    for query in [
        "taskFamily=A%20b%26c",
        "taskFamily=A+b%26c",
        "taskType=%C3%BC",
        "status=active",
        "tenant=acme",
        "assignedTo=me%40x",
        &format!("parentVtid={parent}"),
        &format!(
            "tenant=acme&status=active&taskFamily=A+b%26c&taskType=%C3%BC&assignedTo=me@x&parentVtid={parent}&limit=5"
        ),
    ] {
        let answer = service.get(&format!("/vtid/list?{query}")).await.expect(200);
        assert_eq!(vtids(&answer), std::slice::from_ref(&task), "{query}");
    }
    for query in
        ["tenant=acme&status=pending", "taskFamily=a%20b%26c", "parentVtid=VTID-2025-0000", "assignedTo=%25"]
    {
        assert_eq!(service.get(&format!("/vtid/list?{query}")).await.expect(200).body["count"], 0, "{query}");
    }
}

#[tokio::test]
async fn a_page_walk_shows_every_row_once_while_others_are_created() {
    let platform = platform().await;
    let service = platform.serve().await;
    create_many(&service, 1000).await;
    let began = vtids(&service.get("/vtid/list?limit=1000").await.expect(200));
    assert_eq!(began.len(), 1000);
    let more = create_many(&service, 500);
    let walk = async {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = service.get(&format!("/vtid/list?tenant=system&limit=37{cursor}")).await.expect(200);
            seen.extend(vtids(&page));
            match page.body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return seen,
            }
        }
    };
    let ((), seen) = tokio::join!(more, walk);
    let unique: BTreeSet<&String> = seen.iter().collect();
    assert_eq!(unique.len(), seen.len(), "no row twice");
    assert!(began.iter().all(|vtid| unique.contains(vtid)), "every row that existed when the walk began");
}

#[tokio::test]
async fn an_answer_ends_early_at_four_mebibytes() {
    let platform = platform().await;
    let service = platform.serve().await;
    let large = |n: usize| {
        let metadata = format!("{{\"m\":\"{}\"}}", "m".repeat(32 * 1024 - 8));
        let description = "d".repeat(10_000);
        format!(
            r#"{{"taskFamily":"f{n}","taskType":"t","description":"{description}","tenant":"t","metadata":{metadata}}}"#
        )
    };
    for chunk in (0..120).collect::<Vec<_>>().chunks(20) {
        join_all(chunk.iter().map(|n| service.create(large(*n))))
            .await
            .into_iter()
            .for_each(|a| drop(a.expect(200)));
    }
    let page = service.get("/vtid/list?limit=1000").await.expect(200);
    let count = page.body["count"].as_u64().unwrap();
    assert!((90..=99).contains(&count), "{count} rows of 43 KB");
    assert!(page.text.len() < 4 * 1024 * 1024 + 64 * 1024, "{}", page.text.len());
    let cursor = page.body["next_cursor"].as_str().unwrap();
    let rest = service.get(&format!("/vtid/list?limit=1000&cursor={cursor}")).await.expect(200);
    assert_eq!(rest.body["count"].as_u64().unwrap() + count, 120);
}

#[tokio::test]
async fn bad_queries_are_refused() {
    let platform = platform().await;
    let service = platform.serve().await;
    create_many(&service, 3).await;
    let cursor =
        service.get("/vtid/list?limit=1").await.expect(200).body["next_cursor"].as_str().unwrap().to_owned();
    let mut tampered = cursor.clone().into_bytes();
    tampered[3] = if tampered[3] == b'A' { b'B' } else { b'A' };
    let tampered = String::from_utf8(tampered).unwrap();
    for query in [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=x",
        "limit=",
        "limit=+5",
        "limit=1&limit=2",
        "cursor=x",
        "cursor=",
        &format!("cursor={tampered}"),
        &format!("cursor={cursor}&tenant=other"),
        "status=done",
        "status=ACTIVE",
        "tenant=A*",
        "tenant=",
        "parentVtid=foo",
        "parentVtid=VTID-2026-1",
        "unknown=1",
        "taskfamily=x",
        "taskFamily=%ff",
        "taskFamily=%",
        "taskFamily=%00",
        &format!("taskFamily={}", "x".repeat(101)),
        &format!("assignedTo={}", "x".repeat(201)),
        "taskFamily=a&taskFamily=b",
        "=",
        "tenant",
    ] {
        let answer = service.get(&format!("/vtid/list?{query}")).await.expect(400);
        assert_eq!(
            (&answer.body["error"], &answer.body["code"]),
            (&json!("Invalid query"), &json!("invalid_query")),
            "{query}"
        );
    }
    service.get(&format!("/vtid/list?limit=1&cursor={cursor}")).await.expect(200);
}

#[tokio::test]
async fn get_finds_a_task_or_says_so() {
    let platform = platform().await;
    let service = platform.serve().await;
    let created = service.create(some_task("found")).await.expect(200);
    let found = service.get(created.header("location")).await.expect(200);
    assert_eq!(found.body, json!({"ok": true, "data": created.body["data"]}));
    assert_eq!((found.header("etag"), found.position()), ("\"v1\"", 1));
    let missing = service.get("/vtid/VTID-2026-0777").await.expect(404);
    assert_eq!(missing.body["error"], "VTID not found");
    for vtid in ["VTID-2026-0000", "VTID-2026-9223372036854775808", "VTID-0000-99999999999999999999999999"] {
        service.get(&format!("/vtid/{vtid}")).await.expect(404);
    }
    for vtid in [
        "VTID-2026-001",
        "VTID-2026-00001",
        "vtid-2026-0001",
        "VTID-2026-0001x",
        "%F0%9F%9A%80",
        "VTID-%32026-001",
    ] {
        assert_eq!(
            service.get(&format!("/vtid/{vtid}")).await.expect(400).body["error"],
            "Invalid VTID format",
            "{vtid}"
        );
    }
}

#[tokio::test]
async fn a_read_waits_for_the_position_that_it_is_given() {
    let platform = platform().await;
    let (one, other) = (platform.serve().await, platform.serve().await);
    for n in 0..20 {
        let created = one.create(some_task(&format!("n {n}"))).await.expect(200);
        let read = other.request(reqwest::Method::GET, created.header("location"));
        let read = other
            .send(read.header("ledger-min-position", created.header("ledger-position")))
            .await
            .expect(200);
        assert_eq!(read.body["data"], created.body["data"]);
        assert!(read.position() >= created.position());
    }
    let list = other.request(reqwest::Method::GET, "/vtid/list").header("ledger-min-position", "20");
    assert_eq!(other.send(list).await.expect(200).body["count"], 20);
    let future = other.request(reqwest::Method::GET, "/vtid/list").header("ledger-min-position", "9999");
    let behind = other.send(future).await.expect(503);
    assert_eq!((&behind.body["error"], &behind.body["code"]), (&json!("Unavailable"), &json!("read_behind")));
    assert!(!behind.header("retry-after").is_empty());
    for bad in ["x", "-1", "1.5", "99999999999999999999", ""] {
        let request = other.request(reqwest::Method::GET, "/vtid/list").header("ledger-min-position", bad);
        assert_eq!(other.send(request).await.expect(400).body["error"], "Invalid query", "{bad:?}");
    }
}

#[tokio::test]
async fn a_read_sees_every_write_that_was_acknowledged_before() {
    let platform = platform().await;
    let service = platform.serve().await;
    let vtid = service.create(some_task("counter")).await.expect(200).vtid().to_owned();
    join_all((0..8).map(|client| {
        let (service, vtid) = (&service, &vtid);
        async move {
            for n in 0..25 {
                let written =
                    service.patch(vtid, format!(r#"{{"metadata":{{"c{client}":{n}}}}}"#)).await.expect(200);
                let read = service.get(&format!("/vtid/{vtid}")).await.expect(200);
                assert!(read.position() >= written.position());
                assert_eq!(read.body["data"]["metadata"][format!("c{client}")], n, "its own last write");
            }
        }
    }))
    .await;
}

/// Lists by one filter and by several go by connections of two kinds.
#[tokio::test]
async fn reads_keep_to_their_number_of_connections() {
    let platform = platform().await;
    let service = platform.serve_with(&["--read-connections", "2"]).await;
    create_many(&service, 1).await;
    let open = async || -> i64 {
        sqlx::query_scalar(
            r#"select count(*) from pg_stat_activity
            where datname = current_database() and query like '%from "VtidLedger" where true%'
                and pid <> pg_backend_pid()"#,
        )
        .fetch_one(&mut platform.connection().await)
        .await
        .unwrap()
    };
    for queries in [["tenant=acme"; 6], ["tenant=acme&status=pending"; 6], ["tenant=acme"; 6]] {
        let service = &service;
        let lists = queries.map(|query| async move { service.get(&format!("/vtid/list?{query}")).await });
        join_all(lists).await.into_iter().for_each(|answer| drop(answer.expect(200)));
        // A session that was given up ends by itself, a little later.
        eventually("two sessions at most are left", async || (1..=2).contains(&open().await).then_some(()))
            .await;
    }
}
