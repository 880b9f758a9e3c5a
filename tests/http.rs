//! What holds for every route: errors in one form, request ids, methods, health, readiness, stopping.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::eventually;
use crate::support::service::{platform, some_task};

#[tokio::test]
async fn unknown_routes_and_methods_are_told_in_the_one_form() {
    let platform = platform().await;
    let service = platform.serve().await;
    for path in ["/", "/vtid", "/vtid/", "/vtid/list/", "/nothing", "/vtid/create/x", "//vtid/list"] {
        let answer = service.get(path).await.expect(404);
        assert_eq!(
            (&answer.body["ok"], &answer.body["error"]),
            (&json!(false), &json!("Not found")),
            "{path}"
        );
        assert_eq!(answer.header("content-type"), "application/json");
        assert!(!answer.header("x-request-id").is_empty());
    }
    for (method, path, allowed) in [
        (Method::GET, "/vtid/create", "POST"),
        (Method::DELETE, "/vtid/VTID-2026-0001", "GET,HEAD,PATCH"),
        (Method::PUT, "/vtid/VTID-2026-0001", "GET,HEAD,PATCH"),
        (Method::POST, "/vtid/list", "GET,HEAD"),
        (Method::POST, "/vtid/health", "GET,HEAD"),
        (Method::PATCH, "/readyz", "GET,HEAD"),
    ] {
        let answer = service.send(service.request(method.clone(), path)).await.expect(405);
        let mut told: Vec<&str> = answer.header("allow").split(',').map(str::trim).collect();
        told.sort_unstable();
        assert_eq!(told.join(","), allowed, "{method} {path}");
        assert_eq!(answer.body["ok"], false);
        assert_eq!(answer.body["code"], "method_not_allowed");
    }
}

#[tokio::test]
async fn every_answer_bears_a_request_id() {
    let platform = platform().await;
    let service = platform.serve().await;
    let with_id = |path: &str, id: &str| service.request(Method::GET, path).header("x-request-id", id);
    for path in ["/vtid/health", "/readyz", "/vtid/list", "/vtid/VTID-2026-0001", "/nothing", "/vtid/create"]
    {
        let given = service.send(with_id(path, "abc:1/2.3-X_")).await;
        assert_eq!(given.header("x-request-id"), "abc:1/2.3-X_", "{path}");
        for bad in ["", "a b", "a,b", &"x".repeat(129)] {
            let made = service.send(with_id(path, bad)).await;
            assert!(uuid::Uuid::parse_str(made.header("x-request-id")).is_ok(), "{path} {bad:?}");
        }
    }
    let create = service.with_body(Method::POST, "/vtid/create", some_task("traced"));
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let create = create.header("x-request-id", "the-one").header("traceparent", trace);
    let answer = service.send(create).await.expect(200);
    assert_eq!(answer.header("x-request-id"), "the-one");
    let body: String = sqlx::query_scalar("select body from ledger.event")
        .fetch_one(&mut platform.connection().await)
        .await
        .unwrap();
    let record: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&record["correlationid"], &record["traceparent"]), (&json!("the-one"), &json!(trace)));
    let line = eventually("the request's line", async || {
        let lines = service.log_lines();
        lines.into_iter().find(|line| line.to_string().contains("the-one") && line["status"] == 200)
    })
    .await;
    assert!(line["duration_ms"].is_number(), "{line}");
}

#[tokio::test]
async fn health_and_readiness() {
    let platform = platform().await;
    let service = platform.serve().await;
    let health = service.get("/vtid/health").await.expect(200);
    assert_eq!((&health.body["ok"], &health.body["service"]), (&json!(true), &json!("vtid-ledger")));
    assert_eq!(health.body["timestamp"].as_str().unwrap().len(), 24);
    for n in 0..5 {
        service.create(some_task(&format!("n {n}"))).await.expect(200);
    }
    let caught_up = eventually("followers have caught up", async || {
        let ready = service.get("/readyz").await.expect(200);
        let followers = ready.body["followers"].as_array().unwrap().clone();
        let caught_up = followers.iter().all(|f| f["position"] == 5 && f["lag_events"] == 0);
        (ready.body["head"] == 5 && followers.len() == 2 && caught_up).then_some(ready)
    })
    .await;
    assert_eq!(caught_up.body["degraded"], json!([]));
}

#[tokio::test]
async fn without_nats_writes_and_reads_go_on_and_readyz_says_degraded() {
    let mut platform = platform().await;
    let service = platform.serve().await;
    service.create(some_task("before")).await.expect(200);
    platform.nats.stop().await;
    let created = service.create(some_task("during")).await.expect(200);
    service.get(created.header("location")).await.expect(200);
    eventually("readyz tells", async || {
        let ready = service.get("/readyz").await.expect(200);
        ready.body["degraded"].to_string().contains("relay").then_some(())
    })
    .await;
    platform.nats.start().await;
    eventually("the relay has caught up", async || {
        let ready = service.get("/readyz").await.expect(200);
        (ready.body["degraded"] == json!([])).then_some(())
    })
    .await;
    assert_eq!(platform.stream_length().await, 2);
}

#[tokio::test]
async fn a_process_that_is_told_to_stop_answers_what_is_under_way_and_leaves() {
    let platform = platform().await;
    let mut service = platform.serve().await;
    let body = some_task("in flight");
    let head = format!(
        "POST /vtid/create HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream =
        tokio::net::TcpStream::connect(service.base().trim_start_matches("http://")).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body.as_bytes()[..10]).await.unwrap();
    // Its head has surely been read once another request on a later connection was answered.
    service.get("/vtid/health").await.expect(200);
    service.terminate();
    eventually("no new connection is taken", async || {
        service.try_send(service.request(Method::GET, "/vtid/health")).await.is_none().then_some(())
    })
    .await;
    stream.write_all(&body.as_bytes()[10..]).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(service.ended().await.success());
    let count: i64 = sqlx::query_scalar("select count(*) from ledger.event")
        .fetch_one(&mut platform.connection().await)
        .await
        .unwrap();
    assert_eq!(count, 1);
}

#[tokio::test]
async fn readyz_is_503_while_the_log_holds_an_event_that_this_version_does_not_know() {
    let platform = platform().await;
    let service = platform.serve().await;
    service.create(some_task("known")).await.expect(200);
    platform.append_unknown_event().await;
    let answer = eventually("readyz is 503", async || {
        let ready = service.get("/readyz").await;
        (ready.status == StatusCode::SERVICE_UNAVAILABLE).then_some(ready)
    })
    .await;
    assert!(answer.text.contains("vtid-moved"), "{}", answer.text);
}

#[tokio::test]
async fn a_killed_process_leaves_all_that_it_acknowledged() {
    let platform = platform().await;
    let mut service = platform.serve().await;
    let mut acknowledged = Vec::new();
    for n in 0..50 {
        acknowledged
            .push(service.create(some_task(&format!("n {n}"))).await.expect(200).body["data"].clone());
    }
    service.kill();
    let next = platform.serve().await;
    for row in &acknowledged {
        let read = next.get(&format!("/vtid/{}", row["vtid"].as_str().unwrap())).await.expect(200);
        assert_eq!(read.body["data"], *row);
    }
    assert_eq!(next.create(some_task("after")).await.expect(200).position(), 51);
    eventually("everything is published, once", async || {
        (platform.stream_length().await == 51).then_some(())
    })
    .await;
}
