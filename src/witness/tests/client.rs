//! What a log makes of a witness's answers.

use std::convert::Infallible;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{TestLog, witness_key};
use crate::tlog::Hash;
use crate::witness::client::{AskError, Cosignature, WitnessClient};
use crate::witness::settings::WitnessAddress;

/// Asks a witness that gives these answers, one after another; `old` is what it is thought to have signed.
async fn ask(
    answers: &'static [&'static str],
    old: u64,
    size: u64,
) -> Result<Cosignature, AskError<Infallible>> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answering = tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 65_536];
            assert!(stream.read(&mut buffer).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let address = WitnessAddress::parse(&format!("{url}={}", witness_key().public()), 1).unwrap();
    let checkpoint = TestLog::new("log").checkpoint(size);
    let client = WitnessClient::new(address).unwrap();
    let asked = client.add_checkpoint(&checkpoint, old, async |_| Ok(Vec::<Hash>::new())).await;
    answering.await.unwrap();
    asked
}

const BARE: &str = "HTTP/1.1 409 Conflict\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const SEVEN: &str = "HTTP/1.1 409 Conflict\r\nconnection: close\r\ncontent-type: text/x.tlog.size\r\n\
                     content-length: 2\r\n\r\n7\n";
const SEVEN_WITH_PARAMETERS: &str = "HTTP/1.1 409 Conflict\r\nconnection: close\r\n\
                                     content-type: Text/x.tlog.size; charset=utf-8\r\n\
                                     content-length: 2\r\n\r\n7\n";

/// `tlog-witness`: of the same size and another root, 409 and no more.
#[tokio::test]
async fn a_bare_conflict_at_the_same_size_is_a_fork() {
    assert!(matches!(ask(&[BARE], 5, 5).await, Err(AskError::Fork { size: 5 })));
    assert!(matches!(ask(&[SEVEN, BARE], 5, 7).await, Err(AskError::Fork { size: 7 })));
    let refused = ask(&[BARE], 5, 9).await.unwrap_err();
    assert!(matches!(refused, AskError::Refused { status, .. } if status == 409), "{refused}");
}

#[tokio::test]
async fn a_size_may_have_parameters() {
    assert!(matches!(ask(&[SEVEN], 5, 5).await, Err(AskError::Ahead { size: 7 })));
    assert!(matches!(ask(&[SEVEN_WITH_PARAMETERS], 5, 5).await, Err(AskError::Ahead { size: 7 })));
    assert!(matches!(ask(&[SEVEN_WITH_PARAMETERS], 7, 7).await, Err(AskError::Fork { size: 7 })));
}
