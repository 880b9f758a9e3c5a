//! Requests as bytes on a socket, and what comes back on it.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::service::{Answer, Service};

/// By then everything has ended by itself, on a busy machine too.
pub(crate) const DEADLINE: Duration = Duration::from_mins(2);

pub(crate) async fn connect(service: &Service) -> TcpStream {
    let stream = TcpStream::connect(service.base().trim_start_matches("http://")).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Reads to the end of the connection; a reset is one too.
pub(crate) async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    let _ = tokio::time::timeout(DEADLINE, read).await.expect("the connection ends by itself");
    bytes
}

/// Sends bytes as they are, and gives the answers that came before the connection was closed, if it was as HTTP has
/// it.
pub(crate) async fn exchange(service: &Service, bytes: &[u8]) -> Vec<Answer> {
    let mut stream = connect(service).await;
    // What is not taken any more was refused already.
    let _ = stream.write_all(bytes).await;
    answers(&read_to_end(&mut stream).await, bytes.starts_with(b"HEAD "))
}

/// The one answer of such an exchange.
pub(crate) async fn only_answer(service: &Service, bytes: &[u8]) -> Answer {
    let mut answers = exchange(service, bytes).await;
    assert_eq!(answers.len(), 1, "{}: {answers:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(300)]));
    answers.remove(0)
}

/// Takes apart what a server sent; without `100 Continue`. The ledger gives every answer a length.
pub(crate) fn answers(mut bytes: &[u8], without_bodies: bool) -> Vec<Answer> {
    let mut found = Vec::new();
    while let Some((answer, rest)) = first_answer(bytes, without_bodies) {
        bytes = rest;
        if !answer.status.is_informational() {
            found.push(answer);
        }
    }
    assert!(bytes.is_empty(), "no answer: {}", String::from_utf8_lossy(bytes));
    found
}

fn first_answer(bytes: &[u8], without_body: bool) -> Option<(Answer, &[u8])> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let mut lines = std::str::from_utf8(&bytes[..end]).ok()?.split("\r\n");
    let status = lines
        .next()?
        .strip_prefix("HTTP/1.1 ")
        .or_else(|| bytes.starts_with(b"HTTP/1.0 ").then(|| std::str::from_utf8(&bytes[9..12]).ok())?)?;
    let status = StatusCode::from_bytes(status.as_bytes().get(..3)?).ok()?;
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        headers.append(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?);
    }
    let length = headers.get("content-length").map_or(Some(0), |value| value.to_str().ok()?.parse().ok())?;
    let length = if without_body || status.is_informational() { 0 } else { length };
    let rest = &bytes[end + 4..];
    let text = std::str::from_utf8(rest.get(..length)?).ok()?.to_owned();
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Some((Answer { status, headers, text, body }, &rest[length..]))
}
