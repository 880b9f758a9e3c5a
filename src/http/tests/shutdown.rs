//! Stopping.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::*;
use crate::http::HttpLimits;

#[tokio::test]
async fn requests_under_way_are_finished_idle_connections_closed_and_new_ones_refused() {
    let mut server = start().await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET /vtid/health HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(idle.read(&mut [0; 4096]).await.unwrap() > 0);
    let under_way = tokio::spawn(server.json("POST", "/vtid/create", CREATE).send());
    let submission = server.submissions.recv().await.unwrap();

    server.stop.cancel();
    read_to_end(&mut idle).await;
    submission.answer.send(Ok(accepted())).unwrap();
    let response = under_way.await.unwrap().unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["connection"], "close");
    tokio::time::timeout(DEADLINE, &mut server.serving).await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut_off() {
    let limits = HttpLimits { shutdown_grace: Duration::from_millis(100), ..HttpLimits::default() };
    let mut server = start_with(limits, 16).await;
    let under_way = tokio::spawn(server.json("POST", "/vtid/create", CREATE).send());
    let submission = server.submissions.recv().await.unwrap();
    server.stop.cancel();
    tokio::time::timeout(DEADLINE, &mut server.serving).await.unwrap().unwrap();
    assert!(under_way.await.unwrap().is_err());
    drop(submission);
}
