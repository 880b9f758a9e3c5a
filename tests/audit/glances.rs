//! The quick look at a record, and its quick reading, beside the parser: they find what the parser finds, and accept
//! nothing that the parser refuses.

use std::sync::Arc;

use proptest::prelude::*;
use vtid_ledger::audit::glance::{Glance, Scratch, key_mark};
use vtid_ledger::domain::command::Change;
use vtid_ledger::domain::event::EventData;
use vtid_ledger::domain::lawful::Fact;
use vtid_ledger::domain::metadata::Metadata;
use vtid_ledger::domain::record::{LedgerId, RecordError, Recorded};
use vtid_ledger::domain::time::Timestamp;

use super::logs::{random_log, records};

/// What the parser says alone: nothing is printed with a space in front.
fn parsed(text: &str) -> Result<(Recorded, LedgerId), RecordError> {
    Recorded::parse_with_source(Arc::from(format!(" {text}")))
}

fn metadata(data: &EventData) -> Option<&Metadata> {
    match data {
        EventData::Created(create) => create.metadata.as_ref(),
        EventData::Updated(patch) | EventData::Completed(patch) => match &patch.metadata {
            Change::Set(metadata) => Some(metadata),
            Change::Keep | Change::Clear => None,
        },
    }
}

/// Holds a look and a reading to the parser; tells whether the look knew the line.
fn agrees(line: &[u8], scratch: &mut Scratch) -> Result<bool, TestCaseError> {
    let glance = Glance::at(line, scratch);
    let Ok(text) = std::str::from_utf8(line) else {
        prop_assert_eq!(glance, None);
        return Ok(false);
    };
    let parsed = parsed(text);
    let read = Recorded::parse_with_source(Arc::from(text));
    let of = |read: &Result<(Recorded, LedgerId), RecordError>| {
        read.clone().map(|(recorded, source)| (recorded.event, source))
    };
    prop_assert_eq!(of(&read), of(&parsed), "{}", text);
    if let (Ok((read, _)), Ok((parsed, _))) = (&read, &parsed) {
        // Read for itself, in either order.
        let [read, parsed] = [read, parsed].map(|recorded| metadata(&recorded.event.data).cloned());
        prop_assert_eq!(read.as_ref().map(Metadata::compact_len), parsed.as_ref().map(Metadata::compact_len));
        prop_assert_eq!(read.map(Metadata::into_stored), parsed.map(Metadata::into_stored), "{}", text);
    }
    let Some(glance) = glance else { return Ok(false) };
    let (recorded, source) =
        parsed.map_err(|error| TestCaseError::fail(format!("accepted what is refused: {error}: {text}")))?;
    prop_assert_eq!(glance.fact(line), Fact::of(&recorded, source));
    let origin = &recorded.event.origin;
    let key = origin.idempotency.as_ref().map(|given| key_mark(origin.actor.id.as_str(), given.key.as_str()));
    prop_assert_eq!(glance.key(), key);
    Ok(true)
}

/// What is done to a line.
#[derive(Debug, Clone)]
enum Edit {
    Set(usize, u8),
    Insert(usize, Vec<u8>),
    Delete(usize, usize),
    Copy(usize, usize, usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = || 0usize..100_000;
    let piece = proptest::sample::select(vec![
        "\"",
        "\\",
        "\\u0000",
        "\\ud800",
        "\\ud83d\\ude00",
        "\\u0041",
        "\\\"",
        "1e400",
        "e5",
        "-",
        "0",
        ".",
        ",",
        ":",
        "{",
        "}",
        "[",
        "]",
        "null",
        "\u{0}",
        "\u{1f}",
        "\u{7f}",
        "\u{85}",
        "🚀",
        " ",
        "\n",
        "\t",
        "\"a\":1,",
        "\"a\":{\"a\":[]},",
        "\"status\":\"active\",",
        "\"metadata\":{},",
        "\"assignedTo\":null,",
        "00",
        "+1",
        "x",
        "\u{202e}",
    ]);
    prop_oneof![
        2 => (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        2 => (at(), b' '..=b'~').prop_map(|(at, byte)| Edit::Set(at, byte)),
        4 => (at(), piece).prop_map(|(at, piece)| Edit::Insert(at, piece.as_bytes().to_vec())),
        2 => (at(), 1usize..8).prop_map(|(at, count)| Edit::Delete(at, count)),
        2 => (at(), at(), 1usize..40).prop_map(|(from, to, count)| Edit::Copy(from, to, count)),
    ]
}

fn edited(line: &[u8], edit: &Edit) -> Vec<u8> {
    let mut line = line.to_vec();
    let place = |at: usize, len: usize| at % len.max(1);
    match edit {
        Edit::Set(at, byte) => {
            let at = place(*at, line.len());
            line[at] = *byte;
        }
        Edit::Insert(at, bytes) => {
            let at = place(*at, line.len());
            line.splice(at..at, bytes.iter().copied());
        }
        Edit::Delete(at, count) => {
            let at = place(*at, line.len());
            let end = (at + count).min(line.len());
            line.drain(at..end);
        }
        Edit::Copy(from, to, count) => {
            let (from, to) = (place(*from, line.len()), place(*to, line.len()));
            let piece = line[from..(from + count).min(line.len())].to_vec();
            line.splice(to..to, piece);
        }
    }
    line
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_look_finds_what_the_parser_finds(
        log in random_log(12),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), edit()), 40),
    ) {
        let mut scratch = Scratch::default();
        let records = records(&log);
        for recorded in &records {
            let line = recorded.body.as_bytes();
            let known = agrees(line, &mut scratch)?;
            // What only the parser knows: an actor's name with escapes, keys with escapes, numbers of many digits.
            let plain = !recorded.body.contains('\\') && recorded.body.len() < 5_000;
            prop_assert!(known || !plain || has_long_number(&recorded.body), "unknown: {}", recorded.body);
        }
        if !records.is_empty() {
            for (index, edit) in edits {
                let line = index.get(&records).body.as_bytes();
                // In the short lines an edit hits what matters.
                agrees(&edited(&line[..line.len()], &edit), &mut scratch)?;
            }
        }
    }

    #[test]
    fn times_are_read_as_the_parser_reads_them(millis in Timestamp::MIN.millis()..=Timestamp::MAX.millis(), at in 0usize..24, byte in b'0'..=b'9') {
        let time = Timestamp::from_millis(millis).to_string();
        let mut other = time.clone().into_bytes();
        other[at] = byte;
        let other = String::from_utf8(other).unwrap();
        for text in [time, other] {
            prop_assert_eq!(vtid_ledger::domain::record::attributes::time(&text), Timestamp::parse(&text).ok(), "{}", text);
        }
    }
}

/// Whether some number has more digits than a look goes through.
fn has_long_number(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_digit() && c != '.' && c != '-').any(|number| number.len() >= 290)
}
