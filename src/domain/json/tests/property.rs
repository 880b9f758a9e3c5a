use super::LIMITS;
use crate::domain::json::{Decimal, Json, Object, jsonb_key_order, merge_patch};
use proptest::prelude::*;
use std::cmp::Ordering;

fn any_number() -> impl Strategy<Value = Json> {
    r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,10})?([eE][+-]?[0-9]{1,2})?"
        .prop_map(|text| Json::Number(Decimal::parse(&text).unwrap()))
}

/// Any text without U+0000, with escapes and few enough keys to meet again.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]{0,2}",
        r#"["\\/\x01-\x1f\x7f a-z]{0,6}"#,
        any::<String>().prop_map(|text| text.replace('\0', "0"))
    ]
}

fn first_of_each(entries: Vec<(String, Json)>) -> Object {
    let mut object = Object::default();
    for (key, value) in entries {
        // A key that came before is passed over.
        let _ = object.insert(key, value);
    }
    object
}

fn any_object(value: impl Strategy<Value = Json>) -> impl Strategy<Value = Object> {
    prop::collection::vec((any_text(), value), 0..5).prop_map(first_of_each)
}

fn any_json() -> impl Strategy<Value = Json> {
    let scalar = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        any_number(),
        any_text().prop_map(Json::String)
    ];
    scalar.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Json::Array),
            any_object(inner).prop_map(Json::Object)
        ]
    })
}

/// Pieces of JSON and of near misses, in any order: much of it is almost right.
fn almost_json() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"a\"",
        "\"b\"",
        "{\"a\":",
        "[1,",
        "],",
        "},",
        "1",
        "0",
        "-",
        ".5",
        "e3",
        "1.0",
        "-0",
        "true",
        "false",
        "null",
        "nul",
        " ",
        "\n",
        "\r",
        "\\",
        "\\u",
        "\"\\u0041\"",
        "\"\\ud800\"",
        "\"\\ud83d\\ude00\"",
        "\"\\udc00\"",
        "\"\\n\"",
        "\"\\x\"",
        "\"é\"",
        "\"\t\"",
        "'",
        "/",
        "\u{FEFF}",
        "\u{0}",
    ];
    let piece = prop_oneof![
        20 => prop::sample::select(pieces.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => any::<u8>().prop_map(|byte| vec![byte])
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// JSON with at most two of its bytes replaced, each by a piece that may make it something else.
fn spoilt_json() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "",
        "\"",
        "\\",
        ",",
        ":",
        "[",
        "]",
        "{",
        "}",
        "0",
        "-",
        ".",
        "e",
        "u",
        "n",
        " ",
        "\n",
        "\t",
        "\u{FEFF}",
        "\u{1F600}",
    ];
    let piece = prop_oneof![
        4 => prop::sample::select(pieces.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => any::<u8>().prop_map(|byte| vec![byte])
    ];
    let changes = prop::collection::vec((any::<prop::sample::Index>(), piece), 0..3);
    (any_json(), changes).prop_map(|(value, changes)| {
        let mut text = value.to_compact().into_bytes();
        for (at, piece) in changes {
            if !text.is_empty() {
                let at = at.index(text.len());
                text.splice(at..=at, piece);
            }
        }
        text
    })
}

/// The depth, found from the text: brackets outside strings.
fn depth_of(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth -= 1,
            _ => {}
        }
    }
    deepest
}

fn is_in_order(value: &Json) -> bool {
    match value {
        Json::Array(items) => items.iter().all(is_in_order),
        Json::Object(object) => {
            object.iter().map(|(key, _)| key).is_sorted_by(|a, b| jsonb_key_order(a, b) == Ordering::Less)
                && object.iter().all(|(_, value)| is_in_order(value))
        }
        _ => true,
    }
}

/// RFC 7396's pseudocode, word by word, on another library's value.
fn merge_by_the_book(target: Option<serde_json::Value>, patch: serde_json::Value) -> serde_json::Value {
    let serde_json::Value::Object(patch) = patch else {
        return patch;
    };
    let mut target = match target {
        Some(serde_json::Value::Object(target)) => target,
        _ => serde_json::Map::new(),
    };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(&name);
        } else {
            let old = target.remove(&name);
            target.insert(name, merge_by_the_book(old, value));
        }
    }
    serde_json::Value::Object(target)
}

fn to_serde(object: &Object) -> serde_json::Value {
    serde_json::from_str(&Json::Object(object.clone()).to_compact()).unwrap()
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(value in any_json()) {
        let text = value.to_compact();
        let parsed = Json::parse(text.as_bytes(), &LIMITS).unwrap();
        prop_assert_eq!(&parsed.faults, &[]);
        prop_assert_eq!(&parsed.value, &value);
        prop_assert_eq!(value.compact_len(), text.len());
        prop_assert_eq!(value.depth(), depth_of(&text));
    }

    #[test]
    fn serde_json_reads_the_same_structure(value in any_json()) {
        let text = value.to_compact();
        let theirs: serde_json::Value = serde_json::from_str(&text).unwrap();
        let ordered = value.into_jsonb_order();
        prop_assert!(is_in_order(&ordered));
        // serde_json's map knows no order, so the reordered text must mean the same.
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&ordered.to_compact()).unwrap(), theirs);
        prop_assert_eq!(ordered.compact_len(), text.len());
        prop_assert_eq!(&ordered.clone().into_jsonb_order(), &ordered);
    }

    #[test]
    fn the_merge_is_the_rfcs(target in prop::option::of(any_object(any_json())), patch in any_object(any_json())) {
        let by_the_book = merge_by_the_book(target.as_ref().map(to_serde), to_serde(&patch));
        let merged = merge_patch(target, patch);
        prop_assert!(is_in_order(&Json::Object(merged.clone())));
        prop_assert_eq!(to_serde(&merged), by_the_book);
    }

    #[test]
    fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let ours = Json::parse(&bytes, &LIMITS).is_ok();
        prop_assert!(!ours || std::str::from_utf8(&bytes).is_ok());
    }

    #[test]
    fn what_is_json_is_not_a_matter_of_opinion(bytes in prop_oneof![almost_json(), spoilt_json()]) {
        let theirs = serde_json::from_slice::<serde_json::Value>(&bytes);
        // It knows no number past f64's range.
        prop_assume!(!theirs.as_ref().is_err_and(|error| error.to_string().starts_with("number out of range")));
        let ours = Json::parse(&bytes, &LIMITS);
        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", String::from_utf8_lossy(&bytes), theirs);
    }
}
