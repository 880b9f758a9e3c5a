//! Files that somebody made to do harm: found bad, in bounded memory, whatever numbers stand in them.

use std::fmt::Write as _;

use vtid_ledger::audit::file::MAX_MARKS;
use vtid_ledger::audit::verify::{CheckName, Report, Trusted, verify_file};
use vtid_ledger::domain::origin::Role;
use vtid_ledger::tlog::checkpoint::Checkpoint;
use vtid_ledger::tlog::key::{KeyKind, SecretKey};

use super::logs::{Maker, export, records};

const NUMBERS: [&str; 5] =
    ["0", "9223372036854775807", "9223372036854775808", "18446744073709551614", "18446744073709551615"];

fn good() -> String {
    let mut maker = Maker::new();
    let create = r#"{"taskFamily":"DEPLOY","taskType":"step","description":"first","tenant":"acme"}"#;
    maker.create(create, "ann", Role::ServiceRole);
    maker.patch(0, r#"{"status":"active"}"#, "ann", Role::ServiceRole);
    let bodies: Vec<_> = records(&maker.log).into_iter().map(|recorded| recorded.body).collect();
    String::from_utf8(export(&bodies)).unwrap()
}

fn verify(file: &str) -> Report {
    verify_file(file.as_bytes(), Trusted::default(), |_| {}).unwrap()
}

fn key() -> SecretKey {
    SecretKey::generate("ledger.example.org/hostile".parse().unwrap(), KeyKind::Log).unwrap()
}

/// With these lines behind the header.
fn with(file: &str, lines: &str) -> String {
    let header = file.find('\n').unwrap() + 1;
    format!("{}{lines}{}", &file[..header], &file[header..])
}

#[test]
fn more_keys_or_losses_than_are_kept_are_refused() {
    let (good, verifier) = (good(), key().public().to_string());
    let key = format!(
        r#"{{"key":{{"origin":"o","verifier":"{verifier}","first_used":"2026-01-01T00:00:00.000Z"}}}}"#
    );
    let loss = r#"{"loss":{"number":1,"first_position":9,"last_position":9,"accepted_by":"me","accepted_at":"2026-01-01T00:00:00.000Z"}}"#;
    for line in [key.as_str(), loss] {
        let most = with(&good, &format!("{line}\n").repeat(MAX_MARKS as usize));
        assert!(!verify(&most).is_bad());
        let more = verify(&with(&most, &format!("{line}\n")));
        let (check, finding) = more.first_wrong().unwrap();
        assert_eq!((check, finding.line), (CheckName::File, Some(u64::from(MAX_MARKS) + 2)), "{more:?}");
        // Between the records.
        let (front, last) = good.trim_end().rsplit_once('\n').unwrap();
        let late = verify(&format!("{front}\n{line}\n{last}\n"));
        assert_eq!(late.first_wrong().unwrap().0, CheckName::File, "{late:?}");
    }
}

/// However many logs there are of which the auditor holds no key.
#[test]
fn more_logs_than_a_ledger_has_are_refused() {
    let good = good();
    let marks = |logs: usize| {
        let mut lines = String::new();
        for log in 0..logs {
            writeln!(
                lines,
                r#"{{"checkpoint":{{"origin":"log-{log}","size":1,"previous":0,"event_id":"00000000-0000-0000-0000-000000000000","signed_at":"2026-01-01T00:00:00.000Z","note":""}}}}"#
            )
            .unwrap();
        }
        let (front, last) = good.trim_end().rsplit_once('\n').unwrap();
        format!("{front}\n{lines}{last}\n")
    };
    let trusted = || Trusted { keys: vec![key().public().clone()], checkpoints: Vec::new() };
    let looked_at = |logs| {
        let report = verify_file(marks(logs).as_bytes(), trusted(), |_| {}).unwrap();
        let checkpoints = report.checks.iter().find(|check| check.name == CheckName::Checkpoints).unwrap();
        assert!(checkpoints.is_bad(), "none counts");
        assert!(report.notes.len() <= 1_001, "{}", report.notes.len());
        format!("{:?}", checkpoints.outcome)
    };
    assert!(looked_at(1_000).contains("nothing is proven"));
    assert!(looked_at(1_001).contains("more than 1000 logs"));
    assert!(looked_at(5_000).contains("more than 1000 logs"));
}

#[test]
fn numbers_of_any_size_are_found_bad_and_no_more() {
    let (good, key) = (good(), key());
    let (origin, verifier) = (key.public().name().to_string(), key.public().to_string());
    let signed = |size: u64| {
        let root = vtid_ledger::tlog::Hash([7; 32]);
        Checkpoint::sign(key.public().name(), size, root, std::slice::from_ref(&key)).unwrap()
    };
    let known = format!(
        r#"{{"key":{{"origin":"{origin}","verifier":"{verifier}","first_used":"2026-01-01T00:00:00.000Z"}}}}"#
    );
    let good = with(&good, &format!("{known}\n"));
    assert!(!verify(&good).is_bad());
    let (front, last) = good.trim_end().rsplit_once('\n').unwrap();
    for number in NUMBERS {
        // Each number that a file holds, one after the other.
        for (from, to) in [
            (r#""events":2"#, format!(r#""events":{number}"#)),
            (r#""position":"2""#, format!(r#""position":"{number}""#)),
            (r#""streamversion":"2""#, format!(r#""streamversion":"{number}""#)),
            (r#"-0001","time""#, format!(r#"-{number}","time""#)),
        ] {
            assert!(good.contains(from), "{from}");
            assert!(verify(&good.replace(from, &to)).is_bad(), "{to}");
            assert!(verify(&good.replacen(from, &to, 1)).is_bad(), "{to}");
        }
        let size: u64 = number.parse().unwrap();
        let note = serde_json::to_string(&signed(size).note).unwrap();
        for previous in ["0", number] {
            let id = "00000000-0000-0000-0000-000000000000";
            let mark = format!(
                r#"{{"checkpoint":{{"origin":"{origin}","size":{number},"previous":{previous},"event_id":"{id}","signed_at":"2026-01-01T00:00:00.000Z","note":{note}}}}}"#
            );
            let line = r#"{"cosignature":{"origin":"o","size":SIZE,"witness":"w","line":"—"}}"#;
            let cosigned = line.replace("SIZE", number);
            assert!(verify(&format!("{front}\n{mark}\n{cosigned}\n{last}\n")).is_bad(), "{mark}");
            assert!(verify(&with(&good, &format!("{mark}\n"))).is_bad(), "{mark}");
        }
        let loss = format!(
            r#"{{"loss":{{"number":{number},"first_position":{number},"last_position":{number},"accepted_by":"me","accepted_at":"2026-01-01T00:00:00.000Z"}}}}"#
        );
        assert!(!verify(&with(&good, &format!("{loss}\n"))).is_bad(), "what was given up is none of the log");
        let kept = Trusted { keys: Vec::new(), checkpoints: vec![signed(size)] };
        assert!(verify_file(good.as_bytes(), kept, |_| {}).unwrap().is_bad(), "{number}");
    }
}
