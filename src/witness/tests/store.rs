use super::{TestLog, clock, log_key, witness_key};
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::key::PublicKey;
use crate::witness::decide::Refused;
use crate::witness::request::AddCheckpoint;
use crate::witness::service::{AddError, Witness, WitnessError};
use crate::witness::store::{Store, StoreError};

fn refused(added: Result<String, AddError>) -> Refused {
    match added {
        Err(AddError::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

fn send(witness: &Witness, request: &AddCheckpoint) -> Result<String, AddError> {
    witness.add_checkpoint(request.to_string().as_bytes())
}

#[test]
fn what_was_seen_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (log, other, key) =
        (TestLog::new("a/b c".replace(' ', "_").as_str()), TestLog::new("other"), witness_key());
    let keys: Vec<PublicKey> = [&log, &other].map(|log| log.key.public().clone()).to_vec();
    let open = || {
        let store = Store::open(&folder.path().join("deep/er")).unwrap();
        Witness::open(key.clone(), keys.clone(), store, clock()).unwrap()
    };
    let witness = open();
    let line = send(&witness, &log.request(0, 5)).unwrap();
    send(&witness, &other.request(0, 2)).unwrap();
    // Nobody else writes there meanwhile.
    assert!(matches!(Store::open(&folder.path().join("deep/er")), Err(StoreError::InUse(_))));
    drop(witness);
    let cosigned = log.checkpoint(5).with_signatures(&line).unwrap();
    assert_eq!(cosigned.signed_by(&[key.public()]).unwrap(), [0]);
    // As a crash before the last step leaves it.
    let kept = std::fs::read_dir(folder.path().join("deep/er")).unwrap().map(|entry| entry.unwrap().path());
    for path in kept.filter(|path| path.extension().is_some_and(|ending| ending == "checkpoint")) {
        std::fs::write(path.with_extension("new"), "half a check").unwrap();
    }
    let witness = open();
    assert_eq!(refused(send(&witness, &log.request(0, 7))), Refused::Conflict { size: 5 });
    assert_eq!(refused(send(&witness, &other.request(0, 1))), Refused::Conflict { size: 2 });
    assert_eq!(refused(send(&witness, &log.forked(2).request(5, 7))), Refused::NotConsistent);
    send(&witness, &log.request(5, 7)).unwrap();
    assert_eq!(refused(send(&witness, &TestLog::new("third").request(0, 1))), Refused::UnknownLog);
}

#[test]
fn a_damaged_file_is_not_forgotten_but_told() {
    let folder = tempfile::tempdir().unwrap();
    let log = TestLog::new("log");
    let store = Store::open(folder.path()).unwrap();
    assert!(store.load("log").unwrap().is_none());
    store.keep(&log.checkpoint(3)).unwrap();
    assert_eq!(store.load("log").unwrap(), Some(log.checkpoint(3)));
    store.keep(&log.checkpoint(4)).unwrap();
    assert_eq!(store.load("log").unwrap(), Some(log.checkpoint(4)));
    let files = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let mut files = files.filter(|path| path.extension().is_some_and(|ending| ending == "checkpoint"));
    let path = files.next().unwrap();
    for content in
        [String::new(), log.checkpoint(4).note[..20].to_owned(), TestLog::new("b").checkpoint(4).note]
    {
        std::fs::write(&path, content).unwrap();
        assert!(matches!(store.load("log"), Err(StoreError::Damaged(_))));
    }
    drop(store);
    let (store, keys) = (Store::open(folder.path()).unwrap(), vec![log.key.public().clone()]);
    assert!(matches!(Witness::open(witness_key(), keys, store, clock()), Err(WitnessError::Store(_))));
}

#[test]
fn keys_of_the_wrong_kind_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (log, witness) = (log_key("log"), witness_key());
    let open = |key, known: &PublicKey| {
        let store = Store::open(folder.path()).unwrap();
        Witness::open(key, vec![known.clone()], store, clock()).err().unwrap()
    };
    assert!(matches!(open(log.clone(), log.public()), WitnessError::NotAWitness(_)));
    assert!(matches!(open(witness.clone(), witness.public()), WitnessError::NotALog(_)));
}

/// Where it can't keep what it saw, it signs nothing.
#[test]
fn without_a_disk_there_is_no_signature() {
    let folder = tempfile::tempdir().unwrap();
    let log = TestLog::new("log");
    let store = Store::open(folder.path()).unwrap();
    let witness = Witness::open(witness_key(), vec![log.key.public().clone()], store, clock()).unwrap();
    send(&witness, &log.request(0, 3)).unwrap();
    std::fs::remove_dir_all(folder.path()).unwrap();
    assert!(matches!(send(&witness, &log.request(3, 5)), Err(AddError::Disk(_))));
    std::fs::create_dir(folder.path()).unwrap();
    // It is where it was: another tree of five leaves is as good.
    send(&witness, &log.forked(4).request(3, 5)).unwrap();
    assert_eq!(refused(send(&witness, &log.request(3, 5))), Refused::Conflict { size: 5 });
}

#[test]
fn a_cosignature_says_when_it_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let (log, key) = (TestLog::new("log"), witness_key());
    let store = Store::open(folder.path()).unwrap();
    let witness = Witness::open(key.clone(), vec![log.key.public().clone()], store, clock()).unwrap();
    let line = send(&witness, &log.request(0, 3)).unwrap();
    let mut note = signed_note::Note::new(log.checkpoint(3).text().as_bytes(), &[]).unwrap();
    note.add_sigs(&[&key.at(1_679_315_147)]).unwrap();
    let expected = String::from_utf8(note.to_bytes()).unwrap();
    assert_eq!(expected.rsplit_once("\n\n").unwrap().1, line);
    assert!(Checkpoint::parse(expected.as_bytes()).is_ok());
}
