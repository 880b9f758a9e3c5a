//! What is told first, and that everything is told in one form.

use super::support::*;

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn unknown_routes() {
    let server = start().await;
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/vtid"),
        ("GET", "/vtid/"),
        ("GET", "/vtid/list/"),
        ("POST", "/vtid/VTID-2026-0001/event"),
        ("OPTIONS", "/nothing?x=1"),
        ("BREW", "/pot"),
    ] {
        let response = server.request(method, path).send().await.unwrap();
        error(response, 404, "Not found", "not_found").await;
    }
    for request in ["OPTIONS * HTTP/1.1", "CONNECT example.org:443 HTTP/1.1"] {
        let answer = server.raw(&format!("{request}\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 404") && answer.contains(r#""code":"not_found""#), "{answer}");
    }
}

#[tokio::test]
async fn wrong_methods_name_the_right_ones() {
    let server = start().await;
    for (method, path, allow) in [
        ("GET", "/vtid/create", "POST"),
        ("OPTIONS", "/vtid/create", "POST"),
        ("POST", "/vtid/list", "GET,HEAD"),
        ("PATCH", "/vtid/list", "GET,HEAD"),
        ("DELETE", "/vtid/VTID-2026-0001", "GET,HEAD,PATCH"),
        ("POST", "/vtid/malformed", "GET,HEAD,PATCH"),
        ("OPTIONS", "/vtid/VTID-2026-0001", "GET,HEAD,PATCH"),
        ("POST", "/vtid/health", "GET,HEAD"),
        ("PUT", "/readyz", "GET,HEAD"),
        ("BREW", "/readyz", "GET,HEAD"),
    ] {
        let response = server.request(method, path).send().await.unwrap();
        assert_eq!(response.headers()["allow"], allow, "{method} {path}");
        error(response, 405, "Method not allowed", "method_not_allowed").await;
    }
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let server = start().await;
    let whole = server.request("GET", "/vtid/health").send().await.unwrap();
    let head = server.request("HEAD", "/vtid/health").send().await.unwrap();
    assert_eq!(head.status(), 200);
    assert_eq!(head.headers()["content-length"], whole.headers()["content-length"]);
    assert_eq!(
        whole.text().await.unwrap(),
        r#"{"ok":true,"service":"vtid-ledger","timestamp":"1970-01-01T00:00:00.000Z"}"#
    );
    for (path, status) in [("/nothing", 404), ("/vtid/x", 400), ("/vtid/create", 405)] {
        let head = server.request("HEAD", path).send().await.unwrap();
        assert_eq!(head.status(), status);
        assert!(head.headers().contains_key("x-request-id"));
        assert_eq!(head.text().await.unwrap(), "");
    }
}

#[tokio::test]
async fn malformed_numbers_in_the_path() {
    let server = start().await;
    for path in
        ["foo", "VTID-2026-1", "vtid-2026-0001", "VTID-2026-00001", "%ff", "%", "%zz", "VTID-2026-0001%2F"]
    {
        for method in ["GET", "PATCH"] {
            let answer = server
                .raw(&format!("{method} /vtid/{path}?x=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
                .await;
            assert!(answer.starts_with("HTTP/1.1 400"), "{path}: {answer}");
            assert!(answer.contains(r#""error":"Invalid VTID format","code":"invalid_vtid""#), "{answer}");
        }
    }
}

#[tokio::test]
async fn a_patch_with_every_fault_hears_of_them_in_the_contracts_order() {
    let mut server = start().await;
    let large = vec![b'x'; 300_000];

    let send = |path: &str| server.request("PATCH", path).header("content-type", "text/plain");
    let response = send("/vtid/foo?x=1").body(large.clone()).send().await.unwrap();
    error(response, 400, "Invalid VTID format", "invalid_vtid").await;

    let response = send("/vtid/VTID-2025-0000?x=1&y=2").body(large.clone()).send().await.unwrap();
    let detail = error(response, 400, "Invalid query", "invalid_query").await;
    assert_eq!(paths(&detail), ["x", "y"]);

    let response = send("/vtid/VTID-2025-0000").body(large.clone()).send().await.unwrap();
    error(response, 415, "Unsupported media type", "unsupported_media_type").await;

    let response = server.json("PATCH", "/vtid/VTID-2025-0000", large).send().await.unwrap();
    error(response, 413, "Payload too large", "payload_too_large").await;

    let response = server.json("PATCH", "/vtid/VTID-2025-0000", "{}").send().await.unwrap();
    let detail = error(response, 400, "Invalid payload", "invalid_payload").await;
    assert_eq!(paths(&detail), [""]);

    let patch = r#"{"status":"active"}"#;
    let response = server.json("PATCH", "/vtid/VTID-2025-0000", patch).send().await.unwrap();
    error(response, 404, "VTID not found", "vtid_not_found").await;
    assert!(server.submissions.try_recv().is_err(), "nothing of this reaches the writer");
}

#[tokio::test]
async fn no_route_takes_parameters_that_it_does_not_know() {
    let server = start().await;
    for (method, path) in [
        ("GET", "/vtid/VTID-2026-0001"),
        ("GET", "/vtid/list"),
        ("GET", "/vtid/health"),
        ("GET", "/readyz"),
        ("POST", "/vtid/create"),
    ] {
        let response = server.request(method, &format!("{path}?verbose=1")).send().await.unwrap();
        let detail = error(response, 400, "Invalid query", "invalid_query").await;
        assert_eq!(paths(&detail), ["verbose"]);
    }
    let response = server.request("GET", "/vtid/health?").send().await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn a_malformed_min_position_is_told_with_the_query() {
    let server = start().await;
    for path in ["/vtid/list?limit=0", "/vtid/VTID-2026-0001?limit=0", "/vtid/VTID-2025-0000?limit=0"] {
        let response = server.request("GET", path).header("ledger-min-position", "x").send().await.unwrap();
        let detail = error(response, 400, "Invalid query", "invalid_query").await;
        assert_eq!(paths(&detail), ["limit", "Ledger-Min-Position"]);
    }
}

#[tokio::test]
async fn every_fault_of_a_payload_is_told() {
    let server = start().await;
    let body = r#"{"taskFamily":" ","description":5,"tenant":"A","status":"x","extra":1,"metadata":[]}"#;
    let response = server.json("POST", "/vtid/create", body).send().await.unwrap();
    let mut named = paths(&error(response, 400, "Invalid payload", "invalid_payload").await);
    named.sort();
    assert_eq!(named, ["description", "extra", "metadata", "status", "taskFamily", "taskType", "tenant"]);
    for body in ["", "x", "[]", "{\"a\":1", "{}{}", "\u{feff}{}"] {
        let response = server.json("POST", "/vtid/create", body).send().await.unwrap();
        let detail = error(response, 400, "Invalid payload", "invalid_payload").await;
        assert_eq!(paths(&detail), [""], "{body}");
    }
}

#[tokio::test]
async fn bodies_that_are_not_plain_json() {
    let server = start().await;
    let send = || server.request("POST", "/vtid/create").body(CREATE);
    for request in [
        send(),
        send().header("content-type", "application/x-www-form-urlencoded"),
        send().header("content-type", "application/json; charset=latin1"),
        send().header(JSON.0, JSON.1).header("content-encoding", "gzip"),
    ] {
        let response = request.send().await.unwrap();
        error(response, 415, "Unsupported media type", "unsupported_media_type").await;
    }
}

#[tokio::test]
async fn a_panic_tells_nothing_of_the_inside() {
    let server = start().await;
    let response = server.request("GET", "/panic").header("x-request-id", "find-me").send().await.unwrap();
    assert_eq!(response.headers()["x-request-id"], "find-me");
    let detail = error(response, 500, "Internal error", "internal_error").await;
    assert!(detail.is_null());
    let after = server.request("GET", "/vtid/health").send().await.unwrap();
    assert_eq!(after.status(), 200);
}

#[tokio::test]
async fn request_ids() {
    let server = start().await;
    let sent = |id: &str| server.request("GET", "/nothing").header("x-request-id", id).send();
    assert_eq!(sent("a/b:c-1.2").await.unwrap().headers()["x-request-id"], "a/b:c-1.2");
    let made = sent("a b").await.unwrap().headers()["x-request-id"].to_str().unwrap().to_owned();
    assert!(uuid::Uuid::parse_str(&made).is_ok(), "{made}");
}
