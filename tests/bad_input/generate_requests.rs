//! Requests as bytes: methods, targets, headers and bodies, right and odd, and then some that were changed.

use proptest::prelude::*;
use proptest::sample::select;

use super::ledger::encoded;
use super::mutate::{mutated, mutated_text, piece};
use crate::support::generate::{bad_body, create_body, patch_body};

/// What goes over the wire.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) bytes: Vec<u8>,
    /// Whether it surely is one whole request whose head can be read, and the last one of its connection.
    pub(crate) is_request: bool,
}

impl Sent {
    /// Whether the text is in it, in small letters or others.
    pub(crate) fn mentions(&self, text: &str) -> bool {
        self.bytes.to_ascii_lowercase().windows(text.len()).any(|part| part == text.as_bytes())
    }
}

/// Requests to a ledger that has these tasks, and gave this cursor.
pub(crate) fn requests(vtids: &[String], cursor: &str) -> BoxedStrategy<Sent> {
    let is = |is_request: bool| move |bytes: Vec<u8>| Sent { bytes, is_request };
    prop_oneof![
        6 => right(vtids).prop_map(is(true)),
        8 => odd(vtids, cursor).prop_map(is(true)),
        4 => mutated(prop_oneof![right(vtids), odd(vtids, cursor)], 4).prop_map(is(false)),
        1 => proptest::collection::vec(any::<u8>(), 1..300).prop_map(is(false)),
        1 => proptest::collection::vec(piece(), 1..40).prop_map(|pieces| pieces.concat()).prop_map(is(false)),
    ]
    .boxed()
}

/// Puts one together; each header is a whole line.
fn put_together(
    method: &str,
    target: &str,
    headers: &[Vec<u8>],
    body: Option<&[u8]>,
    is_chunked: bool,
) -> Vec<u8> {
    let mut bytes =
        format!("{method} {target} HTTP/1.1\r\nhost: ledger\r\nconnection: close\r\n").into_bytes();
    for line in headers {
        bytes.extend(line);
        bytes.extend(b"\r\n");
    }
    match body {
        None => bytes.extend(b"\r\n"),
        Some(body) if is_chunked => {
            bytes.extend(b"transfer-encoding: chunked\r\n\r\n");
            for chunk in body.chunks(997) {
                bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
                bytes.extend(chunk);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n\r\n");
        }
        Some(body) => {
            bytes.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
            bytes.extend(body);
        }
    }
    bytes
}

const JSON: &[u8] = b"content-type: application/json";

/// Writes as callers send them; the rules may refuse them.
fn right(vtids: &[String]) -> BoxedStrategy<Vec<u8>> {
    // About as many bytes as a body may have.
    let padded = (create_body(), 262_140usize..262_150)
        .prop_map(|(body, bytes)| format!("{body}{}", " ".repeat(bytes.saturating_sub(body.len()))));
    let request = prop_oneof![
        10 => create_body().prop_map(|body| ("POST", "/vtid/create".to_owned(), body)),
        1 => padded.prop_map(|body| ("POST", "/vtid/create".to_owned(), body)),
        10 => (select(vtids.to_vec()), patch_body()).prop_map(|(vtid, body)| (
            "PATCH",
            format!("/vtid/{vtid}"),
            body
        )),
        10 => (select(vtids.to_vec()), bad_body()).prop_map(|(vtid, body)| (
            "PATCH",
            format!("/vtid/{vtid}"),
            body
        )),
    ];
    (request, proptest::option::weighted(0.2, condition()), any::<bool>())
        .prop_map(|((method, target, body), condition, is_chunked)| {
            let headers: Vec<Vec<u8>> = [JSON.to_vec()].into_iter().chain(condition).collect();
            put_together(method, &target, &headers, Some(body.as_bytes()), is_chunked)
        })
        .boxed()
}

/// On which a write may depend: a key that came before, perhaps, or a version.
fn condition() -> BoxedStrategy<Vec<u8>> {
    const LINES: [&str; 5] = [
        "idempotency-key: k",
        "idempotency-key: one-more",
        "if-match: \"v1\"",
        "if-match: W/\"v2\", \"v3\"",
        "if-match: *",
    ];
    select(&LINES[..]).prop_map(|line| line.as_bytes().to_vec()).boxed()
}

/// Requests whose head can be read, whatever else is wrong with them.
fn odd(vtids: &[String], cursor: &str) -> BoxedStrategy<Vec<u8>> {
    const METHODS: [&str; 14] = [
        "GET", "GET", "GET", "POST", "POST", "PATCH", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE",
        "BREW", "get",
    ];
    let target = (path(vtids), prop_oneof![1 => Just(String::new()), 2 => query(vtids, cursor)]);
    let content = prop_oneof![3 => Just(JSON.to_vec()), 1 => header(), 1 => content_type()];
    let headers = (content, proptest::collection::vec(header(), 0..4));
    (select(&METHODS[..]), target, headers, proptest::option::weighted(0.7, body()), any::<bool>())
        .prop_map(|(method, (path, query), (content, mut headers), body, is_chunked)| {
            headers.push(content);
            put_together(method, &(path + &query), &headers, body.as_deref(), is_chunked)
        })
        .boxed()
}

/// A text that may stand in a target: as it is where it can be, else encoded.
fn in_target(text: String) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$'()*,;:@%+".contains(&byte);
    if text.bytes().all(is_plain) { text } else { encoded(&text) }
}

fn path(vtids: &[String]) -> BoxedStrategy<String> {
    const ROUTES: [&str; 12] = [
        "/vtid/create",
        "/vtid/list",
        "/vtid/list",
        "/vtid/list",
        "/vtid/health",
        "/readyz",
        "/",
        "/vtid",
        "/vtid/",
        "//",
        "/vtid/list/",
        "/vtid/./list",
    ];
    let vtid = select(vtids.to_vec());
    prop_oneof![
        5 => select(&ROUTES[..]).prop_map(str::to_owned),
        4 => vtid.clone().prop_map(|vtid| format!("/vtid/{vtid}")),
        3 => mutated_text(vtid, 2).prop_map(|text| format!("/vtid/{}", in_target(text))),
        1 => any::<String>().prop_map(|text| format!("/vtid/{}", in_target(text))),
        1 => "(/|[a-z]{1,6}|%[0-9a-fA-F]{2}|%|\\.\\.){0,12}".prop_map(|text| format!("/{text}")),
    ]
    .boxed()
}

fn query(vtids: &[String], cursor: &str) -> BoxedStrategy<String> {
    const NAMES: [&str; 12] = [
        "limit",
        "limit",
        "cursor",
        "cursor",
        "status",
        "tenant",
        "taskFamily",
        "taskType",
        "assignedTo",
        "parentVtid",
        "x",
        "Limit",
    ];
    let known = select(vec![
        "1", "50", "1000", "0", "1001", "active", "pending", "done", "t", "system", "A*", "", "f", "%",
        "%zz", "%00", "%ff", "a=b", "+",
    ]);
    let value = prop_oneof![
        4 => known.prop_map(str::to_owned),
        2 => Just(cursor.to_owned()),
        2 => mutated_text(Just(cursor.to_owned()), 2).prop_map(in_target),
        1 => select(vtids.to_vec()),
        1 => mutated_text(select(vtids.to_vec()), 2).prop_map(in_target),
        1 => any::<String>().prop_map(|text| encoded(&text)),
    ];
    let pair = (select(&NAMES[..]), value).prop_map(|(name, value)| format!("{name}={value}"));
    prop_oneof![
        8 => proptest::collection::vec(pair, 1..4).prop_map(|pairs| format!("?{}", pairs.join("&"))),
        1 => "(&|=|[a-z]{1,5}|%[0-9a-f]{0,2}|\\?|/|\\+){0,20}".prop_map(|text| format!("?{text}")),
    ]
    .boxed()
}

fn content_type() -> BoxedStrategy<Vec<u8>> {
    let genuine = Just(b"application/json; charset=utf-8".to_vec());
    mutated(genuine, 2).prop_map(|value| line("content-type", value)).boxed()
}

/// A header's line; bytes that may not stand in one become `?`.
fn line(name: &str, value: Vec<u8>) -> Vec<u8> {
    let value =
        value.into_iter().map(|byte| if byte == b'\t' || byte >= b' ' && byte != 0x7F { byte } else { b'?' });
    format!("{name}: ").into_bytes().into_iter().chain(value).collect()
}

/// None that says how the body is framed, or that the connection goes on.
fn header() -> BoxedStrategy<Vec<u8>> {
    const LINES: [&str; 28] = [
        "content-encoding: gzip",
        "content-encoding: identity",
        "content-type: text/plain",
        "ledger-min-position: 1",
        "ledger-min-position: -1",
        "ledger-min-position: 9223372036854775808",
        "ledger-min-position: x",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "traceparent: nonsense",
        "authorization: Bearer x.y.z",
        "authorization: Basic Og==",
        "if-match: \"v1\"",
        "if-match: W/\"v1\",, \"v2\"",
        "if-match: v1",
        "if-none-match: *",
        "if-none-match: \"v1\" \"v2\"",
        "if-modified-since: yesterday",
        "idempotency-key: k",
        "idempotency-key: another-one",
        "idempotency-key: a b",
        "idempotency-key:",
        "range: bytes=0-1",
        "accept: text/html;q=x",
        "origin: null",
        "expect: 100-continue",
        "x-http-method-override: DELETE",
        "x-forwarded-for: ' OR 1=1",
        "cookie: a=b; c=\"d",
    ];
    const NAMES: [&str; 10] = [
        "x-request-id",
        "traceparent",
        "content-encoding",
        "accept",
        "origin",
        "if-match",
        "if-none-match",
        "idempotency-key",
        "x-a",
        "access-control-request-method",
    ];
    let any_value = proptest::collection::vec(piece(), 0..4).prop_map(|pieces| pieces.concat());
    prop_oneof![
        5 => select(&LINES[..]).prop_map(|line| line.as_bytes().to_vec()),
        2 => (select(&NAMES[..]), any_value).prop_map(|(name, value)| line(name, value)),
    ]
    .boxed()
}

fn body() -> BoxedStrategy<Vec<u8>> {
    let good = prop_oneof![create_body(), patch_body(), bad_body()].prop_map(String::into_bytes).boxed();
    prop_oneof![
        3 => good.clone(),
        4 => mutated(good, 3),
        2 => proptest::collection::vec(piece(), 0..30).prop_map(|pieces| pieces.concat()),
        1 => proptest::collection::vec(any::<u8>(), 0..200),
    ]
    .boxed()
}
