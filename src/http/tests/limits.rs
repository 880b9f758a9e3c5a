//! Too large, too slow, too many.

use std::time::Duration;

use futures::stream;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::support::*;
use crate::http::HttpLimits;
use crate::http::body::BODY_BYTES_MAX;

/// A create of exactly so many bytes.
fn padded(bytes: usize) -> String {
    format!("{}{CREATE}", " ".repeat(bytes - CREATE.len()))
}

fn chunked(body: String) -> reqwest::Body {
    let chunks: Vec<_> =
        body.into_bytes().chunks(10_000).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect();
    reqwest::Body::wrap_stream(stream::iter(chunks))
}

#[tokio::test]
async fn a_body_may_have_256_kib_and_no_byte_more() {
    let mut server = start().await;
    for body in [padded(BODY_BYTES_MAX).into(), chunked(padded(BODY_BYTES_MAX))] {
        let request = server.json("POST", "/vtid/create", body);
        assert_eq!(server.write(request, |_| Ok(accepted())).await.status(), 200);
    }
    for body in [padded(BODY_BYTES_MAX + 1).into(), chunked(padded(BODY_BYTES_MAX + 1))] {
        let response = server.json("POST", "/vtid/create", body).send().await.unwrap();
        error(response, 413, "Payload too large", "payload_too_large").await;
    }
}

/// The answer comes before the body's end, and still arrives.
#[tokio::test]
async fn callers_of_far_too_large_bodies_hear_why() {
    // Long enough on a busy machine too; it ends with the body.
    let server = start_with(HttpLimits { linger: DEADLINE, ..HttpLimits::default() }, 16).await;
    for body in [padded(8_000_000).into(), chunked(padded(8_000_000))] {
        let response = server.json("POST", "/vtid/create", body).send().await.unwrap();
        error(response, 413, "Payload too large", "payload_too_large").await;
    }
    // A caller that writes everything before it reads anything.
    for (path, status) in [("/vtid/create", "413"), ("/nothing", "404")] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4000000\r\n\r\n"
        );
        let answer = server.raw(&(head + &padded(4_000_000))).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
}

#[tokio::test]
async fn a_trickled_body_is_given_up() {
    let limits = HttpLimits { body_read_timeout: Duration::from_millis(100), ..HttpLimits::default() };
    let server = start_with(limits, 16).await;
    let answer = server
        .raw("POST /vtid/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 70\r\n\r\n{")
        .await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains(r#""error":"Request timeout","code":"request_timeout""#), "{answer}");
    assert!(answer.contains("x-request-id"), "{answer}");
}

#[tokio::test]
async fn a_trickled_head_and_an_idle_connection_are_closed() {
    let limits = HttpLimits { head_read_timeout: Duration::from_millis(100), ..HttpLimits::default() };
    let server = start_with(limits, 16).await;
    server.raw("GET /vtid/health HTTP/1.1\r\nHo").await;
    let answer = server.raw("GET /vtid/health HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_wrongly_framed_body_is_the_callers_fault() {
    let server = start().await;
    let answer = server
        .raw("POST /vtid/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        .await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains(r#""code":"invalid_payload""#), "{answer}");
}

#[tokio::test]
async fn a_flood_of_parameters_or_headers_gets_a_4xx() {
    let server = start().await;
    for (parameters, status) in [(5_000, "400"), (1_000_000, "4")] {
        let query = "a&".repeat(parameters);
        let answer = server
            .raw(&format!("GET /vtid/list?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
            .await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    let headers = "X-A: b\r\n".repeat(200);
    let answer = server.raw(&format!("GET /vtid/health HTTP/1.1\r\nHost: x\r\n{headers}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn more_requests_than_there_are_places_for() {
    let limits = HttpLimits { requests_max: 1, ..HttpLimits::default() };
    let mut server = start_with(limits, 16).await;
    let first = tokio::spawn(server.json("POST", "/vtid/create", CREATE).send());
    let submission = server.submissions.recv().await.unwrap();
    let second = server.json("POST", "/vtid/create", CREATE).send().await.unwrap();
    error(second, 503, "Unavailable", "unavailable").await;
    assert_eq!(server.request("GET", "/vtid/health").send().await.unwrap().status(), 200);
    submission.answer.send(Ok(accepted())).unwrap();
    assert_eq!(first.await.unwrap().unwrap().status(), 200);
    let request = server.json("POST", "/vtid/create", CREATE);
    assert_eq!(server.write(request, |_| Ok(accepted())).await.status(), 200, "the place is free again");
}

#[tokio::test]
async fn a_full_queue_answers_at_once() {
    let mut server = start_with(HttpLimits::default(), 1).await;
    let first = tokio::spawn(server.json("POST", "/vtid/create", CREATE).send());
    // Whoever comes second, be it the spawned one, finds the queue full.
    let second = tokio::spawn(server.json("POST", "/vtid/create", CREATE).send());
    let (refused, waiting) = match futures::future::select(first, second).await {
        futures::future::Either::Left(pair) | futures::future::Either::Right(pair) => pair,
    };
    error(refused.unwrap().unwrap(), 503, "Unavailable", "unavailable").await;
    server.submissions.recv().await.unwrap().answer.send(Ok(accepted())).unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn further_connections_wait_for_a_place() {
    let limits = HttpLimits { connections_max: 1, ..HttpLimits::default() };
    let server = start_with(limits, 16).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(b"GET /vtid/health HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    let second =
        async { server.raw("GET /vtid/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await };
    let first_then_gone = async {
        first.write_all(b"Connection: close\r\n\r\n").await.unwrap();
        read_to_end(&mut first).await
    };
    let (first, second) = tokio::join!(first_then_gone, second);
    assert!(first.starts_with("HTTP/1.1 200") && second.starts_with("HTTP/1.1 200"), "{first} {second}");
}

/// A caller whose body nobody read is told that the connection ends, and its next request is answered too.
#[tokio::test]
async fn a_body_that_nobody_reads_ends_the_connection_with_a_word() {
    let mut server = start().await;
    for (path, status) in
        [("/nothing", 404), ("/vtid/foo", 400), ("/vtid/list", 405), ("/vtid/VTID-2026-0001?x=1", 400)]
    {
        for _ in 0..10 {
            let response = server.json("PATCH", path, padded(200_000)).send().await.unwrap();
            assert_eq!(response.status(), status, "{path}");
            assert_eq!(response.headers()["connection"], "close", "{path}");
        }
    }
    let whole = server.json("POST", "/vtid/create", "{}").send().await.unwrap();
    assert_eq!(whole.status(), 400);
    assert!(!whole.headers().contains_key("connection"));
    let request = server.json("POST", "/vtid/create", padded(BODY_BYTES_MAX));
    let response = server.write(request, |_| Ok(accepted())).await;
    assert!(!response.headers().contains_key("connection"));
    let response = server.request("GET", "/nothing").send().await.unwrap();
    assert!(!response.headers().contains_key("connection"));
}
