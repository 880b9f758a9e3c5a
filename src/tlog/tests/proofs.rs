use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::key::{KeyKind, PublicKey, SecretKey};
use crate::tlog::proof::{Proof, ProofFault};
use crate::tlog::tile::{Ask, TileKey};
use crate::tlog::tree::Tree;
use crate::tlog::{Hash, leaf};

const RECORD: &str = r#"{"specversion":"1.0","id":"ä"}"#;

fn proof() -> (Proof, PublicKey) {
    let key = SecretKey::generate("log".parse().unwrap(), KeyKind::Log).unwrap();
    let mut tree = Tree::new();
    for record in ["first", RECORD, "third"] {
        tree.push(leaf(record));
    }
    let hashes = tree.edge(0).iter().flat_map(|hash| hash.0).collect();
    let tiles = BTreeMap::from([(TileKey { level: 0, number: 0 }, hashes)]);
    let path = Ask::Inclusion { size: 3, index: 1 }.answer(&tiles).unwrap();
    let checkpoint =
        Checkpoint::sign(key.public().name(), 3, tree.root(), std::slice::from_ref(&key)).unwrap();
    (Proof { record: Some(RECORD.to_owned()), index: 1, path, checkpoint }, key.public().clone())
}

#[test]
fn a_proof_is_one_file_that_comes_back() {
    let (proof, key) = proof();
    let text = proof.to_string();
    let lines: Vec<&str> = text.split('\n').collect();
    assert_eq!(lines[0], "c2sp.org/tlog-proof@v1");
    assert!(lines[1].starts_with("extra eyJ"), "{text}");
    assert_eq!(lines[2], "index 1");
    assert_eq!(lines[3], leaf("first").to_string());
    assert_eq!(lines[4], leaf("third").to_string());
    assert_eq!((lines[5], lines[6], lines[7]), ("", "log", "3"));
    assert_eq!(Proof::parse(&text).unwrap(), proof);
    proof.check(std::slice::from_ref(&key), None).unwrap();
    let without = Proof { record: None, ..proof.clone() };
    assert_eq!(Proof::parse(&without.to_string()).unwrap(), without);
    assert_eq!(without.check(std::slice::from_ref(&key), None), Err(ProofFault::NoRecord));
    without.check(std::slice::from_ref(&key), Some(RECORD)).unwrap();
    assert_eq!(proof.check(&[key], Some("first")), Err(ProofFault::NotIncluded(1)));
    assert!(matches!(proof.check(&[], None), Err(ProofFault::Checkpoint(_))));
}

/// Two kilobytes beside the record, witnesses' signatures included, among a million events.
#[test]
fn a_proof_is_small() {
    const SIZE: u64 = 1_000_000;
    let key = SecretKey::generate("ledger.example.org/tasks".parse().unwrap(), KeyKind::Log).unwrap();
    let signed =
        Checkpoint::sign(key.public().name(), SIZE, Hash([7; 32]), std::slice::from_ref(&key)).unwrap();
    let witness = format!("— witness.example.org/one {}\n", STANDARD.encode([0; 4 + 8 + 64]));
    let witnesses = [witness.clone(), witness.replace("one", "two"), witness.replace("one", "three")];
    let checkpoint = signed.with_signatures(&witnesses.concat()).unwrap();
    let mut longest = 0;
    for index in [0, 1, 65_535, 499_999, SIZE - 65, SIZE - 1] {
        let ask = Ask::Inclusion { size: SIZE, index };
        // How long a path is does not depend on what is in it.
        let tiles = ask.needs().unwrap().into_iter().map(|key| (key, vec![0; 256 * 32])).collect();
        let path = ask.answer(&tiles).unwrap();
        longest = path.len().max(longest);
        let proof = Proof { record: None, index, path, checkpoint: checkpoint.clone() };
        let bytes = proof.to_string().len() + "extra \n".len();
        assert!(bytes <= 2_048, "{bytes} bytes at {index}");
    }
    assert_eq!(longest, 20);
}

/// Any one byte.
#[test]
fn a_changed_proof_proves_nothing() {
    let (proof, key) = proof();
    let keys = [key];
    let text = proof.to_string();
    for index in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[index] ^= 1;
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        let Ok(parsed) = Proof::parse(&changed) else { continue };
        assert!(parsed.check(&keys, None).is_err(), "byte {index}: {changed}");
    }
    let elsewhere = Proof { index: 0, ..proof.clone() };
    assert_eq!(elsewhere.check(&keys, None), Err(ProofFault::NotIncluded(0)));
    let longer = Proof { path: [proof.path.as_slice(), &[Hash::default()]].concat(), ..proof };
    assert_eq!(longer.check(&keys, None), Err(ProofFault::NotIncluded(1)));
}

#[test]
fn what_is_no_proof_is_named_by_its_line() {
    let (proof, _) = proof();
    let text = proof.to_string();
    for (from, to, line) in [
        ("@v1", "@v2", 1),
        ("extra ", "extra #", 2),
        ("index 1", "index 01", 3),
        ("index 1", "index -1", 3),
        ("index 1\n", "", 3),
        ("=\n", "\n", 2),
    ] {
        let changed = text.replacen(from, to, 1);
        match Proof::parse(&changed) {
            Err(ProofFault::Form { line: named, .. }) => assert!(named >= line, "{changed}: line {named}"),
            other => panic!("{changed}: {other:?}"),
        }
    }
    assert!(matches!(Proof::parse(""), Err(ProofFault::Form { line: 1, .. })));
}
