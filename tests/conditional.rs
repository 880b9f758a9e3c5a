//! `If-Match` on a patch, `If-None-Match` on a read (RFC 9110, 13.1).

use futures::future::join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::support::keyed::events;
use crate::support::service::{Answer, Service, platform, some_task};
use crate::support::tokens::{WITH_SECRET, authenticated};

const PATCH: &str = r#"{"metadata":{"a":1}}"#;

fn patch_if(service: &Service, vtid: &str, tags: &[&str], body: &str) -> RequestBuilder {
    let request = service.with_body(Method::PATCH, &format!("/vtid/{vtid}"), body);
    tags.iter().fold(request, |request, tags| request.header("if-match", *tags))
}

/// A task at version 3.
async fn third(service: &Service) -> String {
    let vtid = service.create(some_task("one")).await.expect(200).vtid().to_owned();
    for _ in 0..2 {
        service.patch(&vtid, PATCH).await.expect(200);
    }
    vtid
}

fn assert_mismatch(answer: &Answer, current: u64) {
    assert_eq!(answer.status, 412, "{answer:?}");
    assert_eq!(answer.header("etag"), format!("\"v{current}\""), "{answer:?}");
    assert_eq!(
        answer.body,
        json!({"ok": false, "error": "Version mismatch", "code": "version_mismatch", "detail": {"current": current}})
    );
}

#[tokio::test]
async fn a_patch_is_done_only_at_a_version_that_is_expected() {
    let platform = platform().await;
    let service = platform.serve().await;
    let vtid = third(&service).await;
    let before = events(&mut platform.connection().await).await;
    for others in [
        &["\"v2\""][..],
        &["\"v4\", \"v2\""],
        &["W/\"v3\""],
        &["\"3\""],
        &["\"v03\""],
        &["\"V3\""],
        &["\"\""],
        &["\"v3,\""],
        &["\"v1\"", "W/\"v3\""],
        &["\"v18446744073709551619\""],
    ] {
        assert_mismatch(&service.send(patch_if(&service, &vtid, others, PATCH)).await, 3);
    }
    assert_eq!(events(&mut platform.connection().await).await, before, "nothing was written");
    for (version, tags) in (3..).zip([
        &["\"v3\""][..],
        &["*"],
        &["\"v1\",\"v5\""],
        &["W/\"v5\" ,, \"v6\","],
        &["\"other\"", "\"v7\""],
        &["\"a,b\", \"v8\""],
    ]) {
        let answer = service.send(patch_if(&service, &vtid, tags, PATCH)).await.expect(200);
        assert_eq!(answer.header("etag"), format!("\"v{}\"", version + 1), "{tags:?}");
    }
    // What an answer bore can be sent back as it is.
    let tag = service.get(&format!("/vtid/{vtid}")).await.header("etag").to_owned();
    service.send(patch_if(&service, &vtid, &[&tag], PATCH)).await.expect(200);
    assert_mismatch(&service.send(patch_if(&service, &vtid, &[&tag], PATCH)).await, 10);
}

#[tokio::test]
async fn a_mismatch_is_told_after_404_and_the_tenants_403_and_before_409() {
    let platform = platform().await;
    let service = platform.serve_with(&WITH_SECRET).await;
    let ann = authenticated("ann", "acme");
    let create = async |tenant: &str| {
        let body = some_task("one").replace("system", tenant);
        let request = service.with_body(Method::POST, "/vtid/create", body).bearer_auth(&ann);
        service.send(request.header("if-match", "nonsense")).await.expect(200).vtid().to_owned()
    };
    let (own, foreign) = (create("acme").await, create("other").await);
    let patch = async |vtid: &str, body: &str| {
        service.send(patch_if(&service, vtid, &["\"v9\""], body).bearer_auth(&ann)).await
    };
    patch(&own, "{}").await.expect(400);
    patch("VTID-1999-0001", PATCH).await.expect(404);
    patch("VTID-2026-0000", PATCH).await.expect(404);
    patch(&foreign, PATCH).await.expect(403);
    assert_mismatch(&patch(&own, PATCH).await, 1);
    let complete = patch_if(&service, &own, &["\"v1\""], r#"{"status":"complete"}"#).bearer_auth(&ann);
    service.send(complete).await.expect(200);
    let active = r#"{"status":"active"}"#;
    assert_mismatch(&patch(&own, active).await, 2);
    service.send(patch_if(&service, &own, &["\"v2\""], active).bearer_auth(&ann)).await.expect(409);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_one_finds_the_version() {
    let platform = platform().await;
    let services = [platform.serve().await, platform.serve().await];
    let vtid = services[0].create(some_task("one")).await.expect(200).vtid().to_owned();
    for version in 1..=15_u64 {
        let tag = format!("\"v{version}\"");
        let sent = (0..10).map(|n| {
            let service = &services[n % 2];
            service.send(patch_if(service, &vtid, &[&tag], PATCH))
        });
        let answers = join_all(sent).await;
        let (done, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
        assert_eq!(done.len(), 1, "{answers:?}");
        for answer in refused {
            assert_mismatch(answer, version + 1);
        }
    }
    assert_eq!(events(&mut platform.connection().await).await, 16);
}

async fn get_if(service: &Service, method: Method, vtid: &str, tags: &[&str]) -> Answer {
    let request = service.request(method, &format!("/vtid/{vtid}"));
    service.send(tags.iter().fold(request, |request, tags| request.header("if-none-match", *tags))).await
}

#[tokio::test]
async fn a_reader_who_has_the_version_is_told_so() {
    let platform = platform().await;
    let service = platform.serve().await;
    let vtid = third(&service).await;
    for known in [&["\"v3\""][..], &["W/\"v3\""], &["*"], &["\"v1\", W/\"v3\""], &["\"x\"", "\"v3\""]] {
        for method in [Method::GET, Method::HEAD] {
            let answer = get_if(&service, method, &vtid, known).await.expect(304);
            assert_eq!((answer.header("etag"), answer.position()), ("\"v3\"", 3), "{known:?}");
            assert_eq!(answer.text, "");
            for name in ["content-type", "content-length", "transfer-encoding"] {
                assert!(!answer.headers.contains_key(name), "{answer:?}");
            }
            assert!(!answer.header("x-request-id").is_empty());
        }
    }
    for other in [&["\"v2\""][..], &["\"v4\",\"v33\""], &["\"\""], &["\"3\""]] {
        let answer = get_if(&service, Method::GET, &vtid, other).await.expect(200);
        assert_eq!(answer.body["data"]["vtid"], vtid, "{other:?}");
    }
    get_if(&service, Method::GET, "VTID-1999-0001", &["*"]).await.expect(404);
    // A read with a condition sees what was written before, as every read does.
    service.patch(&vtid, PATCH).await.expect(200);
    let answer = get_if(&service, Method::GET, &vtid, &["\"v3\""]).await.expect(200);
    assert_eq!((answer.header("etag"), answer.position()), ("\"v4\"", 4));
}

#[tokio::test]
async fn malformed_conditions_are_an_invalid_query() {
    let platform = platform().await;
    let service = platform.serve().await;
    let vtid = third(&service).await;
    let before = events(&mut platform.connection().await).await;
    for wrong in ["", ",", "v3", "\"v3", "'v3'", "\"v3\" \"v4\"", "w/\"v3\"", "*, \"v3\"", "\"v 3\"", "**"] {
        for answer in [
            service.send(patch_if(&service, &vtid, &[wrong], PATCH)).await,
            get_if(&service, Method::GET, &vtid, &[wrong]).await,
        ] {
            let named = if answer.text.contains("If-Match") { "If-Match" } else { "If-None-Match" };
            assert_eq!(answer.status, 400, "{wrong}: {answer:?}");
            assert_eq!(answer.body["error"], "Invalid query");
            assert_eq!(answer.body["detail"][0]["path"], json!([named]), "{wrong}");
        }
    }
    let request = service.request(Method::GET, &format!("/vtid/{vtid}?x=1"));
    let answer = service.send(request.header("if-none-match", "x").header("ledger-min-position", "y")).await;
    let paths: Vec<_> =
        answer.body["detail"].as_array().unwrap().iter().map(|f| f["path"][0].clone()).collect();
    assert_eq!(paths, ["x", "Ledger-Min-Position", "If-None-Match"]);
    assert_eq!(events(&mut platform.connection().await).await, before);
}
