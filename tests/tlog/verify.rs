//! `vtid-ledger audit verify-proof`: a file and a key, and no ledger.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use vtid_ledger::domain::position::Position;
use vtid_ledger::sealer::table;
use vtid_ledger::tlog::key::{KeyKind, SecretKey};

use super::stage::{Stage, stage};
use crate::support::program;

struct Ended {
    success: bool,
    out: String,
    error: String,
}

/// Without any setting: not even where a ledger is.
fn verify(file: &Path, arguments: &[&str]) -> Ended {
    let mut command = Command::new(program());
    let output =
        command.env_clear().args(["audit", "verify-proof"]).arg(file).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { success: output.status.success(), out: text(output.stdout), error: text(output.stderr) }
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn cosign(stage: &Stage, note: &str, witness: &SecretKey) -> String {
    let (text, _) = note.rsplit_once("\n\n").unwrap();
    let mut note = signed_note::Note::new(format!("{text}\n").as_bytes(), &[]).unwrap();
    note.add_sigs(&[&witness.at(1_679_315_147)]).unwrap();
    let note = String::from_utf8(note.to_bytes()).unwrap();
    assert!(note.starts_with(stage.key.public().name().as_str()));
    note.rsplit_once("\n\n").unwrap().1.to_owned()
}

#[tokio::test]
async fn a_proof_is_checked_with_nothing_but_the_key() {
    let stage = stage("ledger.example.org/verify").await;
    let vtid = stage.create("proven").await;
    stage.patch(&vtid, r#"{"status":"complete"}"#).await;
    stage.grow(300).await;
    let checkpoint = stage.seal().await;
    let witness = SecretKey::generate("witness.example.org".parse().unwrap(), KeyKind::Witness).unwrap();
    let line = cosign(&stage, &checkpoint.note, &witness);
    let mut connection = stage.platform.connection().await;
    let (origin, name) = (stage.key.public().name(), witness.public().name());
    table::keep_cosignature(&mut connection, origin, Position::new(300), name, &line).await.unwrap();
    let text = stage.get(&format!("/vtid/{vtid}/proof")).await.expect(200).text;
    assert!(text.contains("— witness.example.org "), "{text}");
    let record: Value = serde_json::from_str(&stage.records().await[1]).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let (file, key) = (write(folder.path(), "a.tlog-proof", &text), stage.vkey());
    let told = verify(&file, &["--key", &key]);
    assert!(told.success, "{}", told.error);
    let time = record["time"].as_str().unwrap();
    for part in [
        &format!("{vtid} version 2"),
        "at position 2",
        "vtid-completed",
        time,
        "auditor (service_role)",
        "300 events",
    ] {
        assert!(told.out.contains(part), "{part}: {}", told.out);
    }
    let witness_key = witness.public().to_string();
    let told = verify(&file, &["--key", &key, "--witness", &witness_key, "--json"]);
    let json: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!((told.success, &json["proven"], &json["position"]), (true, &true.into(), &2.into()));
    assert_eq!(
        (&json["vtid"], &json["actor"], &json["size"]),
        (&vtid.as_str().into(), &"auditor".into(), &300.into())
    );
    assert_eq!(json["witnesses"][0]["time"], "2023-03-20T12:25:47.000Z");
    // The record by itself, as it is stored, in an export say.
    let plain = write(folder.path(), "record.json", &format!("{}\n", stage.records().await[1]));
    assert!(verify(&file, &["--key", &key, "--record", plain.to_str().unwrap()]).success);
    let other = write(folder.path(), "other.json", &stage.records().await[2]);
    let told = verify(&file, &["--key", &key, "--record", other.to_str().unwrap()]);
    assert!(!told.success && told.error.contains("not in the tree"), "{}", told.error);
    check_refusals(folder.path(), &text, &key, &witness_key);

    // The next one has no witness yet: what is in the last one is proven by that.
    stage.grow(301).await;
    stage.seal().await;
    assert_eq!(stage.get(&format!("/vtid/{vtid}/proof")).await.expect(200).position(), 300);
    assert_eq!(stage.get("/events/301/proof").await.expect(200).position(), 301);
    assert!(stage.get_plain("/tlog/checkpoint").await.expect(200).text.contains("\n301\n"));
}

fn check_refusals(folder: &Path, text: &str, key: &str, witness: &str) {
    let strangers = SecretKey::generate("ledger.example.org/verify".parse().unwrap(), KeyKind::Log).unwrap();
    let strangers = strangers.public().to_string();
    let file = write(folder, "b.tlog-proof", text);
    let told = verify(&file, &["--key", &strangers, "--json"]);
    let json: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!((told.success, &json["proven"]), (false, &false.into()));
    assert!(json["reason"].as_str().unwrap().contains("none of the given keys"), "{json}");
    // One of several is enough.
    assert!(verify(&file, &["--key", &strangers, "--key", key]).success);
    let nobody = SecretKey::generate("witness.example.org".parse().unwrap(), KeyKind::Witness).unwrap();
    let told = verify(&file, &["--key", key, "--witness", &nobody.public().to_string()]);
    assert!(!told.success && told.error.contains("has not signed"), "{}", told.error);
    for arguments in [&["--key", witness][..], &["--key", "x"], &["--key", key, "--witness", key], &[]] {
        assert!(!verify(&file, arguments).success, "{arguments:?}");
    }
    for (from, to) in [
        ("index 1\n", "index 2\n"),
        ("extra eyJ", "extra eyK"),
        ("\n300\n", "\n301\n"),
        ("@v1\n", "@v2\n"),
        ("\n\n", "\n"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        let told = verify(&write(folder, "c.tlog-proof", &changed), &["--key", key]);
        assert!(!told.success && told.error.contains("not proven"), "{to}: {}", told.error);
    }
    let told = verify(&folder.join("missing"), &["--key", key]);
    assert!(!told.success && told.error.contains("missing"), "{}", told.error);
    let large = write(folder, "large", &"x".repeat(vtid_ledger::tlog::proof::MAX_BYTES + 1));
    assert!(verify(&large, &["--key", key]).error.contains("longer than any proof"));
}
