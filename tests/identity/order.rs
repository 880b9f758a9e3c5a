//! What is told first: 401 · 429 · the role's 403 · route, VTID, query · 415 · 413 · 400 · 404 · the tenant's 403 · 409.

use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::eventually;
use crate::support::service::{Answer, Service, platform};
use crate::support::tokens::{WITH_SECRET, authenticated, token};

async fn send(service: &Service, token: Option<&str>, method: Method, path: &str, body: &str) -> Answer {
    send_as(service, token, method, path, body, "application/json").await
}

async fn send_as(
    service: &Service,
    token: Option<&str>,
    method: Method,
    path: &str,
    body: &str,
    content_type: &str,
) -> Answer {
    let request = service.request(method, path).header("content-type", content_type).body(body.to_owned());
    let request = match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    service.send(request).await
}

#[tokio::test]
async fn faults_are_told_in_the_contracts_order() {
    let platform = platform().await;
    let mut arguments = WITH_SECRET.to_vec();
    arguments.extend(["--rate-limit-per-s", "1", "--rate-limit-burst", "30"]);
    let service = platform.serve_with(&arguments).await;
    let ann = authenticated("ann", "acme");
    let task = json!({"taskFamily": "f", "taskType": "t", "description": "d", "tenant": "other"}).to_string();
    let made = send(&service, Some(&ann), Method::POST, "/vtid/create", &task).await.expect(200);
    let path = format!("/vtid/{}", made.vtid());
    let large = "x".repeat(300_000);

    // A stranger hears 401, whatever else is wrong; so often as he likes.
    for (method, path, body) in [
        (Method::GET, "/nothing", ""),
        (Method::DELETE, "/vtid/create", ""),
        (Method::PATCH, "/vtid/foo?x=1", large.as_str()),
        (Method::POST, "/vtid/create", "{}"),
    ] {
        send(&service, None, method, path, body).await.expect(401);
    }
    let outsider = token(&json!({"role": "anon", "sub": "out"}));
    for (method, path) in
        [(Method::GET, "/nothing"), (Method::DELETE, "/vtid/create"), (Method::GET, "/vtid/foo")]
    {
        send(&service, Some(&outsider), method, path, "").await.expect(403);
    }
    let ann = Some(ann.as_str());
    send(&service, ann, Method::DELETE, &path, &large).await.expect(405);
    send_as(&service, ann, Method::PATCH, "/vtid/foo?x=1", &large, "text/plain").await.expect(400);
    send_as(&service, ann, Method::PATCH, &path, &large, "text/plain").await.expect(415);
    send(&service, ann, Method::PATCH, &path, &large).await.expect(413);
    send(&service, ann, Method::PATCH, &path, "{}").await.expect(400);
    send(&service, ann, Method::PATCH, "/vtid/VTID-2020-0001", r#"{"status":"active"}"#).await.expect(404);
    send(&service, ann, Method::PATCH, &path, r#"{"status":"complete"}"#).await.expect(403);

    // With an empty bucket: before the role is looked at, after the token is.
    let out_of_turn = async |caller: &str| {
        for _ in 0..200 {
            let answer = send(&service, Some(caller), Method::GET, "/nothing", "").await;
            if answer.status == 429 {
                return answer;
            }
        }
        panic!("nobody counts");
    };
    let refused = out_of_turn(&outsider).await;
    assert_eq!(
        (&refused.body["error"], &refused.body["code"]),
        (&json!("Too many requests"), &json!("too_many_requests"))
    );
    assert_eq!(refused.header("retry-after"), "1");
    send(&service, None, Method::GET, "/nothing", "").await.expect(401);
}

/// There is no way around the question who calls: only the two exact paths need no token.
#[tokio::test]
async fn no_spelling_of_a_path_gets_by_without_a_token() {
    let platform = platform().await;
    let service = platform.serve_with(&WITH_SECRET).await;
    let address = service.base().trim_start_matches("http://");
    for target in [
        "//readyz",
        "/readyz/",
        "/%72eadyz",
        "/vtid/health/",
        "/vtid/%68ealth",
        "/VTID/health",
        "/vtid/health/../list",
        "/vtid/health;x=1",
        "/vtid/list",
        "http://x/vtid/list",
        "*",
    ] {
        for method in ["GET", "HEAD", "OPTIONS", "POST", "DELETE", "BREW"] {
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let head = format!("{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 401 "), "{method} {target}: {answer}");
            assert!(answer.contains("www-authenticate: Bearer"), "{method} {target}: {answer}");
        }
    }
    for path in ["/readyz", "/vtid/health"] {
        service.get(path).await.expect(200);
        send(&service, None, Method::POST, path, "").await.expect(405);
    }
}

/// Whoever is refused is found in the log: why, from where, and as whom; the token is not.
#[tokio::test]
async fn refusals_and_writes_can_be_found_in_the_log() {
    let platform = platform().await;
    let service = platform.serve_with(&WITH_SECRET).await;
    let ann = authenticated("ann-7", "acme");
    send(&service, None, Method::GET, "/vtid/list", "").await.expect(401);
    let outsider = token(&json!({"role": "worker", "sub": "worker-9"}));
    send(&service, Some(&outsider), Method::GET, "/vtid/list", "").await.expect(403);
    send(&service, Some(&ann), Method::GET, "/vtid/list", "").await.expect(200);
    let (reason, here) = ("a token is needed: Authorization: Bearer <token>", "127.0.0.1");
    for words in [
        &["a caller was refused", reason, here][..],
        &["Forbidden", "worker-9"],
        &["ann-7", "\"status\":200"],
    ] {
        // Its log comes through a pipe.
        eventually(&format!("{words:?} in one line of the log"), async || {
            let lines = service.log_lines();
            let mut lines = lines.iter().map(ToString::to_string);
            lines.any(|line| words.iter().all(|word| line.contains(word))).then_some(())
        })
        .await;
    }
    let signature = ann.rsplit('.').next().unwrap();
    assert!(!service.log_text().contains(signature));
}
