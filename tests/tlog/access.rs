//! Who may ask: hashes are for anybody, records for those with a token.

use serde_json::json;

use super::stage::{Stage, stage};
use crate::support::eventually;
use crate::support::service::{platform, some_task};
use crate::support::tokens::{WITH_SECRET, authenticated, token};

const PUBLIC: [&str; 4] =
    ["/tlog/checkpoint", "/tlog/tile/0/000.p/3", "/tlog/tile/0/000.p/2", "/tlog/consistency?from=1&to=3"];

async fn with(stage: &Stage, path: &str, token: &str) -> u16 {
    let request = stage.service.request(reqwest::Method::GET, path).bearer_auth(token);
    stage.service.send(request).await.status.as_u16()
}

#[tokio::test]
async fn hashes_are_for_anybody_and_records_for_those_with_a_token() {
    let stage = stage("ledger.example.org/access").await;
    let vtid = stage.create("one").await;
    stage.grow(3).await;
    stage.seal().await;
    let records = [
        "/tlog/tile/entries/000.p/3".to_owned(),
        "/events/1/proof".to_owned(),
        format!("/vtid/{vtid}/proof"),
        format!("/vtid/{vtid}/proof?version=1"),
    ];
    let outsider = token(&json!({"role": "anon"}));
    let expired = token(&json!({"role": "admin", "exp": 1_000_000_000}));
    let member = authenticated("ann", "elsewhere");
    for path in PUBLIC {
        stage.get_plain(path).await.expect(200);
        for token in [&outsider, &expired, &member, "nonsense"] {
            assert_eq!(with(&stage, path, token).await, 200, "{path}");
        }
    }
    for path in &records {
        let answer = stage.get_plain(path).await.expect(401);
        assert!(!answer.text.contains("specversion"), "{path}");
        assert_eq!(with(&stage, path, &expired).await, 401, "{path}");
        assert_eq!(with(&stage, path, &outsider).await, 403, "{path}");
        assert_eq!(with(&stage, path, &member).await, 200, "{path}");
    }
}

#[tokio::test]
async fn whoever_needs_no_token_is_counted_by_address() {
    let stage = stage("ledger.example.org/rate").await;
    stage.grow(1).await;
    stage.seal().await;
    let printed = stage.key.print();
    let limit = ["--rate-limit-per-s", "1", "--rate-limit-burst", "4", "--audit-key", &printed];
    let limited = stage.platform.serve_with(&[&WITH_SECRET[..], &limit[..]].concat()).await;
    let mut asked = 0;
    let refused = eventually("it is refused", async || {
        asked += 1;
        let answer = limited.get("/tlog/checkpoint").await;
        (answer.status == 429).then_some(answer)
    })
    .await;
    assert!(asked > 4, "{asked}");
    assert_eq!(refused.header("retry-after"), "1");
    // Whoever has a token has a count of its own.
    let request = limited.request(reqwest::Method::GET, "/vtid/list").bearer_auth(&stage.token);
    limited.send(request).await.expect(200);
}

/// Without a key there is no such log, and it is said why.
#[tokio::test]
async fn a_ledger_without_a_key_has_no_log_to_show() {
    let platform = platform().await;
    let service = platform.serve().await;
    let vtid = service.create(some_task("unsealed")).await.expect(200).vtid().to_owned();
    let proof = format!("/vtid/{vtid}/proof");
    for path in PUBLIC.into_iter().chain(["/tlog/tile/entries/000", "/events/1/proof", &proof]) {
        let answer = service.get(path).await.expect(404);
        assert_eq!(answer.body["error"], "Not found", "{path}");
        assert!(answer.body["detail"].as_str().unwrap().contains("AUDIT_KEY"), "{path}: {}", answer.text);
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
    }
}
