//! Requests against the real program: right ones, odd ones, and bytes that were a request once. Each case is made from
//! its number alone. `FUZZ_CASES=n` sends so many, from `FUZZ_FROM=n` on.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{StreamExt, stream};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::generate_requests::{Sent, requests};
use super::ledger::{Ledger, create_with};
use super::mutate::setting;
use super::raw::{DEADLINE, answers, connect};
use super::tally::Tally;
use crate::support::service::Answer;

/// Enough for some fifteen seconds.
const CASES: u64 = 3_000;
const AT_A_TIME: usize = 32;
/// Bytes that are no whole request any more leave the server waiting for the rest: for so long it may.
const PATIENCE: Duration = Duration::from_millis(500);

fn request(case: u64, strategy: &impl Strategy<Value = Sent>) -> Sent {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&case.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    strategy.new_tree(&mut runner).unwrap().current()
}

/// Sends it, and gives what came back by the end of the connection.
async fn send(ledger: &Ledger, sent: &Sent) -> Vec<Answer> {
    let (mut reading, mut writing) = connect(&ledger.service).await.into_split();
    // What is not taken any more was refused already.
    let _ = writing.write_all(&sent.bytes).await;
    let mut came = Vec::new();
    let read = reading.read_to_end(&mut came);
    tokio::pin!(read);
    let whole = async {
        if !sent.is_request && tokio::time::timeout(PATIENCE, &mut read).await.is_ok() {
            return;
        }
        if !sent.is_request {
            let _ = writing.shutdown().await;
        }
        let _ = tokio::time::timeout(DEADLINE, read).await.expect("the connection ends by itself");
    };
    whole.await;
    answers(&came, sent.bytes.starts_with(b"HEAD "))
}

#[tokio::test]
async fn fuzz_requests() {
    let ledger = Ledger::start().await;
    let mut vtids = vec![ledger.vtid.clone()];
    for _ in 0..5 {
        vtids.push(ledger.takes(ledger.post(create_with(&[]))).await.vtid().to_owned());
    }
    let cursor = ledger.service.get("/vtid/list?limit=2").await.expect(200);
    let cursor = cursor.body["next_cursor"].as_str().unwrap().to_owned();
    let (pid, strategy) = (ledger.service.pid(), requests(&vtids, &cursor));
    let (from, count) = (setting("FUZZ_FROM").unwrap_or(0), setting("FUZZ_CASES").unwrap_or(CASES));
    println!("cases {from} to {}", from + count - 1);
    let tally = stream::iter(from..from + count)
        .map(|case| {
            let sent = request(case, &strategy);
            let ledger = &ledger;
            async move {
                let answers = send(ledger, &sent).await;
                (case, sent, answers)
            }
        })
        .buffer_unordered(AT_A_TIME)
        .fold(Tally::default(), |mut tally, (case, sent, answers)| async move {
            if let Err(wrong) = tally.take(&sent, &answers) {
                let bytes = sent.bytes.escape_ascii().to_string();
                panic!("case {case}: {wrong}\nsent: {bytes}\ncame: {answers:?}\n(again: FUZZ_FROM={case} FUZZ_CASES=1)");
            }
            tally
        })
        .await;
    println!("{tally}");
    assert_only_accepted_are_written(&ledger, &tally).await;
    assert_unharmed(&ledger).await;
    assert_eq!(ledger.service.pid(), pid);
    if count >= CASES {
        tally.assert_all_kinds_came();
    }
}

/// By the request ids that the log holds.
async fn assert_only_accepted_are_written(ledger: &Ledger, tally: &Tally) {
    let ids: Vec<String> = sqlx::query_scalar("select body::json ->> 'correlationid' from ledger.event")
        .fetch_all(&mut ledger.platform.connection().await)
        .await
        .unwrap();
    let ids: BTreeSet<String> = ids.into_iter().collect();
    let written_though_refused: Vec<_> = tally.refused.intersection(&ids).collect();
    assert!(written_though_refused.is_empty(), "{written_though_refused:?}");
    let missing: Vec<_> = tally.written.difference(&ids).collect();
    assert!(missing.is_empty(), "accepted and not written: {missing:?}");
}

/// It still serves, and has nothing to complain about.
async fn assert_unharmed(ledger: &Ledger) {
    ledger.service.get("/readyz").await.expect(200);
    ledger.takes(ledger.post(create_with(&[]))).await;
    let (count, last, shown) = ledger.head().await;
    assert_eq!((count, last), (last, i64::try_from(shown).unwrap()));
    let complaints: Vec<Value> = ledger.service.log_lines().into_iter().filter(is_complaint).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
}

fn is_complaint(line: &Value) -> bool {
    // A panic outside of a request's handler is a line that is no JSON.
    line["level"] == "ERROR" || line.is_string() || line.to_string().contains("panicked")
}
