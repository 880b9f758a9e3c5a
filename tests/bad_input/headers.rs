//! Content types, compressed bodies, floods of parameters and headers, and heads that are none.

use std::io::Write;

use reqwest::Method;

use super::ledger::{Ledger, NOT_JSON, create_with, payload, query};
use super::raw::{exchange, only_answer};

/// A create with these headers; each of them as often as it stands here.
fn post(ledger: &Ledger, headers: &[(&str, &str)], body: Vec<u8>) -> reqwest::RequestBuilder {
    let request = ledger.service.request(Method::POST, "/vtid/create").body(body);
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
}

#[tokio::test]
async fn content_types_other_than_json() {
    let ledger = Ledger::start().await;
    let body = create_with(&[]).into_bytes();
    ledger.refuses(post(&ledger, &[], body.clone()), &NOT_JSON, "none").await;
    for kind in [
        "",
        "text/plain",
        "text/json",
        "text/html",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/octet-stream",
        "application/jsonx",
        "application/json5",
        "application/xml",
        "application/merge-patch+json",
        "application/vnd.api+json",
        "application/*",
        "*/*",
        "json",
        "application/json; charset=utf-16",
        "application/json; charset=latin1",
        "application/json, text/plain",
        "application/json;;;=",
        "аpplication/json",
    ] {
        ledger.refuses(post(&ledger, &[("content-type", kind)], body.clone()), &NOT_JSON, kind).await;
        let patch = ledger.service.request(Method::PATCH, &format!("/vtid/{}", ledger.vtid));
        let patch = patch.header("content-type", kind).body("{\"status\":\"active\"}");
        ledger.refuses(patch, &NOT_JSON, kind).await;
    }
    let twice = [("content-type", "application/json"), ("content-type", "application/json")];
    ledger.refuses(post(&ledger, &twice, body.clone()), &NOT_JSON, "two").await;
    // It is told before the body's own faults, and its size.
    let text = [("content-type", "text/plain")];
    ledger.refuses(post(&ledger, &text, b"nonsense".to_vec()), &NOT_JSON, "nonsense").await;
    ledger.refuses(post(&ledger, &text, vec![b' '; 300_000]), &NOT_JSON, "large").await;
    for kind in [
        "application/json",
        "APPLICATION/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=\"UTF-8\"",
    ] {
        ledger.takes(post(&ledger, &[("content-type", kind)], body.clone())).await;
    }
}

/// A stream of stored deflate blocks: what `gzip -0` would send.
fn gzip(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap();
    let mut packed = vec![0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    packed.extend(length.to_le_bytes());
    packed.extend((!length).to_le_bytes());
    packed.write_all(body).unwrap();
    packed.extend(crc32(body).to_le_bytes());
    packed.extend(u32::from(length).to_le_bytes());
    packed
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[tokio::test]
async fn compressed_bodies() {
    let ledger = Ledger::start().await;
    let packed = gzip(create_with(&[]).as_bytes());
    let json = ("content-type", "application/json");
    for encoding in [
        "gzip",
        "GZIP",
        "x-gzip",
        "deflate",
        "br",
        "zstd",
        "compress",
        "identity, gzip",
        "gzip, identity",
        "",
        "nonsense",
    ] {
        for body in [packed.clone(), create_with(&[]).into_bytes()] {
            let request = post(&ledger, &[json, ("content-encoding", encoding)], body);
            ledger.refuses(request, &NOT_JSON, encoding).await;
        }
    }
    let twice = [json, ("content-encoding", "identity"), ("content-encoding", "gzip")];
    ledger.refuses(post(&ledger, &twice, packed.clone()), &NOT_JSON, "two encodings").await;
    // Unsaid, it is just no JSON.
    ledger.refuses(post(&ledger, &[json], packed), &payload(&[""]), "unsaid").await;
    let identity = [json, ("content-encoding", "Identity")];
    ledger.takes(post(&ledger, &identity, create_with(&[]).into_bytes())).await;
}

fn get(target: &str, headers: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n").into_bytes()
}

#[tokio::test]
async fn a_flood_of_parameters() {
    let ledger = Ledger::start().await;
    let before = ledger.head().await;
    for pair in ["a=1&", "limit=1&", "&", "taskFamily=%F0%9F%9A%80&"] {
        let million = get(&format!("/vtid/list?{}", pair.repeat(1_000_000)), "");
        let answer = only_answer(&ledger.service, &million).await;
        assert!(answer.status.is_client_error(), "{answer:?}");
    }
    // As many as a head has room for: the list of faults stays short.
    let path = format!("/vtid/list?{}", "limit=1&".repeat(3_800));
    ledger.refuses(ledger.get(&path), &query(&["limit"]), "the same").await;
    let distinct: Vec<String> = (0..4_000).map(|n| format!("x{n}=1")).collect();
    let answer = ledger.service.get(&format!("/vtid/list?{}", distinct.join("&"))).await.expect(400);
    assert_eq!(answer.body["error"], "Invalid query");
    assert_eq!(answer.body["detail"].as_array().unwrap().len(), 101);
    for path in ["/vtid/create?x=1".to_owned(), format!("/vtid/{}?x=1", ledger.vtid)] {
        let method = if path.contains("create") { Method::POST } else { Method::PATCH };
        ledger.refuses(ledger.with_json(method, &path, create_with(&[])), &query(&["x"]), &path).await;
    }
    assert_eq!(ledger.head().await, before);
}

#[tokio::test]
async fn floods_of_headers() {
    let ledger = Ledger::start().await;
    // Besides `host` and `connection`: one more than 100, and further down just as many.
    let many = "x-a: b\r\n".repeat(99);
    let long = format!("x-a: {}\r\n", "b".repeat(64 * 1024));
    let endless = format!("x-a: {}\r\n", "b".repeat(8_000_000));
    let name = format!("{}: b\r\n", "x".repeat(70_000));
    for headers in [many, long, endless, name] {
        let answer = only_answer(&ledger.service, &get("/vtid/list", &headers)).await;
        assert!(answer.status.is_client_error(), "{answer:?}");
    }
    let answer = only_answer(&ledger.service, &get("/vtid/list", &"x-a: b\r\n".repeat(98))).await;
    assert_eq!(answer.status, 200);
}

/// A condition or a key that can't be read is told as a fault of the query, and whatever else is wrong in the head too.
#[tokio::test]
async fn conditions_and_keys_that_are_none() {
    let ledger = Ledger::start().await;
    let patch = || ledger.patch("{\"status\":\"active\"}");
    let long = "k".repeat(256);
    for key in ["", " ", "a b", "a\tb", "\u{e4}", "k\u{a0}", &long] {
        for request in [patch(), ledger.post(create_with(&[]))] {
            ledger.refuses(request.header("idempotency-key", key), &query(&["Idempotency-Key"]), key).await;
        }
    }
    let two = patch().header("idempotency-key", "a").header("idempotency-key", "b");
    ledger.refuses(two, &query(&["Idempotency-Key"]), "two keys").await;
    for tags in ["", ",,", "v1", "\"v1", "'v1'", "\"v1\";\"v2\"", "W/*", "*,*", "\"\u{1F680}\" x"] {
        ledger.refuses(patch().header("if-match", tags), &query(&["If-Match"]), tags).await;
        let get = ledger.get(&format!("/vtid/{}", ledger.vtid)).header("if-none-match", tags);
        ledger.refuses(get, &query(&["If-None-Match"]), tags).await;
    }
    let target = format!("/vtid/{}?x=1", ledger.vtid);
    let all = ledger.with_json(Method::PATCH, &target, "nonsense").header("if-match", "x");
    let all = all.header("idempotency-key", "");
    ledger.refuses(all, &query(&["x", "If-Match", "Idempotency-Key"]), "all of them").await;
    // As many tags as a head has room for.
    let tags = "W/\"v1\",".repeat(3_000);
    let answer = ledger.service.send(patch().header("if-match", &tags)).await.expect(412);
    assert_eq!(answer.body["detail"]["current"], 1);
    ledger.takes(patch().header("if-match", format!("{tags}\"v1\""))).await;
    // Where a header says nothing it is not looked at.
    ledger.takes(ledger.post(create_with(&[])).header("if-match", "x").header("if-none-match", "x")).await;
}

/// What is no HTTP gets a bare 4xx or no answer, and what could be read in two ways is never acted upon.
#[tokio::test]
async fn heads_that_are_none_and_bodies_with_two_lengths() {
    let ledger = Ledger::start().await;
    let before = ledger.head().await;
    let body = create_with(&[]);
    let post = |head: &str| {
        format!(
            "POST /vtid/create HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n{head}\r\n\r\n{body}"
        )
    };
    let length = body.len();
    for request in [
        "this is not HTTP\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}".repeat(4) + "\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "GET /vtid/list\r\n\r\n".to_owned(),
        "GET /vtid/list HTTP/3.0\r\n\r\n".to_owned(),
        "GET /vtid/list HTTP/1.1\r\nno colon\r\n\r\n".to_owned(),
        "GET /vtid/list HTTP/1.1\r\nx: a\0b\r\n\r\n".to_owned(),
        "GET /vtid/list HTTP/1.1\r\nx y: a\r\n\r\n".to_owned(),
        "GET /vtid/li st HTTP/1.1\r\n\r\n".to_owned(),
        "G\u{e4}T /vtid/list HTTP/1.1\r\n\r\n".to_owned(),
        post(&format!("content-length: {length}\r\ncontent-length: {}", length - 1)),
        post(&format!("content-length: {length}, {}", length + 1)),
        post("content-length: -1"),
        post("content-length: +5"),
        post("content-length: 0x10"),
        post("content-length: 99999999999999999999999"),
        post("transfer-encoding: gzip"),
        post("transfer-encoding: identity"),
        post("transfer-encoding: chunked, gzip"),
        post("transfer-encoding: xchunked"),
    ] {
        let answers = exchange(&ledger.service, request.as_bytes()).await;
        let refused = answers.iter().all(|answer| answer.status.is_client_error());
        assert!(refused, "{request:?}: {answers:?}");
        assert!(answers.len() <= 1, "{request:?}: {answers:?}");
    }
    for chunks in ["zz\r\n", "-1\r\n", "ffffffffffffffff1\r\n", "1\r\n{}\r\n0\r\n\r\n"] {
        let head = post("transfer-encoding: chunked");
        let request = head.split_once("\r\n\r\n").unwrap().0.to_owned() + "\r\n\r\n" + chunks + "\r\n";
        let answer = only_answer(&ledger.service, request.as_bytes()).await;
        payload(&[""]).is(&answer, &request);
    }
    assert_eq!(ledger.head().await, before, "something was appended");
}

/// Without a host, with a target in another form, with bytes that are not ASCII: read as far as it can be.
#[tokio::test]
async fn odd_heads_that_can_be_read() {
    let ledger = Ledger::start().await;
    for (request, status) in [
        ("GET /vtid/%zz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 400),
        ("GET http://other.example/vtid/health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 200),
        ("GET * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 404),
        ("OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 404),
        ("CONNECT a.example:443 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 404),
        ("BREW /vtid/list HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 405),
        ("get /vtid/list HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 405),
        ("GET /vtid/health HTTP/1.0\r\n\r\n", 200),
        ("GET /vtid/health HTTP/1.1\r\nx: \u{e4}\u{f6}\r\nhost: x\r\nconnection: close\r\n\r\n", 200),
        ("HEAD /vtid/nothing/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 404),
    ] {
        let answer = only_answer(&ledger.service, request.as_bytes()).await;
        assert_eq!(answer.status, status, "{request:?}: {answer:?}");
        assert!(!answer.header("x-request-id").is_empty(), "{request:?}: {answer:?}");
        if status != 200 && !request.starts_with("HEAD") {
            assert_eq!(answer.body["ok"], false, "{request:?}: {answer:?}");
        }
    }
}
