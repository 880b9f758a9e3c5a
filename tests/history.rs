//! `GET /vtid/{vtid}/events`

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::past::walk;
use crate::support::service::{Answer, Service, platform, some_task};
use crate::support::tokens::{WITH_SECRET, authenticated};

async fn history(service: &Service, vtid: &str) -> Answer {
    service.get(&format!("/vtid/{vtid}/events")).await.expect(200)
}

fn change(field: &str, before: impl Into<Value>, after: impl Into<Value>) -> Value {
    let (before, after): (Value, Value) = (before.into(), after.into());
    json!({"field": field, "before": before, "after": after})
}

/// Each event's changes.
fn changes(answer: &Answer) -> Vec<Value> {
    answer.body["data"].as_array().unwrap().iter().map(|event| event["changes"].clone()).collect()
}

/// The versions that some pages show, in their order.
fn versions(pages: &[Answer]) -> Vec<u64> {
    let events = pages.iter().flat_map(|page| page.body["data"].as_array().unwrap().iter());
    events.map(|event| event["version"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn who_did_what_and_when_oldest_first() {
    let platform = platform().await;
    let service = platform.serve_with(&WITH_SECRET).await;
    let send = async |method: Method, path: &str, who: &str, request_id: &str, body: &str| {
        let request = service.with_body(method, path, body).bearer_auth(authenticated(who, "acme"));
        service.send(request.header("x-request-id", request_id)).await.expect(200)
    };
    let create = r#"{"taskFamily":"F","taskType":"t","description":"d","tenant":"acme","metadata":{"n":1e2,"a":null}}"#;
    let created = send(Method::POST, "/vtid/create", "ada", "request-1", create).await;
    let path = format!("/vtid/{}", created.vtid());
    let body = r#"{"status":"active","assignedTo":"grace","metadata":{"n":null,"b":[1.50]}}"#;
    let patched = send(Method::PATCH, &path, "bob", "request-2", body).await;
    send(Method::PATCH, &path, "bob", "request-3", r#"{"status":"active"}"#).await;
    send(Method::PATCH, &path, "eve", "request-4", r#"{"status":"complete","assignedTo":null}"#).await;
    let request = service.request(Method::GET, &format!("{path}/events"));
    let answer = service.send(request.bearer_auth(authenticated("x", "other"))).await.expect(200);
    assert_eq!((answer.position(), &answer.body["next_cursor"]), (4, &Value::Null));
    let events = answer.body["data"].as_array().unwrap();
    let first = &created.body["data"];
    let expected = json!({
        "id": first["id"], "position": 1, "version": 1, "type": "vtid-created", "time": first["created_at"],
        "actor": "ada", "actor_role": "authenticated", "actor_tenant": "acme", "request_id": "request-1",
        "changes": [
            change("task_family", Value::Null, json!("F")), change("task_type", Value::Null, json!("t")),
            change("description", Value::Null, json!("d")), change("status", Value::Null, json!("pending")),
            change("tenant", Value::Null, json!("acme")),
            change("metadata", Value::Null, json!({"a": null, "n": 100})),
        ],
    });
    assert_eq!(events[0], expected);
    assert!(
        answer
            .text
            .contains(r#"{"field":"metadata","before":{"a":null,"n":100},"after":{"a":null,"b":[1.50]}}"#)
    );
    let told =
        |event: &Value| ["actor", "request_id", "type"].map(|name| event[name].as_str().unwrap().to_owned());
    assert_eq!(told(&events[1]), ["bob", "request-2", "vtid-updated"]);
    assert_eq!(events[1]["time"], patched.body["data"][0]["updated_at"]);
    assert_eq!(events[1]["changes"][0], change("status", json!("pending"), json!("active")));
    assert_eq!(events[1]["changes"][1], change("assigned_to", Value::Null, json!("grace")));
    assert_eq!(events[2]["changes"], json!([]), "somebody asked for it, and nothing changed");
    assert_eq!(told(&events[3]), ["eve", "request-4", "vtid-completed"]);
    let done = [
        change("status", json!("active"), json!("complete")),
        change("assigned_to", json!("grace"), Value::Null),
    ];
    assert_eq!(events[3]["changes"], json!(done));
}

#[tokio::test]
async fn a_task_created_as_complete_has_two_events() {
    let platform = platform().await;
    let service = platform.serve().await;
    let body = some_task("done").replacen('{', r#"{"status":"complete","#, 1);
    let created = service.create(body).await.expect(200);
    let answer = history(&service, created.vtid()).await;
    assert_eq!(answer.body["data"][0]["type"], "vtid-created");
    assert_eq!(answer.body["data"][0]["actor_tenant"], Value::Null, "nobody's, in open mode");
    assert_eq!(answer.body["data"][1]["type"], "vtid-completed");
    assert_eq!(changes(&answer)[1], json!([]));
}

#[tokio::test]
async fn a_walk_shows_each_event_once_while_others_come() {
    let platform = platform().await;
    let service = platform.serve().await;
    let vtid = service.create(some_task("walked")).await.expect(200).vtid().to_owned();
    let other = service.create(some_task("another")).await.expect(200).vtid().to_owned();
    let grow = async |n: usize| {
        service.patch(&vtid, format!(r#"{{"metadata":{{"n":{n}}}}}"#)).await.expect(200);
    };
    for n in 0..150 {
        grow(n).await;
    }
    service.patch(&other, r#"{"status":"active"}"#).await.expect(200);
    let path = format!("/vtid/{vtid}/events?limit=7");
    let more = async {
        for n in 150..200 {
            grow(n).await;
        }
    };
    let (during, ()) = tokio::join!(walk(&service, &path), more);
    let seen = versions(&during);
    assert!(seen.len() >= 151 && seen == (1..=seen.len() as u64).collect::<Vec<_>>(), "{seen:?}");
    for limit in [1, 64, 100, 101, 200, 201, 1000] {
        let pages = walk(&service, &format!("/vtid/{vtid}/events?limit={limit}")).await;
        assert_eq!(versions(&pages), (1..=201).collect::<Vec<_>>(), "limit {limit}");
        assert_eq!(pages.len(), 201_usize.div_ceil(limit), "limit {limit}");
        for page in &pages {
            assert_eq!(page.position(), 203);
            for event in page.body["data"].as_array().unwrap() {
                let n = event["version"].as_u64().unwrap();
                let before = if n > 2 { json!({"n": n - 3}) } else { Value::Null };
                if n > 1 {
                    assert_eq!(event["changes"], json!([change("metadata", before, json!({"n": n - 2}))]));
                }
            }
        }
    }
    let cursor = during[0].body["next_cursor"].as_str().unwrap();
    service.get(&format!("/vtid/{other}/events?cursor={cursor}")).await.expect(400);
}

#[tokio::test]
async fn an_answer_ends_early_at_four_mebibytes() {
    let platform = platform().await;
    let service = platform.serve().await;
    let vtid = service.create(some_task("large")).await.expect(200).vtid().to_owned();
    for n in 0..80 {
        let text = n.to_string().repeat(32 * 1024 / 2 - 8);
        service.patch(&vtid, format!(r#"{{"metadata":{{"m":"{text}"}}}}"#)).await.expect(200);
    }
    let pages = walk(&service, &format!("/vtid/{vtid}/events?limit=1000")).await;
    assert!(pages.len() > 1, "{} bytes", pages[0].text.len());
    assert!(pages.iter().all(|page| page.text.len() < (4 << 20) + (256 << 10)));
    assert_eq!(versions(&pages), (1..=81).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_not_there_and_what_is_wrong() {
    let platform = platform().await;
    let service = platform.serve().await;
    let vtid = service.create(some_task("there")).await.expect(200).vtid().to_owned();
    for missing in ["VTID-2026-0777", "VTID-2026-0000", "VTID-2026-99999999999999999999"] {
        let answer = service.get(&format!("/vtid/{missing}/events")).await.expect(404);
        assert_eq!((&answer.body["code"], answer.position()), (&json!("vtid_not_found"), 1), "{missing}");
    }
    service.get("/vtid/VTID-2026-1/events").await.expect(400);
    for query in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "cursor=x",
        "cursor=",
        "from=1",
        "at=2026-01-01T00:00:00Z",
        "limit=1&limit=1",
        "cursor=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        let answer = service.get(&format!("/vtid/{vtid}/events?{query}")).await.expect(400);
        assert_eq!(answer.body["error"], "Invalid query", "{query}");
    }
    let answer =
        service.send(service.request(Method::POST, &format!("/vtid/{vtid}/events"))).await.expect(405);
    assert_eq!(answer.header("allow"), "GET,HEAD");
    let behind = service.request(Method::GET, &format!("/vtid/{vtid}/events"));
    let behind = service.send(behind.header("ledger-min-position", "2")).await.expect(503);
    assert_eq!(behind.body["code"], "read_behind");
}
