//! Keys: made, given, replaced.

use vtid_ledger::tlog::checkpoint::{Checkpoint, CheckpointError};
use vtid_ledger::tlog::key::{KeyKind, PublicKey, SecretKey};

use super::stage::{ORIGIN, Stage, mode, new_key, refusal};
use crate::support::service::some_task;

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_replaced_and_old_checkpoints_stay_verifiable() {
    let mut stage = Stage::new().await;
    let (first, second) = (stage.key.clone(), new_key(ORIGIN));
    let mut sizes = Vec::new();
    for (n, keys) in [vec![&first], vec![&first, &second], vec![&second]].into_iter().enumerate() {
        stage.give_keys(&keys);
        let service = stage.serve().await;
        service.create(some_task(&format!("key {n}"))).await.expect(200);
        sizes.push(stage.all_sealed().await);
    }
    let sealed = stage.sealed().await;
    assert_eq!(sealed.iter().map(|one| one.size.get()).collect::<Vec<_>>(), sizes);
    let opens = |nth: usize, key: &SecretKey| {
        Checkpoint::open(sealed[nth].note.as_bytes(), &[key.public().clone()]).map(|_| ())
    };
    let unsigned = || Err(CheckpointError::Signature("none of the given keys signed it".to_owned()));
    assert_eq!((opens(0, &first), opens(0, &second)), (Ok(()), unsigned()));
    assert_eq!((opens(1, &first), opens(1, &second)), (Ok(()), Ok(())));
    assert_eq!((opens(2, &first), opens(2, &second)), (unsigned(), Ok(())));
    let kept = vtid_ledger::sealer::table::keys(&mut stage.connection().await, ORIGIN).await.unwrap();
    assert_eq!(kept, [first.public().to_string(), second.public().to_string()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn keygen_makes_a_private_file_and_overwrites_none() {
    let stage = Stage::new().await;
    let path = stage.file("new.key");
    let arguments = ["keygen", "--origin", "ledger.example.org", "--out", path.to_str().unwrap()];
    let printed = stage.platform.run(&arguments).await.succeeded();
    let public = PublicKey::parse(printed.trim()).unwrap();
    assert_eq!(
        (public.name().as_str(), public.kind(), mode(&path)),
        ("ledger.example.org", KeyKind::Log, 0o600)
    );
    let kept = std::fs::read_to_string(&path).unwrap();
    assert_eq!(*SecretKey::parse(kept.trim()).unwrap().public(), public);
    let refused = stage.platform.run(&arguments).await.failed();
    assert!(refused.contains("new.key is there already"), "{refused}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), kept);
    // Without a file, and without a name.
    let ended = stage.platform.run(&["keygen"]).await;
    let told = PublicKey::parse(ended.error.trim()).unwrap();
    let key = SecretKey::parse(ended.succeeded().trim()).unwrap();
    assert_eq!(*key.public(), told);
    let another = stage.platform.run(&["keygen"]).await;
    assert_ne!(PublicKey::parse(another.error.trim()).unwrap().name(), told.name());
    let witness = stage.platform.run(&["keygen", "--witness", "--origin", "w"]).await;
    assert_eq!(PublicKey::parse(witness.error.trim()).unwrap().kind(), KeyKind::Witness);
    let refused = stage.platform.run(&["keygen", "--origin", "a name"]).await.failed();
    assert!(refused.contains("must be 1 to 255 bytes without spaces"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_key_is_refused_and_not_shown() {
    let stage = Stage::new().await;
    let good = stage.key.print();
    // What follows PRIVATE, KEY, the name and the id; it may have a plus of its own.
    let secret = good.splitn(5, '+').last().unwrap();
    let damaged = good.replace("ledger.example.org", "ledger.example.com");
    let missing = stage.file("missing");
    for (environment, told) in [
        ([("AUDIT_KEY", &*damaged)].as_slice(), "AUDIT_KEY: key 1 of the list: the key's id does not belong"),
        (&[("AUDIT_KEY", secret)], "AUDIT_KEY: key 1 of the list: not a key of the form"),
        (&[("AUDIT_KEY", &good), ("AUDIT_KEY_FILE", "keys")], "AUDIT_KEY and AUDIT_KEY_FILE are both set"),
        (&[("AUDIT_KEY_FILE", missing.to_str().unwrap())], "No such file"),
        (&[("AUDIT_KEY", &good), ("OASIS_AUDIT_STREAM", "OASIS_VTID_LEDGER")], "must be another stream"),
        (&[("AUDIT_KEY", &good), ("WITNESS_URLS", "nowhere")], "WITNESS_URLS: "),
    ] {
        let refused = refusal(&stage, environment);
        assert!(refused.contains(told), "{refused}");
        assert!(!refused.contains(secret), "{refused}");
    }
}
