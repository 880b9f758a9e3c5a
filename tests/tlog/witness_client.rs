//! How the ledger asks a witness: of a real one, and of some that do not keep to the rules.

use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::task::JoinHandle;
use vtid_ledger::tlog::key::{KeyKind, SecretKey};
use vtid_ledger::witness::client::{AskError, WitnessClient};
use vtid_ledger::witness::settings::WitnessAddress;

use super::witness_stage::{TestLog, TestWitness, key, prove};

#[tokio::test]
async fn a_log_gets_its_signatures_whatever_the_witness_has_seen() {
    let folder = tempfile::tempdir().unwrap();
    let log = TestLog::new("log.example.org");
    let witness = TestWitness::start(folder.path(), &key("w.example.org", KeyKind::Witness), &[&log]);
    let client = witness.client();
    // It says what it has seen, where that is not known.
    for (old, size) in [(0, 5), (5, 9), (0, 12), (7, 20), (20, 20), (200, 30), (3, 30)] {
        let checkpoint = log.checkpoint(size);
        let signed =
            client.add_checkpoint(&checkpoint, old, async |old| prove(&log, old, size).await).await.unwrap();
        assert_eq!(&signed.witness, witness.key.public().name());
        let signed = checkpoint.with_signatures(&signed.line).unwrap();
        assert_eq!(signed.signed_by(&[witness.key.public(), log.key.public()]).unwrap(), [0, 1]);
    }
    let late = client.add_checkpoint(&log.checkpoint(8), 5, async |old| prove(&log, old, 8).await).await;
    assert!(matches!(late, Err(AskError::Ahead { size: 30 })), "{late:?}");
}

/// Whoever rewrites the log, and signs it with the log's own key, gets no signature for it.
#[tokio::test]
async fn a_whole_rewritten_log_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let log = TestLog::new("log.example.org");
    let witness = TestWitness::start(folder.path(), &key("w.example.org", KeyKind::Witness), &[&log]);
    let client = witness.client();
    client.add_checkpoint(&log.checkpoint(40), 0, async |old| prove(&log, old, 40).await).await.unwrap();
    for from in [0, 20, 39] {
        let rewritten = log.rewritten(from);
        for (size, what) in [(40, "fork"), (41, "refused"), (200, "refused"), (39, "ahead")] {
            for old in [0, 40] {
                let checkpoint = rewritten.checkpoint(size);
                let asked =
                    client.add_checkpoint(&checkpoint, old, async |old| prove(&rewritten, old, size).await);
                let found = match asked.await {
                    Err(AskError::Fork { size: 40 }) => "fork",
                    Err(AskError::Refused { status: StatusCode::UNPROCESSABLE_ENTITY, .. }) => "refused",
                    Err(AskError::Ahead { size: 40 }) => "ahead",
                    other => panic!("{other:?}"),
                };
                // A smaller tree's size alone tells nothing, where it is asked about as the last one.
                assert_eq!(found, what, "rewritten from {from}, {size} leaves, old {old}");
            }
        }
    }
    client.add_checkpoint(&log.checkpoint(41), 40, async |old| prove(&log, old, 41).await).await.unwrap();
}

/// A witness that answers in turn what it is told.
struct Odd {
    client: WitnessClient,
    asked: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl Drop for Odd {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn odd(key: &SecretKey, answers: Vec<Response>) -> Odd {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let answers = Arc::new(Mutex::new(answers.into_iter()));
    let answer = {
        let asked = Arc::clone(&asked);
        move |body: String| async move {
            asked.lock().unwrap().push(body);
            answers.lock().unwrap().next().unwrap_or(StatusCode::IM_A_TEAPOT.into_response())
        }
    };
    let router = axum::Router::new().route("/prefix/add-checkpoint", post(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(crate::support::tokens::serve(listener, router));
    let address = WitnessAddress::parse(&format!("http://{address}/prefix={}", key.public()), 1).unwrap();
    Odd { client: WitnessClient::new(address).unwrap(), asked, serving }
}

fn at(size: &str) -> Response {
    (StatusCode::CONFLICT, [("content-type", "text/x.tlog.size")], size.to_owned()).into_response()
}

fn line(log: &TestLog, size: u64, key: &SecretKey) -> String {
    let mut note = signed_note::Note::new(log.checkpoint(size).text().as_bytes(), &[]).unwrap();
    note.add_sigs(&[&key.at(7)]).unwrap();
    String::from_utf8(note.to_bytes()).unwrap().rsplit_once("\n\n").unwrap().1.to_owned()
}

async fn ask(log: &TestLog, odd: &Odd) -> Result<String, String> {
    let asked = odd.client.add_checkpoint(&log.checkpoint(9), 4, async |old| prove(log, old, 9).await).await;
    asked.map(|signed| signed.line).map_err(|error| error.to_string())
}

#[tokio::test]
async fn only_a_signature_of_the_witness_counts() {
    let log = TestLog::new("log.example.org");
    let (known, other) = (key("w", KeyKind::Witness), key("w", KeyKind::Witness));
    let (good, bad) = (line(&log, 9, &known), line(&log, 9, &other));
    let ok = |text: String| text.into_response();
    // Others' lines beside it are left out.
    let witness = odd(&known, vec![ok(format!("{bad}{good}"))]).await;
    assert_eq!(ask(&log, &witness).await, Ok(good.clone()));
    assert_eq!(*witness.asked.lock().unwrap(), [log.request(4, 9).to_string()]);
    for text in [
        bad,
        String::new(),
        "nonsense".to_owned(),
        good.trim_end().to_owned(),
        line(&log, 8, &known),
        good.replacen("— w ", "— v ", 1),
        good.repeat(200),
        log.checkpoint(9).note,
    ] {
        let told = ask(&log, &odd(&known, vec![ok(text.clone())]).await).await.unwrap_err();
        assert!(told.contains("no signature by the key of w"), "{text}: {told}");
    }
}

#[tokio::test]
async fn a_witness_that_says_otherwise_is_asked_again_once() {
    let log = TestLog::new("log.example.org");
    let known = key("w", KeyKind::Witness);
    let good = line(&log, 9, &known);
    let witness = odd(&known, vec![at("6\n"), good.clone().into_response()]).await;
    assert_eq!(ask(&log, &witness).await, Ok(good));
    let asked = [log.request(4, 9).to_string(), log.request(6, 9).to_string()];
    assert_eq!(*witness.asked.lock().unwrap(), asked);
    for (answers, told) in [
        (vec![at("6\n"), at("7\n"), at("8\n")], "a tree of 7 leaves already"),
        (vec![at("10\n")], "a tree of 10 leaves already"),
        (vec![at("4\n")], "another tree of 4 leaves"),
        (vec![at("6\n"), at("6\n")], "another tree of 6 leaves"),
        (vec![at("6")], "no signature"),
        (vec![at("06\n")], "no signature"),
        (vec![at("six\n")], "no signature"),
        (vec![(StatusCode::CONFLICT, "6\n").into_response()], "409"),
        (vec![(StatusCode::FORBIDDEN, "who are you?\n").into_response()], "403 Forbidden: who are you?"),
        (vec![(StatusCode::FOUND, [("location", "/elsewhere")]).into_response()], "302"),
        (vec![], "418"),
    ] {
        let witness = odd(&known, answers).await;
        let found = ask(&log, &witness).await.unwrap_err();
        assert!(found.contains(told), "{told}: {found}");
        assert!(witness.asked.lock().unwrap().len() <= 2);
    }
    let gone = WitnessAddress::parse(&format!("http://127.0.0.1:1={}", known.public()), 1).unwrap();
    let gone = WitnessClient::new(gone).unwrap();
    let told =
        gone.add_checkpoint(&log.checkpoint(9), 4, async |old| prove(&log, old, 9).await).await.unwrap_err();
    assert!(matches!(told, AskError::Http(_)) && !told.to_string().contains("127.0.0.1:1/"), "{told}");
}
