//! Checkpoints in an export, and those that an auditor kept: what was rewritten, cut or given up since they were signed.

use vtid_ledger::audit::file::{CheckpointMark, ExportWriter, Header, KeyMark, LossMark, Mark};
use vtid_ledger::audit::verify::{CheckName, Report, Trusted, verify_file};
use vtid_ledger::domain::origin::Role;
use vtid_ledger::domain::position::Position;
use vtid_ledger::domain::record::Recorded;
use vtid_ledger::domain::time::Timestamp;
use vtid_ledger::tlog::checkpoint::Checkpoint;
use vtid_ledger::tlog::key::{KeyKind, SecretKey};
use vtid_ledger::tlog::leaf;
use vtid_ledger::tlog::tree::Tree;

use super::logs::{LEDGER, Maker, records};

const ORIGIN: &str = "ledger.example.org/tasks";
const EVENTS: u64 = 300;
/// Where checkpoints were signed.
const SIZES: [u64; 2] = [100, 300];

fn key() -> SecretKey {
    SecretKey::generate(ORIGIN.parse().unwrap(), KeyKind::Log).unwrap()
}

fn log() -> Vec<Recorded> {
    let mut maker = Maker::new();
    let create = r#"{"taskFamily":"DEPLOY","taskType":"step","description":"first","tenant":"acme"}"#;
    maker.create(create, "ann", Role::ServiceRole);
    for step in 1..EVENTS {
        maker.patch(0, &format!(r#"{{"metadata":{{"step":{step}}}}}"#), "ann", Role::ServiceRole);
    }
    records(&maker.log)
}

fn sealed(log: &[Recorded], size: u64, key: &SecretKey) -> Checkpoint {
    let mut tree = Tree::new();
    for recorded in &log[..usize::try_from(size).unwrap()] {
        tree.push(leaf(&recorded.body));
    }
    Checkpoint::sign(&ORIGIN.parse().unwrap(), size, tree.root(), std::slice::from_ref(key)).unwrap()
}

fn signed_at() -> Timestamp {
    Timestamp::parse("2026-11-28T10:00:00.000Z").unwrap()
}

/// An export of `log` with the checkpoints of another log, or of the same.
fn export(log: &[Recorded], of: &[Recorded], key: &SecretKey, losses: &[LossMark]) -> Vec<u8> {
    let mut writer = ExportWriter::begin(Vec::new(), Header::new(LEDGER, log.len() as u64)).unwrap();
    let verifier = key.public().to_string();
    writer
        .mark(&Mark::Key(KeyMark { origin: ORIGIN.to_owned(), verifier, first_used: signed_at() }))
        .unwrap();
    for loss in losses {
        writer.mark(&Mark::Loss(loss.clone())).unwrap();
    }
    let mut previous = 0;
    let mut mark = |size: u64| {
        let checkpoint = CheckpointMark {
            origin: ORIGIN.to_owned(),
            size,
            previous,
            event_id: of[usize::try_from(size).unwrap() - 1].event.id,
            signed_at: signed_at(),
            note: sealed(of, size, key).note,
        };
        previous = size;
        Mark::Checkpoint(checkpoint)
    };
    for recorded in log {
        writer.record(&recorded.body).unwrap();
        if SIZES.contains(&writer.written()) {
            writer.mark(&mark(writer.written())).unwrap();
        }
    }
    for size in SIZES.into_iter().filter(|size| *size > log.len() as u64) {
        writer.mark(&mark(size)).unwrap();
    }
    writer.end().unwrap().0
}

fn verify(file: &[u8], trusted: Trusted) -> Report {
    verify_file(file, trusted, |_| {}).unwrap()
}

/// Where the checkpoints are wrong; nothing else may be.
fn wrong_at(report: &Report) -> Option<u64> {
    let (check, finding) = report.first_wrong()?;
    assert_eq!(check, CheckName::Checkpoints, "{report:?}");
    Some(finding.position.map_or(0, Position::get))
}

/// As somebody would rewrite it who can also make sums and root anew.
fn rewritten(mut log: Vec<Recorded>, position: usize) -> Vec<Recorded> {
    let body = log[position - 1].body.replace("\"actor\":\"ann\"", "\"actor\":\"bob\"");
    log[position - 1] = Recorded::parse(body.into()).unwrap();
    log
}

#[test]
fn checkpoints_hold_for_the_log_that_was_signed_and_for_no_other() {
    let (log, key) = (log(), key());
    let good = verify(&export(&log, &log, &key, &[]), Trusted::default());
    assert!(!good.is_bad(), "{good:?}");
    assert_eq!(good.sealed, std::collections::BTreeMap::from([(ORIGIN.to_owned(), EVENTS)]));
    let checked = good.checks.iter().find(|check| check.name == CheckName::Checkpoints).unwrap();
    assert_eq!(checked.looked_at, 2);

    let trusted = |key: &SecretKey| Trusted { keys: vec![key.public().clone()], checkpoints: Vec::new() };
    assert!(!verify(&export(&log, &log, &key, &[]), trusted(&key)).is_bad());
    // Of another name: what the ledger says of itself does not count then.
    let stranger = SecretKey::generate("ledger.example.org/another".parse().unwrap(), KeyKind::Log).unwrap();
    let unproven = verify(&export(&log, &log, &key, &[]), trusted(&stranger));
    assert_eq!(wrong_at(&unproven), Some(0), "{unproven:?}");
    assert!(unproven.first_wrong().unwrap().1.what.contains("nothing is proven"), "{unproven:?}");
    assert_eq!(unproven.sealed, good.sealed);
    // The same name, and another's hand.
    let forged = verify(&export(&log, &log, &key, &[]), trusted(&self::key()));
    assert_eq!(wrong_at(&forged), Some(100), "{forged:?}");

    for (position, first_unsure, last_unsure) in [(150, 101, 300), (50, 1, 100)] {
        let file = export(&rewritten(log.clone(), position), &log, &key, &[]);
        let report = verify(&file, Trusted::default());
        assert_eq!(wrong_at(&report), Some(first_unsure), "{report:?}");
        let (_, finding) = report.first_wrong().unwrap();
        assert_eq!(finding.up_to.map(Position::get), Some(last_unsure), "{report:?}");
    }
}

/// What names the very place comes before the bounds in which a checkpoint has it; and its line is counted with all that
/// stands in between.
#[test]
fn an_exact_place_comes_before_bounds() {
    let (log, key) = (log(), key());
    let file = String::from_utf8(export(&log, &log, &key, &[])).unwrap();
    for position in [50usize, 150] {
        let record = &log[position - 1].body;
        let changed = file.replace(&**record, &record.replace("\"actor\":\"ann\"", "\"actor\":\"bob\""));
        assert_ne!(changed, file);
        let report = verify(changed.as_bytes(), Trusted::default());
        let checkpoints = report.checks.iter().find(|check| check.name == CheckName::Checkpoints).unwrap();
        assert!(checkpoints.is_bad(), "{report:?}");
        let (check, finding) = report.first_wrong().unwrap();
        let line = file.lines().position(|line| line == &**record).unwrap() as u64 + 1;
        assert_eq!(
            (check, finding.position.map(Position::get), finding.up_to, finding.line),
            (CheckName::Sums, Some(position as u64), None, Some(line)),
            "{report:?}"
        );
    }
}

#[test]
fn a_kept_checkpoint_tells_what_was_signed_anew() {
    let (log, key) = (log(), key());
    let kept = |sizes: &[u64]| Trusted {
        keys: vec![key.public().clone()],
        checkpoints: sizes.iter().map(|size| sealed(&log, *size, &key)).collect(),
    };
    assert!(!verify(&export(&log, &log, &key, &[]), kept(&[40, 200])).is_bad());
    // Of no event, and of all.
    assert!(!verify(&export(&log, &log, &key, &[]), kept(&[0, EVENTS])).is_bad());
    // The ledger's own key signed the new history.
    let other = rewritten(log.clone(), 150);
    let file = export(&other, &other, &key, &[]);
    assert!(!verify(&file, Trusted::default()).is_bad());
    assert!(!verify(&file, kept(&[40])).is_bad());
    assert_eq!(wrong_at(&verify(&file, kept(&[40, 200]))), Some(41));
    // Of more events than there are.
    let short = &log[..120];
    let file =
        export(short, short.iter().chain(&log[120..]).cloned().collect::<Vec<_>>().as_slice(), &key, &[]);
    assert_eq!(wrong_at(&verify(&file, kept(&[200]))), Some(121));
}

#[test]
fn an_end_that_is_gone_is_named_unless_it_was_given_up() {
    let (log, key) = (log(), key());
    let short = &log[..200];
    let gone = verify(&export(short, &log, &key, &[]), Trusted::default());
    assert_eq!(wrong_at(&gone), Some(201), "{gone:?}");
    let loss = |accepted_at: &str| LossMark {
        number: 1,
        first_position: 201,
        last_position: 300,
        accepted_by: "operator".to_owned(),
        accepted_at: Timestamp::parse(accepted_at).unwrap(),
    };
    let given_up =
        verify(&export(short, &log, &key, &[loss("2026-11-28T11:00:00.000Z")]), Trusted::default());
    assert!(!given_up.is_bad(), "{given_up:?}");
    assert!(given_up.notes.iter().any(|note| note.contains("operator")), "{given_up:?}");
    // What was signed after it is none of it.
    let before = verify(&export(short, &log, &key, &[loss("2026-11-28T09:00:00.000Z")]), Trusted::default());
    assert_eq!(wrong_at(&before), Some(201), "{before:?}");
}
