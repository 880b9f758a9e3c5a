//! What is told first, where the key is known: 401 · the role's 403 · VTID, query · 415 · 413 · the key · 400 · 404 · the
//! tenant's 403 · 412 · 409.

use reqwest::RequestBuilder;
use serde_json::json;

use crate::support::keyed::{Keyed, assert_replayed, assert_reused, events};
use crate::support::service::{platform, some_task};
use crate::support::tokens::{WITH_SECRET, authenticated, token};

#[tokio::test]
async fn a_known_key_is_told_after_the_head_and_before_the_body() {
    let platform = platform().await;
    let service = platform.serve_with(&WITH_SECRET).await;
    let ann = authenticated("ann", "system");
    let as_ann = async |request: RequestBuilder| service.send(request.bearer_auth(&ann)).await;
    let created = as_ann(Keyed::create("k", some_task("one")).request(&service)).await.expect(200);
    let other = some_task("foreign").replace("system", "other");
    let foreign = as_ann(service.with_body(reqwest::Method::POST, "/vtid/create", other)).await.expect(200);
    let before = events(&mut platform.connection().await).await;
    let large = "x".repeat(300_000);

    let patch = Keyed::patch("k", created.vtid(), "nonsense");
    service.send(patch.request(&service)).await.expect(401);
    let outsider = token(&json!({"role": "anon", "sub": "ann"}));
    service.send(patch.request(&service).bearer_auth(&outsider)).await.expect(403);
    let malformed = Keyed::patch("k", "VTID-1", "nonsense");
    assert_eq!(as_ann(malformed.request(&service)).await.expect(400).body["code"], "invalid_vtid");
    let query = Keyed { path: format!("{}?x=1", patch.path), ..patch.clone() };
    assert_eq!(as_ann(query.request(&service)).await.expect(400).body["code"], "invalid_query");
    let condition = patch.request(&service).header("if-match", "v1");
    assert_eq!(as_ann(condition).await.expect(400).body["code"], "invalid_query");
    let text = service.request(patch.method.clone(), &patch.path).header("idempotency-key", "k").body("{}");
    as_ann(text.header("content-type", "text/plain")).await.expect(415);
    as_ann(patch.with_body(large).request(&service)).await.expect(413);

    for reused in [
        patch.clone(),
        patch.with_body("{}"),
        patch.with_body(""),
        Keyed::create("k", "[]"),
        Keyed::patch("k", "VTID-1999-0001", r#"{"status":"active"}"#),
        Keyed::patch("k", "VTID-2026-0000", r#"{"status":"active"}"#),
        Keyed::patch("k", foreign.vtid(), r#"{"status":"active"}"#),
    ] {
        assert_reused(&as_ann(reused.request(&service)).await);
        assert_reused(&as_ann(reused.request(&service).header("if-match", "\"v9\"")).await);
    }
    assert_eq!(events(&mut platform.connection().await).await, before);
}

/// What would be refused by now is still answered as it was when it was not.
#[tokio::test]
async fn a_replay_comes_before_whatever_stands_against_it_by_now() {
    let platform = platform().await;
    let service = platform.serve().await;
    let vtid = service.create(some_task("one")).await.expect(200).vtid().to_owned();
    let patch = Keyed::patch("k", &vtid, r#"{"status":"active"}"#);
    let send = async || service.send(patch.request(&service).header("if-match", "\"v1\"")).await;
    let first = send().await.expect(200);
    assert_replayed(&send().await, &first);
    service.patch(&vtid, r#"{"status":"complete"}"#).await.expect(200);
    assert_replayed(&send().await, &first);
    // The header that is no part of the request's hash may be left out, or be another.
    patch.replays(&service, &first).await;
    assert_replayed(&service.send(patch.request(&service).header("if-match", "\"v3\"")).await, &first);
    let read = service.get(&format!("/vtid/{vtid}")).await.expect(200);
    assert_eq!((read.header("etag"), &read.body["data"]["status"]), ("\"v3\"", &json!("complete")));
}
