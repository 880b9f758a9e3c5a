//! Requests that trickle, a byte a second: 10 s for a head, 30 s for a body, and then it is over.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{interval, timeout};

use super::ledger::{Ledger, TOO_SLOW, create_with};
use super::raw::{DEADLINE, answers, connect};
use crate::support::service::Answer;

/// Sends `at_once`, then `slowly` a byte a second, as often as it takes; gives what came back by the connection's end.
async fn trickle(ledger: &Ledger, at_once: String, slowly: &'static str) -> Vec<Answer> {
    let mut stream = connect(&ledger.service).await;
    stream.write_all(at_once.as_bytes()).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let drip = async {
        let mut second = interval(Duration::from_secs(1));
        for byte in slowly.bytes().cycle() {
            second.tick().await;
            if writing.write_all(&[byte]).await.is_err() {
                break;
            }
        }
        // Nobody listens any more; the reader sees the end.
        std::future::pending::<()>().await;
    };
    let mut came = Vec::new();
    let ended = async {
        tokio::select! {
            _ = reading.read_to_end(&mut came) => {}
            () = drip => {}
        }
    };
    timeout(DEADLINE, ended).await.expect("it ends by itself, while bytes still come");
    answers(&came, false)
}

fn head(framing: &str) -> String {
    format!("POST /vtid/create HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{framing}\r\n\r\n")
}

#[tokio::test]
async fn trickled_requests_are_given_up() {
    let ledger = Ledger::start().await;
    let before = ledger.head().await;
    let unfinished = create_with(&[("description", "\"")]);
    let unfinished = unfinished.split_once("\"description\":\"").unwrap().0.to_owned() + "\"description\":\"";
    let patch =
        format!("PATCH /vtid/{} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n", ledger.vtid);
    let (lines, headers, slow_headers, body, patched, chunked) = tokio::join!(
        trickle(&ledger, String::new(), "\r\n"),
        trickle(&ledger, "GET /vtid/list?".to_owned(), "taskFamily"),
        trickle(&ledger, "POST /vtid/create HTTP/1.1\r\n".to_owned(), "x-header: x\r\n"),
        trickle(&ledger, head("content-length: 200000") + &unfinished, "d"),
        trickle(&ledger, patch + "content-length: 200000\r\n\r\n{\"status\"", " "),
        trickle(&ledger, head("transfer-encoding: chunked") + "1\r\n{\r\n", "1\r\n \r\n"),
    );
    for heads in [lines, headers, slow_headers] {
        // A bare 408, or no word at all: there is no request that could be answered.
        assert!(heads.iter().all(|answer| answer.status == 408), "{heads:?}");
    }
    for bodies in [body, patched, chunked] {
        assert_eq!(bodies.len(), 1, "{bodies:?}");
        TOO_SLOW.is(&bodies[0], "a body");
        assert_eq!(bodies[0].header("connection"), "close");
    }
    assert_eq!(ledger.head().await, before, "something was appended");
    ledger.takes(ledger.post(create_with(&[]))).await;
}
