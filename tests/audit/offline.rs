//! Verifying an exported file: what is done to it is found, and named with its line and position.

use vtid_ledger::audit::file::{ExportReader, Line};
use vtid_ledger::audit::verify::{CheckName, Report, Trusted, verify_file};
use vtid_ledger::domain::origin::Role;
use vtid_ledger::domain::record::Recorded;

use super::logs::{Maker, export, records};

fn log(events: usize) -> Vec<Recorded> {
    let mut maker = Maker::new();
    let mut made = 0;
    while maker.log.len() < events {
        if made % 3 == 0 {
            let body = format!(
                r#"{{"taskFamily":"DEPLOY","taskType":"step","description":"number {made}","tenant":"acme"}}"#
            );
            maker.create(&body, "ann", Role::ServiceRole);
        } else {
            let body = format!(r#"{{"metadata":{{"step":{made},"text":"with \"quotes\" and ü"}}}}"#);
            maker.patch(made / 3, &body, "worker", Role::ServiceRole);
        }
        made += 1;
    }
    records(&maker.log)
}

fn file(events: usize) -> Vec<u8> {
    export(&log(events).iter().map(|recorded| recorded.body.clone()).collect::<Vec<_>>())
}

fn verify(file: &[u8]) -> Report {
    verify_file(file, Trusted::default(), |_| {}).unwrap()
}

/// What comes first: the check, the position, the line.
fn first(file: &[u8]) -> (CheckName, Option<u64>, Option<u64>, String) {
    let report = verify(file);
    let (check, finding) = report.first_wrong().unwrap_or_else(|| panic!("nothing was found: {report:?}"));
    (
        check,
        finding.position.map(vtid_ledger::domain::position::Position::get),
        finding.line,
        finding.what.clone(),
    )
}

/// The file's lines, edited.
fn with_lines(events: usize, edit: impl FnOnce(&mut Vec<Vec<u8>>)) -> Vec<u8> {
    let text = file(events);
    let mut lines: Vec<Vec<u8>> = text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    edit(&mut lines);
    lines.concat()
}

#[test]
fn a_file_as_it_was_written_is_good() {
    for events in [0, 1, 255, 256, 257, 1000] {
        let file = file(events);
        let report = verify(&file);
        assert!(!report.is_bad(), "{report:?}");
        assert_eq!(report.events, events as u64);
        let mut reader = ExportReader::open(file.as_slice()).unwrap();
        let mut read = 0;
        while let Some(line) = reader.next_line().unwrap() {
            read += usize::from(matches!(line, Line::Record(_)));
        }
        assert_eq!(read, events);
    }
}

/// The record of a position stands in the line after it, up to the first sums.
const POSITION: usize = 17;

#[test]
fn a_changed_byte_is_found_wherever_it_is() {
    let good = file(300);
    let report = verify(&good);
    for at in (0..good.len()).step_by(61) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        let found = verify(&bad);
        assert!(found.is_bad() || found.root != report.root, "byte {at}");
        // Which line: the one that it is in, or what belongs to it.
        let line = good[..at].split(|byte| *byte == b'\n').count() as u64;
        let (_, finding) = found.first_wrong().unwrap_or_else(|| panic!("byte {at} was not found"));
        let told = finding.line.unwrap_or(0);
        assert!(
            told.abs_diff(line) <= 1 || good[at] == b'\n' || is_mark(&good, line),
            "byte {at}, line {line}: {finding:?}"
        );
    }
}

/// Whether a line is none of a record: what is wrong with it shows at what it speaks of.
fn is_mark(file: &[u8], line: u64) -> bool {
    let line = file.split(|byte| *byte == b'\n').nth(usize::try_from(line).unwrap() - 1).unwrap();
    !line.starts_with(b"{\"specversion\"")
}

#[test]
fn a_changed_word_is_named_by_its_position() {
    let bad = with_lines(300, |lines| {
        let text = String::from_utf8(lines[POSITION].clone()).unwrap();
        assert!(text.contains("\"worker\""), "{text}");
        lines[POSITION] = text.replace("\"worker\"", "\"nobody\"").into_bytes();
    });
    let (check, position, line, what) = first(&bad);
    assert_eq!((check, position, line), (CheckName::Sums, Some(17), Some(18)), "{what}");
}

#[test]
fn lines_swapped_doubled_removed_or_added_are_named() {
    let swapped = with_lines(300, |lines| lines.swap(POSITION, POSITION + 1));
    let (_, position, line, what) = first(&swapped);
    assert_eq!((position, line), (Some(17), Some(18)), "{what}");
    let doubled = with_lines(300, |lines| lines.insert(POSITION, lines[POSITION].clone()));
    let (_, position, line, what) = first(&doubled);
    assert_eq!((position, line), (Some(18), Some(19)), "{what}");
    let removed = with_lines(300, |lines| drop(lines.remove(POSITION)));
    let (_, position, line, what) = first(&removed);
    assert_eq!((position, line), (Some(17), Some(18)), "{what}");
    let added = with_lines(300, |lines| lines.insert(POSITION, b"something else\n".to_vec()));
    let (check, position, line, what) = first(&added);
    assert_eq!((check, position, line), (CheckName::File, Some(17), Some(18)), "{what}");
    let long = with_lines(300, |lines| lines.insert(POSITION, [vec![b'x'; 70_000], b"\n".to_vec()].concat()));
    let (check, position, line, what) = first(&long);
    assert_eq!((check, position, line), (CheckName::File, Some(17), Some(18)), "{what}");
    assert!(what.contains("65536"), "{what}");
}

#[test]
fn a_file_that_was_cut_is_named() {
    let whole = file(300);
    for length in [whole.len() - 1, whole.len() - 40, whole.len() / 2, 10, 0] {
        let report = verify(&whole[..length]);
        let file = report.checks.iter().find(|check| check.name == CheckName::File).unwrap();
        assert!(file.is_bad(), "{length}: {report:?}");
    }
    let without_end = with_lines(300, |lines| drop(lines.pop()));
    let (_, position, _, what) = first(&without_end);
    assert!(position == Some(301) && what.contains("cut"), "{what}");
    let longer = [file(300), b"{}\n".to_vec()].concat();
    assert!(verify(&longer).is_bad());
}

#[test]
fn a_rewritten_history_shows_by_its_rules_and_its_root() {
    // Whoever edits records can make new sums and a new root; the rules still hold the log to itself.
    let mut lines: Vec<String> = log(300).iter().map(|recorded| recorded.body.to_string()).collect();
    lines.remove(16);
    for (position, line) in (1..).zip(&mut lines) {
        let at = line.find("\"position\":\"").unwrap() + 12;
        let end = at + line[at..].find('"').unwrap();
        line.replace_range(at..end, &format!("{position}"));
    }
    let (check, position, _, what) = first(&export(&lines));
    assert!(
        check == CheckName::Rules && position.is_some_and(|position| position >= 17),
        "{position:?} {what}"
    );
    // One word in a description keeps every rule: only the root tells, to whoever kept a checkpoint.
    let mut lines: Vec<String> = log(300).iter().map(|recorded| recorded.body.to_string()).collect();
    let before = verify(&export(&lines)).root;
    lines[0] = lines[0].replace("number 0", "number 9");
    let report = verify(&export(&lines));
    assert!(!report.is_bad() && report.root != before, "{report:?}");
}
