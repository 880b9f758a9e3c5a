//! The checker objects by name to whatever can't be, and to nothing else.

use std::sync::Arc;

use serde_json::{Value, json};
use vtid_ledger::domain::position::{Position, Version};
use vtid_ledger::domain::record::Recorded;
use vtid_ledger::domain::time::Timestamp;

use super::checker::{Evidence, Message, Row, Written, each_key_is_written_once, objections};
use super::history::{Asked, Call, Moment, Seen, Told};
use super::objection::Objection;
use super::perfect::{LEDGER, Perfect, TAKES};

/// Positions: 1 and 2 two tasks, 3 and 4 patches of the first.
fn perfect() -> Evidence {
    let mut ledger = Perfect::new();
    let first = ledger.create("create-1");
    ledger.create("create-2");
    ledger.patch("patch-3", first, "active");
    ledger.get("get-a", first);
    ledger.patch("patch-4", first, "blocked");
    ledger.refuse("refused", first, "blocked");
    ledger.get("get-b", first);
    ledger.evidence
}

/// The same, and a list after it.
fn listed() -> Evidence {
    let mut ledger = Perfect::new();
    let first = ledger.create("create-1");
    ledger.create("create-2");
    ledger.patch("patch-3", first, "active");
    ledger.list("list-a");
    ledger.patch("patch-4", first, "blocked");
    ledger.evidence
}

fn told_to<'a>(evidence: &'a mut Evidence, request: &str) -> &'a mut Call {
    evidence.history.iter_mut().find(|call| call.request == request).unwrap()
}

fn shown<'a>(evidence: &'a mut Evidence, request: &str) -> &'a mut Seen {
    match &mut told_to(evidence, request).told {
        Told::Written { seen, .. } | Told::Shown(seen) => seen,
        other => panic!("{request}: {other:?}"),
    }
}

/// What is objected to, once the evidence is spoilt.
fn after(spoil: impl FnOnce(&mut Evidence)) -> Vec<Objection> {
    let mut evidence = perfect();
    spoil(&mut evidence);
    objections(&evidence)
}

fn only(objection: Objection, spoil: impl FnOnce(&mut Evidence)) {
    assert_eq!(after(spoil), [objection]);
}

fn among(objection: &Objection, spoil: impl FnOnce(&mut Evidence)) {
    let found = after(spoil);
    assert!(found.contains(objection), "{objection} is not among {found:#?}");
}

/// The last event is gone, from the table and the stream as well.
fn lose_the_last(evidence: &mut Evidence) {
    evidence.log.pop();
    evidence.stream.pop();
    let third = shown(evidence, "patch-3").clone();
    let row = Row { shown: third.row, version: third.version, position: third.position };
    evidence.table.insert("VTID-2027-0001".to_owned(), row);
}

fn name(request: &str) -> String {
    request.to_owned()
}

#[test]
fn to_nothing_where_all_is_well() {
    assert_eq!(after(|_| ()), []);
    // Nor to what nobody can know.
    assert_eq!(after(|evidence| told_to(evidence, "patch-4").told = Told::Unknown), []);
    assert_eq!(after(|evidence| told_to(evidence, "patch-4").told = Told::Silence), []);
    assert_eq!(after(|evidence| told_to(evidence, "get-b").told = Told::NotShown), []);
}

#[test]
fn to_a_lost_write() {
    among(&Objection::Lost(name("patch-4")), lose_the_last);
    // Whoever got no answer may have lost it.
    let unknown = after(|evidence| {
        lose_the_last(evidence);
        told_to(evidence, "patch-4").told = Told::Unknown;
        evidence.history.retain(|call| call.request != "get-b" && call.request != "refused");
    });
    assert_eq!(unknown, []);
}

#[test]
fn to_a_doubled_write() {
    only(Objection::Doubled(name("patch-4")), |evidence| {
        let mut again = evidence.log[3].event.clone();
        again.position = Position::new(5);
        again.version = Version::new(4);
        let again = Recorded::print(again, LEDGER);
        let record = Arc::clone(&again.body);
        evidence.stream.push(Message { sequence: 5, position: 5, record });
        evidence.log.push(again);
        let row = evidence.table.get_mut("VTID-2027-0001").unwrap();
        (row.version, row.position) = (4, 5);
        // It was told of the second, which hides nothing.
        let seen = shown(evidence, "patch-4");
        (seen.version, seen.position) = (4, 5);
        evidence.history.retain(|call| call.request != "get-b");
    });
}

#[test]
fn to_a_key_that_was_written_twice() {
    let of_keys = |spoil: fn(&mut Evidence)| {
        let mut evidence = perfect();
        spoil(&mut evidence);
        let mut found = Vec::new();
        let mut written = Written::new();
        for recorded in &evidence.log {
            written.entry(recorded.event.origin.request_id.as_str()).or_default().push(recorded);
        }
        each_key_is_written_once(&evidence.history, &written, &mut found);
        found
    };
    assert_eq!(of_keys(|_| ()), []);
    let doubled = of_keys(|evidence| {
        told_to(evidence, "patch-4").key = name("patch-3");
        told_to(evidence, "patch-3").told = Told::Unknown;
    });
    assert_eq!(doubled, [Objection::Doubled(name("patch-3"))]);
    // A replay that is told of another write than the first.
    let wrong = of_keys(|evidence| {
        let seen = shown(evidence, "create-2").clone();
        let first = told_to(evidence, "patch-3").clone();
        let told = Told::Written { seen, replayed: true };
        evidence.history.push(Call { request: name("patch-3.1"), told, ..first });
    });
    assert_eq!(wrong, [Objection::WrongAnswer(name("patch-3"))]);
    let lost = of_keys(lose_the_last);
    assert_eq!(lost, [Objection::Lost(name("patch-4"))]);
}

#[test]
fn to_half_a_write_and_to_one_that_was_refused() {
    only(Objection::Halved(name("create-2")), |evidence| {
        told_to(evidence, "create-2").asked = Asked::Create { events: 2 };
    });
    only(Objection::RefusedAndWritten(name("patch-4")), |evidence| {
        told_to(evidence, "patch-4").told = Told::NotWritten;
    });
    among(&Objection::Unasked(4), |evidence| evidence.history.retain(|call| call.request != "patch-4"));
    only(Objection::Failed(name("get-b"), name("500")), |evidence| {
        told_to(evidence, "get-b").told = Told::Failed(name("500"));
    });
}

#[test]
fn to_reordered_writes() {
    only(Objection::Reordered(name("patch-4"), name("patch-3")), |evidence| {
        // 3 was sent when 4 had been answered.
        let late = told_to(evidence, "get-b").answered;
        let call = told_to(evidence, "patch-3");
        (call.sent, call.answered) = (late, late + TAKES);
        evidence.history.retain(|call| !call.request.starts_with("get"));
        evidence.history.retain(|call| call.request != "refused");
    });
}

#[test]
fn to_a_wrong_answer() {
    only(Objection::WrongAnswer(name("patch-4")), |evidence| shown(evidence, "patch-4").version = 4);
    only(Objection::WrongAnswer(name("patch-4")), |evidence| {
        shown(evidence, "patch-4").row["status"] = json!("active");
    });
    only(Objection::WrongAnswer(name("patch-4")), |evidence| {
        let other = shown(evidence, "patch-3").clone();
        *shown(evidence, "patch-4") = other;
    });
    only(Objection::WrongRefusal(name("refused")), |evidence| {
        told_to(evidence, "refused").told = Told::Refused { status: 409, from: Some(name("active")) };
    });
    only(Objection::WrongRefusal(name("refused")), |evidence| {
        told_to(evidence, "refused").told = Told::Refused { status: 404, from: None };
    });
}

#[test]
fn to_reads_that_no_order_explains() {
    among(&Objection::StaleRead(name("get-b")), |evidence| {
        let older = shown(evidence, "get-a").clone();
        *shown(evidence, "get-b") = older;
    });
    only(Objection::StaleRead(name("get-b")), |evidence| {
        told_to(evidence, "get-b").told = Told::Refused { status: 404, from: None };
    });
    among(&Objection::EarlyRead(name("get-a")), |evidence| {
        let later = shown(evidence, "get-b").clone();
        *shown(evidence, "get-a") = later;
    });
    only(Objection::WrongRead(name("get-b")), |evidence| {
        shown(evidence, "get-b").row["status"] = json!("pending");
    });
    // Neither had to show the last write, which nobody had been told of.
    only(Objection::ReadsWentBack(name("get-a"), name("get-b")), |evidence| {
        let (newer, older) = (shown(evidence, "get-b").clone(), shown(evidence, "get-a").clone());
        *shown(evidence, "get-a") = newer;
        *shown(evidence, "get-b") = older;
        told_to(evidence, "patch-4").sent = Moment::ZERO;
        told_to(evidence, "patch-4").answered = Moment::from_secs(1);
        told_to(evidence, "refused").sent = Moment::from_secs(2);
    });
}

#[test]
fn to_a_read_of_another_process_only_where_it_asked_for_a_position() {
    let elsewhere = |at_least: u64| {
        move |evidence: &mut Evidence| {
            let older = shown(evidence, "get-a").clone();
            *shown(evidence, "get-b") = older;
            let vtid = "VTID-2027-0001".to_owned();
            let call = told_to(evidence, "get-b");
            (call.process, call.asked) = (2, Asked::Get { vtid, at_least });
        }
    };
    assert_eq!(after(elsewhere(3)), []);
    only(Objection::StaleRead(name("get-b")), elsewhere(4));
}

#[test]
fn to_lists_that_no_order_explains() {
    let objected = |spoil: fn(&mut Call, &mut u64, &mut Vec<Value>)| {
        let mut evidence = listed();
        let call = told_to(&mut evidence, "list-a");
        let Told::Listed { mut position, mut rows } = call.told.clone() else { panic!("{call:?}") };
        spoil(call, &mut position, &mut rows);
        call.told = Told::Listed { position, rows };
        objections(&evidence)
    };
    assert_eq!(objected(|_, _, _| {}), []);
    assert_eq!(objected(|_, position, _| *position = 2), [Objection::StaleRead(name("list-a"))]);
    assert_eq!(objected(|_, position, _| *position = 4), [Objection::EarlyRead(name("list-a"))]);
    let wrong = [Objection::WrongRead(name("list-a"))];
    assert_eq!(objected(|_, _, rows| rows.reverse()), wrong);
    assert_eq!(objected(|_, _, rows| drop(rows.pop())), wrong);
    assert_eq!(objected(|_, _, rows| rows.push(rows[0].clone())), wrong);
    assert_eq!(objected(|_, _, rows| rows[1]["status"] = json!("pending")), wrong);
    // The first task alone is active.
    let of = |status| Asked::List { status: Some(status), limit: 1, at_least: 0 };
    assert_eq!(objected(|_, _, rows| drop(rows.remove(0))), wrong);
    let filtered = |status: &'static str| {
        let mut evidence = listed();
        let call = told_to(&mut evidence, "list-a");
        let Told::Listed { rows, .. } = &mut call.told else { panic!("{call:?}") };
        rows.remove(0);
        call.asked = of(status);
        objections(&evidence)
    };
    assert_eq!(filtered("active"), []);
    assert_eq!(filtered("pending"), wrong);
}

#[test]
fn to_gaps() {
    among(&Objection::Gap(2, 3), |evidence| drop(evidence.log.remove(1)));
    among(&Objection::Number(name("VTID-2027-0001"), name("VTID-2027-0002")), |evidence| {
        evidence.log.remove(0);
    });
    let found = after(|evidence| drop(evidence.log.remove(2)));
    assert!(found.iter().any(|objection| matches!(objection, Objection::Misfit(4, _))), "{found:#?}");
    among(&Objection::Time(2), |evidence| {
        let mut event = evidence.log[1].event.clone();
        event.recorded_at = Timestamp::from_millis(1_799_999_999_999);
        evidence.log[1] = Recorded::print(event, LEDGER);
    });
}

#[test]
fn to_a_stream_that_is_not_the_log() {
    only(Objection::StreamLacks(2), |evidence| drop(evidence.stream.remove(1)));
    only(Objection::StreamLacks(4), |evidence| drop(evidence.stream.pop()));
    only(Objection::StreamDoubles(4), |evidence| {
        let last = evidence.stream[3].clone();
        evidence.stream.push(Message { sequence: 5, ..last });
    });
    among(&Objection::StreamReordered(2, 3), |evidence| {
        evidence.stream.swap(1, 2);
        evidence.stream[1].sequence = 2;
        evidence.stream[2].sequence = 3;
    });
    only(Objection::StreamDiffers(3), |evidence| evidence.stream[2].record = "{}".into());
    only(Objection::StreamDiffers(5), |evidence| {
        let last = evidence.stream[3].clone();
        evidence.stream.push(Message { sequence: 5, position: 5, ..last });
    });
}

#[test]
fn to_a_table_that_is_not_the_fold() {
    let task = || "VTID-2027-0002".to_owned();
    only(Objection::RowMissing(task()), |evidence| drop(evidence.table.remove(&task())));
    only(Objection::RowDiffers(task()), |evidence| {
        evidence.table.get_mut(&task()).unwrap().shown["status"] = json!("active");
    });
    only(Objection::RowUnknown(name("VTID-2027-0003")), |evidence| {
        let row = evidence.table[&task()].clone();
        evidence.table.insert(name("VTID-2027-0003"), row);
    });
}
