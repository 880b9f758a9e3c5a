use proptest::prelude::*;

use super::{TestLog, log_key, witness_key};
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::key::PublicKey;
use crate::tlog::{EMPTY, Hash};
use crate::witness::decide::{Refused, Seen, decide};
use crate::witness::request::AddCheckpoint;

fn keys(log: &TestLog) -> Vec<PublicKey> {
    vec![log.key.public().clone()]
}

fn seen(log: &TestLog, size: u64) -> Seen {
    Seen { size, root: log.root(size) }
}

/// Whoever runs the log signs each of these: what counts is what the witness saw.
#[test]
fn each_rule_of_the_specification() {
    let log = TestLog::new("log");
    let (at_5, fork) = (seen(&log, 5), log.forked(3));
    let ask = |request: &AddCheckpoint| decide(&keys(&log), at_5, request);
    assert_eq!(ask(&log.request(5, 9)), Ok(seen(&log, 9)));
    assert_eq!(ask(&log.request(5, 5)), Ok(at_5), "the same one again");
    assert_eq!(ask(&log.request(6, 5)), Err(Refused::OldIsLarger));
    for old in [0, 4, 6] {
        assert_eq!(ask(&log.request(old, 9)), Err(Refused::Conflict { size: 5 }), "old {old}");
    }
    // A rollback, in each way that it could be asked for.
    assert_eq!(ask(&log.request(0, 4)), Err(Refused::Conflict { size: 5 }));
    assert_eq!(ask(&log.request(4, 4)), Err(Refused::Conflict { size: 5 }));
    assert_eq!(ask(&log.request(5, 4)), Err(Refused::OldIsLarger));
    // Another past.
    assert_eq!(ask(&fork.request(5, 9)), Err(Refused::NotConsistent));
    assert_eq!(ask(&fork.request(5, 5)), Err(Refused::OtherRoot { size: 5 }));
    let borrowed = AddCheckpoint { proof: log.proof(5, 9), ..fork.request(5, 9) };
    assert_eq!(ask(&borrowed), Err(Refused::NotConsistent));
    let without = AddCheckpoint { proof: Vec::new(), ..log.request(5, 9) };
    assert_eq!(ask(&without), Err(Refused::NotConsistent));
    let too_much = AddCheckpoint { proof: vec![Hash::default()], ..log.request(5, 5) };
    assert_eq!(ask(&too_much), Err(Refused::NotConsistent));
}

#[test]
fn the_first_one_needs_no_proof_and_may_have_none() {
    let log = TestLog::new("log");
    let ask = |request: &AddCheckpoint| decide(&keys(&log), Seen::default(), request);
    assert_eq!(ask(&log.request(0, 7)), Ok(seen(&log, 7)));
    assert_eq!(ask(&log.request(0, 0)), Ok(Seen { size: 0, root: EMPTY }));
    assert_eq!(ask(&log.request(3, 7)), Err(Refused::Conflict { size: 0 }));
    let proof = vec![Hash::default()];
    assert_eq!(ask(&AddCheckpoint { proof, ..log.request(0, 7) }), Err(Refused::NotConsistent));
    let key = std::slice::from_ref(&log.key);
    let strange = Checkpoint::sign(log.key.public().name(), 0, Hash([1; 32]), key).unwrap();
    let request = AddCheckpoint { checkpoint: strange, ..log.request(0, 0) };
    assert_eq!(ask(&request), Err(Refused::OtherRoot { size: 0 }));
}

#[test]
fn whose_checkpoint_it_is_comes_first() {
    let (log, stranger) = (TestLog::new("log"), TestLog::new("log"));
    let request = log.request(9, 5);
    assert_eq!(decide(&[], Seen::default(), &request), Err(Refused::UnknownLog));
    assert_eq!(decide(&keys(&stranger), Seen::default(), &request), Err(Refused::Untrusted));
    // A rotated key beside: one that is known is enough, in whatever order.
    let both = [log_key("log"), log.key.clone()];
    let name = log.key.public().name();
    let signed = Checkpoint::sign(name, 5, log.root(5), &both).unwrap();
    let request = AddCheckpoint { checkpoint: signed, ..log.request(0, 5) };
    assert_eq!(decide(&keys(&log), Seen::default(), &request), Ok(seen(&log, 5)));
    // A witness's signature is not the log's.
    let note = log.checkpoint(5).text().to_owned();
    let mut note = signed_note::Note::new(note.as_bytes(), &[]).unwrap();
    note.add_sigs(&[&witness_key().at(7)]).unwrap();
    let checkpoint = Checkpoint::parse(&note.to_bytes()).unwrap();
    let request = AddCheckpoint { checkpoint, ..log.request(0, 5) };
    assert_eq!(decide(&keys(&log), Seen::default(), &request), Err(Refused::Untrusted));
}

/// A request as anybody might make it: of the log or of its fork, with a proof that fits or of another pair of sizes.
#[derive(Debug, Clone)]
struct Step {
    forks: bool,
    old: u64,
    size: u64,
    proof: Option<(bool, u64, u64)>,
}

fn step() -> impl Strategy<Value = Step> {
    let sizes = || (0u64..12, 0u64..12);
    let proof = proptest::option::weighted(0.3, (any::<bool>(), sizes()));
    (any::<bool>(), sizes(), proof).prop_map(|(forks, (old, size), proof)| Step {
        forks,
        old,
        size,
        proof: proof.map(|(forks, (old, size))| (forks, old, size)),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever is asked, and in whatever order: it never goes back, never signs two trees of a size, and never trees that
    /// are not of one past; and it signs whatever goes on.
    #[test]
    fn what_it_signs_is_of_one_past(forked in 0u64..6, steps in proptest::collection::vec(step(), 1..24)) {
        let log = TestLog::new("log");
        let branches = [log.clone(), log.forked(forked)];
        let keys = keys(&log);
        let mut now = Seen::default();
        let mut signed: Vec<Seen> = Vec::new();
        for Step { forks, old, size, proof } in steps {
            let branch = &branches[usize::from(forks)];
            let mut request = branch.request(old, size);
            if let Some((forks, old, size)) = proof {
                request.proof = branches[usize::from(forks)].proof(old, size);
            }
            let goes_on = branch.root(now.size) == now.root && old == now.size && old <= size;
            match decide(&keys, now, &request) {
                Ok(new) => {
                    prop_assert!(goes_on && new.size == size && new.root == branch.root(size));
                    now = new;
                    signed.push(new);
                }
                Err(_) => prop_assert!(!goes_on || proof.is_some()),
            }
        }
        prop_assert!(signed.windows(2).all(|pair| pair[0].size <= pair[1].size));
        let of_one = |branch: &TestLog| signed.iter().all(|seen| branch.root(seen.size) == seen.root);
        prop_assert!(branches.iter().any(of_one));
    }
}
