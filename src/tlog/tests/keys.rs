use proptest::prelude::*;
use signed_note::{Note, VerifierList};

use crate::tlog::Hash;
use crate::tlog::checkpoint::{Checkpoint, CheckpointError};
use crate::tlog::key::{KeyError, KeyKind, KeyName, PublicKey, SecretKey};

fn name(text: &str) -> KeyName {
    text.parse().unwrap()
}

fn secret(text: &str, kind: KeyKind) -> SecretKey {
    SecretKey::generate(name(text), kind).unwrap()
}

/// The example of the documentation of Go's `note`.
#[test]
fn a_published_note_is_verified_and_signed_alike() {
    const VERIFIER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const SIGNER: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const NOTE: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    let (secret, public) = (SecretKey::parse(SIGNER).unwrap(), PublicKey::parse(VERIFIER).unwrap());
    assert_eq!((secret.public(), secret.print().as_str()), (&public, SIGNER));
    assert_eq!(public.to_string(), VERIFIER);
    let note = Note::from_bytes(NOTE.as_bytes()).unwrap();
    note.verify(&VerifierList::new(vec![Box::new(public)])).unwrap();
    let mut signed = Note::new(note.text(), &[]).unwrap();
    signed.add_sigs(&[&secret.at(0)]).unwrap();
    assert_eq!(signed.to_bytes(), NOTE.as_bytes());
}

#[test]
fn keys_come_back() {
    for kind in [KeyKind::Log, KeyKind::Witness] {
        let secret = secret("ledger.example.org/tasks", kind);
        assert_eq!(SecretKey::parse(&secret.print()).unwrap().public(), secret.public());
        assert_eq!(&PublicKey::parse(&secret.public().to_string()).unwrap(), secret.public());
        assert_eq!(secret.public().kind(), kind);
        assert!(!format!("{secret:?}").contains(&secret.print()[60..]));
    }
}

#[test]
fn what_is_no_key_is_refused() {
    let good = secret("a", KeyKind::Log);
    let (public, private) = (good.public().to_string(), good.print());
    for (text, why) in [
        (String::new(), KeyError::Form),
        ("a+b".to_owned(), KeyError::Form),
        (public.to_uppercase(), KeyError::Form),
        (public.replacen('a', "b", 1), KeyError::Id),
        (public.replacen('+', "+ ", 1), KeyError::Form),
        ("a+00000000+AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned(), KeyError::Algorithm),
        (private.clone(), KeyError::Form),
    ] {
        assert_eq!(PublicKey::parse(&text).unwrap_err(), why, "{text}");
    }
    assert_eq!(SecretKey::parse(&public).unwrap_err(), KeyError::Form);
    assert_eq!(SecretKey::parse(&private.replacen("+a+", "+b+", 1)).unwrap_err(), KeyError::Id);
    for text in ["", "a b", "a+b", "a\n", "a\u{7f}", "ä\u{a0}", &"x".repeat(256)] {
        assert!(text.parse::<KeyName>().is_err(), "{text:?}");
    }
}

/// What it takes to sign a checkpoint, and to be trusted.
#[test]
fn a_checkpoint_counts_with_a_key_of_its_log_alone() {
    let (own, other, witness) =
        (secret("log", KeyKind::Log), secret("log", KeyKind::Log), secret("w", KeyKind::Witness));
    let signed = Checkpoint::sign(&name("log"), 7, Hash([9; 32]), &[own.clone(), other.clone()]).unwrap();
    assert_eq!(signed.text(), "log\n7\nCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=\n");
    let open = |note: &str, keys: &[&SecretKey]| {
        let keys: Vec<PublicKey> = keys.iter().map(|key| key.public().clone()).collect();
        Checkpoint::open(note.as_bytes(), &keys)
    };
    // Each of two keys is enough: so a key is rotated.
    assert_eq!(open(&signed.note, &[&own]).unwrap(), signed);
    assert_eq!(open(&signed.note, &[&other]).unwrap(), signed);
    let stranger = secret("log", KeyKind::Log);
    assert!(matches!(open(&signed.note, &[&stranger]), Err(CheckpointError::Signature(_))));
    assert!(matches!(open(&signed.note, &[]), Err(CheckpointError::Signature(_))));
    let changed = signed.note.replacen("\n7\n", "\n8\n", 1);
    assert!(matches!(open(&changed, &[&own]), Err(CheckpointError::Signature(_))));
    let elsewhere =
        Checkpoint::sign(&name("elsewhere"), 7, Hash([9; 32]), std::slice::from_ref(&own)).unwrap();
    assert_eq!(
        open(&elsewhere.note, &[&own]).unwrap_err(),
        CheckpointError::OtherOrigin("elsewhere".to_owned())
    );
    // Nor does it count beside a key of that log, which has not signed.
    let theirs = secret("elsewhere", KeyKind::Log);
    assert!(matches!(open(&elsewhere.note, &[&theirs, &own]), Err(CheckpointError::OtherOrigin(_))));
    // A witness's signature alone is not the log's.
    let mut note = Note::new(signed.text().as_bytes(), &[]).unwrap();
    note.add_sigs(&[&witness.at(1_700_000_000)]).unwrap();
    let cosigned = String::from_utf8(note.to_bytes()).unwrap();
    assert!(matches!(open(&cosigned, &[&own, &witness]), Err(CheckpointError::Signature(_))));
    let line = cosigned.rsplit_once("\n\n").unwrap().1;
    let both = signed.with_signatures(line).unwrap();
    assert_eq!(both.signed_by(&[own.public(), stranger.public(), witness.public()]).unwrap(), [0, 2]);
    assert_eq!(both.signed_by(&[own.public(), own.public()]).unwrap(), [0, 1], "a key that is given twice");
    assert_eq!(both.with_signatures(line).unwrap(), both);
    assert_eq!(signed.with_signatures("— w ???\n"), Err(CheckpointError::Form));
}

#[test]
fn a_cosignature_says_when() {
    let witness = secret("w", KeyKind::Witness);
    let signature = witness.sign_at(b"text\n", 1_679_315_147);
    assert_eq!(signature.len(), 8 + 64);
    assert_eq!(signature[..8], 1_679_315_147_u64.to_be_bytes());
    let verify = |signature: &[u8]| signed_note::Verifier::verify(witness.public(), b"text\n", signature);
    assert!(verify(&signature));
    let later = [&1_679_315_148_u64.to_be_bytes(), &signature[8..]].concat();
    assert!(!verify(&later) && !verify(&signature[8..]) && !verify(&[]));
}

proptest! {
    /// Whatever comes in, it is read or refused.
    #[test]
    fn no_text_breaks_the_parsers(text in "(PRIVATE\\+KEY\\+)?[a-z]{0,3}\\+[0-9a-f]{0,9}\\+[A-Za-z0-9/=+]{0,50}|\\PC{0,80}") {
        let _ = (PublicKey::parse(&text), SecretKey::parse(&text));
        let _ = (Checkpoint::parse(text.as_bytes()), crate::tlog::proof::Proof::parse(&text));
    }
}
