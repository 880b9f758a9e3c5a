//! What a key is, and that a request which is refused leaves it free.

use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::json;

use crate::support::keyed::{Keyed, events, is_replay};
use crate::support::service::{platform, some_task};
use crate::support::tokens::{WITH_SECRET, authenticated};

#[tokio::test]
async fn a_malformed_key_is_an_invalid_query_and_nothing_is_written() {
    let platform = platform().await;
    let service = platform.serve().await;
    let vtid = service.create(some_task("one")).await.expect(200).vtid().to_owned();
    let long = "x".repeat(256);
    let writes = [
        (Method::POST, "/vtid/create".to_owned(), some_task("keyed")),
        (Method::PATCH, format!("/vtid/{vtid}"), r#"{"status":"active"}"#.to_owned()),
    ];
    for (method, path, body) in writes {
        for key in [&b""[..], b"a b", b"a\tb", "schlüssel".as_bytes(), b"\xff", long.as_bytes()] {
            let key = HeaderValue::from_bytes(key).unwrap();
            let request = service.with_body(method.clone(), &path, body.clone());
            let answer = service.send(request.header("idempotency-key", &key)).await.expect(400);
            assert_eq!(answer.body["error"], "Invalid query", "{key:?}");
            assert_eq!(answer.body["detail"][0]["path"], json!(["Idempotency-Key"]), "{answer:?}");
        }
        let twice = service.with_body(method.clone(), &path, body.clone());
        let twice = twice.header("idempotency-key", "k").header("idempotency-key", "k");
        service.send(twice).await.expect(400);
        // Told together with whatever else is wrong in the head.
        let request =
            service.with_body(method, &format!("{path}?x=1"), "nonsense").header("idempotency-key", "");
        let answer = service.send(request).await.expect(400);
        let paths: Vec<_> =
            answer.body["detail"].as_array().unwrap().iter().map(|f| f["path"].clone()).collect();
        assert_eq!(paths, [json!(["x"]), json!(["Idempotency-Key"])]);
    }
    assert_eq!(events(&mut platform.connection().await).await, 1);
    for key in ["k", "!", "~", "\"quoted\"", "a,b;c=d", &long[1..]] {
        let first = Keyed::create(key, some_task(key));
        let answer = first.send(&service).await.expect(200);
        first.replays(&service, &answer).await;
    }
}

#[tokio::test]
async fn a_refused_request_leaves_its_key_free() {
    let platform = platform().await;
    let service = platform.serve_with(&WITH_SECRET).await;
    let ann = authenticated("ann", "system");
    let send = async |request: &Keyed| service.send(request.request(&service).bearer_auth(&ann)).await;
    let make = |tenant: &str| some_task("made").replace("system", tenant);
    let own = send(&Keyed::create("own", make("system"))).await.expect(200).vtid().to_owned();
    let foreign = send(&Keyed::create("foreign", make("other"))).await.expect(200).vtid().to_owned();
    send(&Keyed::patch("done", &own, r#"{"status":"complete"}"#)).await.expect(200);
    let before = events(&mut platform.connection().await).await;
    let k = "k";
    let refused = [
        (Keyed::create(k, "nonsense"), 400),
        (Keyed::create(k, "{}"), 400),
        (Keyed::create(k, make("system").replace('}', r#","parentVtid":"VTID-1999-0001"}"#)), 400),
        (Keyed::create(k, make("system").replace('}', r#","parentVtid":"VTID-2026-0000"}"#)), 400),
        (Keyed::patch(k, &own, "{}"), 400),
        (Keyed::patch(k, "VTID-1999-0001", r#"{"status":"active"}"#), 404),
        (Keyed::patch(k, "VTID-2026-0000", r#"{"status":"active"}"#), 404),
        (Keyed::patch(k, &foreign, r#"{"status":"active"}"#), 403),
        (Keyed::patch(k, &own, r#"{"status":"active"}"#), 409),
    ];
    for (request, status) in &refused {
        for _ in 0..2 {
            let answer = send(request).await.expect(*status);
            assert!(!is_replay(&answer), "{answer:?}");
        }
    }
    let request = Keyed::patch(k, &own, r#"{"assignedTo":"a"}"#);
    let expecting = request.request(&service).bearer_auth(&ann).header("if-match", "\"v1\"");
    service.send(expecting).await.expect(412);
    assert_eq!(events(&mut platform.connection().await).await, before);
    let accepted = send(&request).await.expect(200);
    assert!(!is_replay(&accepted), "{accepted:?}");
    for (request, _) in &refused {
        send(request).await.expect(422);
    }
    assert_eq!(events(&mut platform.connection().await).await, before + 1);
}
