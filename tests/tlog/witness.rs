//! `vtid-ledger witness`: each rule of C2SP tlog-witness over real HTTP, and that it forgets nothing.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::Method;
use vtid_ledger::tlog::key::KeyKind;
use vtid_ledger::witness::request::AddCheckpoint;

use super::witness_stage::{TestLog, TestWitness, command, key};
use crate::support::eventually;

fn conflict(answer: &crate::support::service::Answer) -> u64 {
    assert_eq!(answer.status, 409, "{answer:?}");
    assert_eq!(answer.header("content-type"), "text/x.tlog.size");
    let size = answer.text.strip_suffix('\n').unwrap();
    size.parse().unwrap()
}

#[tokio::test]
async fn it_signs_what_goes_on_and_refuses_everything_else() {
    let folder = tempfile::tempdir().unwrap();
    let (log, other, unknown) =
        (TestLog::new("log.example.org"), TestLog::new("other"), TestLog::new("unknown"));
    let witness =
        TestWitness::start(folder.path(), &key("w.example.org/1", KeyKind::Witness), &[&log, &other]);
    witness.signs(&log.request(0, 5)).await;
    witness.signs(&log.request(5, 9)).await;
    witness.signs(&log.request(9, 9)).await;
    witness.signs(&other.request(0, 3)).await;
    // Back, in each way that it could be asked for.
    for (old, size) in [(0, 5), (0, 9), (5, 9), (5, 5), (0, 0), (0, 12), (12, 12)] {
        assert_eq!(conflict(&witness.send(&log.request(old, size)).await), 9, "{old} {size}");
    }
    witness.send(&log.request(9, 5)).await.expect(400);
    // Another past.
    let rewritten = log.rewritten(2);
    assert_eq!(conflict(&witness.send(&rewritten.request(9, 9)).await), 9);
    witness.send(&rewritten.request(9, 12)).await.expect(422);
    let borrowed = AddCheckpoint { proof: log.proof(9, 12), ..rewritten.request(9, 12) };
    witness.send(&borrowed).await.expect(422);
    witness.send(&AddCheckpoint { proof: Vec::new(), ..log.request(9, 12) }).await.expect(422);
    witness.send(&AddCheckpoint { proof: log.proof(9, 12), ..other.request(3, 5) }).await.expect(422);
    // Another's.
    witness.send(&unknown.request(0, 5)).await.expect(404);
    witness.send(&TestLog::new("log.example.org").request(9, 12)).await.expect(403);
    // None of it counted.
    witness.signs(&log.request(9, 12)).await;
    check_malformed(&witness, &log.request(12, 20).to_string()).await;
    witness.signs(&log.request(12, 20)).await;
}

async fn check_malformed(witness: &TestWitness, good: &str) {
    let changed = |from: &str, to: &str| good.replacen(from, to, 1);
    let many =
        good.replacen("old 12\n", &format!("old 12\n{}", format!("{}=\n", "A".repeat(43)).repeat(64)), 1);
    for body in [
        String::new(),
        "x".to_owned(),
        changed("old 12", "old 012"),
        changed("old 12", "new 12"),
        changed("old 12\n", ""),
        changed("\n\n", "\n"),
        good.trim_end().to_owned(),
        good.replace("— ", "- "),
        many,
    ] {
        witness.post(body).await.expect(400);
    }
    witness.post(vec![0xff; 100]).await.expect(400);
    // It may be answered, and the connection closed, before the whole body is sent.
    if let Some(answer) = witness.try_post("x".repeat(300_000)).await {
        answer.expect(413);
    }
    let service = &witness.service;
    let answer = service.send(service.request(Method::GET, "/add-checkpoint")).await.expect(405);
    assert_eq!(answer.header("allow"), "POST");
    service.send(service.request(Method::POST, "/").body(good.to_owned())).await.expect(404);
}

#[tokio::test]
async fn killed_and_started_again_it_remembers() {
    let folder = tempfile::tempdir().unwrap();
    let (log, key) = (TestLog::new("log.example.org"), key("w", KeyKind::Witness));
    let mut signed = 0;
    for round in 0..4 {
        let mut witness = TestWitness::start(folder.path(), &key, &[&log]);
        if signed > 0 {
            assert_eq!(conflict(&witness.send(&log.request(0, signed)).await), signed, "round {round}");
            witness.send(&log.rewritten(0).request(signed, signed + 9)).await.expect(422);
        }
        witness.signs(&log.request(signed, signed + 7)).await;
        signed += 7;
        witness.service.kill();
    }
}

/// Struck at any point while it signs one after another: what it signed it knows.
#[tokio::test]
async fn killed_in_the_middle_of_its_work_it_forgets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (log, key) = (Arc::new(TestLog::new("log.example.org")), key("w", KeyKind::Witness));
    let mut known = 0;
    for _ in 0..6 {
        let mut witness = Arc::new(TestWitness::start(folder.path(), &key, &[&log]));
        let acknowledged = Arc::new(AtomicU64::new(known));
        let asking = {
            let (witness, log, acknowledged) =
                (Arc::clone(&witness), Arc::clone(&log), Arc::clone(&acknowledged));
            tokio::spawn(async move {
                let mut old = known;
                while old < 250 {
                    match witness.try_post(log.request(old, old + 1).to_string()).await {
                        Some(answer) if answer.status == 200 => {
                            old += 1;
                            acknowledged.store(old, Ordering::SeqCst);
                        }
                        _ => break,
                    }
                }
            })
        };
        let goal = known + fastrand::u64(1..20);
        eventually("some are signed", async || (acknowledged.load(Ordering::SeqCst) >= goal).then_some(()))
            .await;
        nix::sys::signal::kill(witness.service.pid(), nix::sys::signal::Signal::SIGKILL).unwrap();
        asking.await.unwrap();
        Arc::get_mut(&mut witness).unwrap().service.kill();
        let witness = TestWitness::start(folder.path(), &key, &[&log]);
        let answer = witness.send(&log.request(0, 1)).await;
        let seen = conflict(&answer);
        let signed = acknowledged.load(Ordering::SeqCst);
        // One more may have been kept, and its answer lost.
        assert!((signed..=signed + 1).contains(&seen), "{seen} after {signed}");
        known = seen;
    }
}

/// All are checked against the same tree, and one alone is signed: of two pasts, one goes on.
#[tokio::test]
async fn of_those_who_ask_at_once_one_is_signed() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = TestLog::new("log.example.org");
    let witness = TestWitness::start(folder.path(), &key("w", KeyKind::Witness), &[&log]);
    let mut old = 0;
    for round in 0..8 {
        let branches = [log.clone(), log.rewritten(old)];
        let requests: Vec<AddCheckpoint> = (1..=8)
            .flat_map(|more| branches.iter().map(move |branch| branch.request(old, old + more)))
            .collect();
        let answers = futures::future::join_all(requests.iter().map(|request| witness.send(request))).await;
        let signed: Vec<usize> = (0..16).filter(|index| answers[*index].status == 200).collect();
        assert_eq!(signed.len(), 1, "round {round}: {answers:?}");
        let size = requests[signed[0]].checkpoint.size;
        for (index, answer) in answers.iter().enumerate().filter(|(index, _)| *index != signed[0]) {
            assert_eq!(conflict(answer), size, "round {round}: {index}");
        }
        log = branches[signed[0] % 2].clone();
        old = size;
    }
    witness.signs(&log.request(old, old + 1)).await;
}

#[tokio::test]
async fn it_stops_when_told_and_says_why_it_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let (log, key) = (TestLog::new("log.example.org"), key("w", KeyKind::Witness));
    let mut witness = TestWitness::start(folder.path(), &key, &[&log]);
    witness.signs(&log.request(0, 4)).await;
    let fails = |command: &mut std::process::Command| {
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    // Two in one folder would sign two pasts.
    let told = fails(&mut command(folder.path(), &key, &[&log]));
    assert!(told.contains("another witness works in"), "{told}");
    witness.service.terminate();
    assert!(witness.service.ended().await.success());
    let told = fails(&mut command(folder.path(), &log.key, &[&log]));
    assert!(told.contains("is a log's") && !told.contains("PRIVATE"), "{told}");
    let mut without = command(folder.path(), &key, &[&log]);
    std::fs::write(folder.path().join("witness.key"), "no key").unwrap();
    let told = fails(&mut without);
    assert!(told.contains("witness.key: not a key") && !told.contains("no key"), "{told}");
    let told = fails(&mut command(folder.path(), &key, &[]));
    assert!(told.contains("--log-key"), "{told}");
    for entry in std::fs::read_dir(folder.path().join("seen")).unwrap() {
        std::fs::write(entry.unwrap().path(), "").unwrap();
    }
    let told = fails(&mut command(folder.path(), &key, &[&log]));
    assert!(told.contains("it was damaged"), "{told}");
}
