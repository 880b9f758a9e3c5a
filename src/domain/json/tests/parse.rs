use super::{LIMITS, json, parsed};
use crate::domain::json::{FAULTS_MAX, FaultKind, Json, ParseLimits};

/// The faults as (path joined by slashes, kind).
fn faults(text: &str) -> Vec<(String, FaultKind)> {
    parsed(text).faults.into_iter().map(|fault| (fault.path.join("/"), fault.kind)).collect()
}

fn fault(path: &str, kind: FaultKind) -> (String, FaultKind) {
    (path.to_owned(), kind)
}

#[test]
fn duplicate_keys_are_found_at_every_level_and_the_first_wins() {
    let text = r#"{"a":1,"b":[0,{"c":{"d":1,"d":2,"d":3}}],"a":{"e":1,"\u0065":2}}"#;
    let duplicate = FaultKind::DuplicateKey;
    assert_eq!(faults(text), [fault("b/1/c/d", duplicate), fault("a", duplicate), fault("a/e", duplicate)]);
    assert_eq!(parsed(text).value.to_compact(), r#"{"a":1,"b":[0,{"c":{"d":1}}]}"#);
    assert_eq!(faults(r#"[{"a":1},{"a":1}]"#), []);
}

#[test]
fn a_number_that_is_too_long_is_told_with_its_path() {
    let text = r#"{"a":[1,1e400],"b":0e-99999,"c":1e399}"#;
    assert_eq!(faults(text), [fault("a/1", FaultKind::NumberTooLong), fault("b", FaultKind::NumberTooLong)]);
    let value = parsed(text).value.to_compact();
    assert!(value.starts_with(r#"{"a":[1,0],"b":0,"c":1000"#), "{value}");
}

#[test]
fn nul_is_found_in_strings_and_keys() {
    let text = r#"{"a":["x\u0000y"],"k\u0000":1}"#;
    assert_eq!(faults(text), [fault("a/0", FaultKind::NulCharacter), fault("k\0", FaultKind::NulCharacter)]);
}

#[test]
fn all_faults_are_listed_not_only_the_first() {
    let text = r#"{"a":"\u0000","a":1e999,"b":[[]]}"#;
    let parsed = Json::parse(text.as_bytes(), &ParseLimits { max_depth: 2 }).unwrap();
    let kinds: Vec<_> = parsed.faults.iter().map(|fault| fault.kind).collect();
    assert_eq!(
        kinds,
        [FaultKind::NulCharacter, FaultKind::DuplicateKey, FaultKind::NumberTooLong, FaultKind::TooDeep]
    );
    assert_eq!(parsed.faults_left_out, 0);
}

#[test]
fn the_list_of_faults_is_bounded_in_number() {
    let text = format!("[{}1e400]", "1e400,".repeat(149));
    let parsed = parsed(&text);
    assert_eq!(parsed.faults.len(), FAULTS_MAX);
    assert_eq!(parsed.faults_left_out, 50);
    assert_eq!(parsed.faults[99].path, ["99"]);
}

#[test]
fn the_list_of_faults_is_bounded_in_size() {
    let text = format!(r#"{{"{}":[{}1e400]}}"#, "k".repeat(40_000), "1e400,".repeat(50));
    let parsed = parsed(&text);
    assert_eq!((parsed.faults.len(), parsed.faults_left_out), (1, 50));
}

#[test]
fn what_is_too_deep_is_told_once_for_each_outermost_element_and_replaced() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(json(&nested(33)).depth(), 33);
    let in_body = format!(r#"{{"a":{},"b":[{},{}],"c":{}}}"#, nested(32), nested(40), nested(32), nested(33));
    let zeros = |count: usize| format!("/{}", vec!["0"; count].join("/"));
    assert_eq!(
        faults(&in_body),
        [
            fault(&format!("b{}", zeros(32)), FaultKind::TooDeep),
            fault(&format!("c{}", zeros(32)), FaultKind::TooDeep)
        ]
    );
    let parsed = Json::parse(br#"[[1,{"a":[]},2]]"#, &ParseLimits { max_depth: 2 }).unwrap();
    assert_eq!(parsed.value.to_compact(), "[[1,null,2]]");
    assert_eq!(parsed.faults[0].path, ["0", "1"]);
    assert_eq!(Json::parse(b"{}", &ParseLimits { max_depth: 0 }).unwrap().value, Json::Null);
}

#[test]
fn no_depth_of_input_overflows_the_stack() {
    let levels = 128 * 1024;
    let text = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let parsed = parsed(&text);
    assert_eq!(parsed.faults.len(), 1);
    assert_eq!(parsed.faults[0].path.len(), 33);
    assert_eq!(parsed.clone().value, parsed.value);
    for open in ["[", r#"{"a":"#, r#"[{"a":"#] {
        let text = open.repeat(256 * 1024 / open.len());
        let error = Json::parse(text.as_bytes(), &LIMITS).unwrap_err();
        assert_eq!(error.message, "Unexpected end of input");
    }
}

#[test]
fn no_key_is_special() {
    let text = r#"{"$serde_json::private::Number":"12","$serde_json::private::RawValue":"{}"}"#;
    assert_eq!(json(text).to_compact(), text);
}

#[test]
fn numbers_are_kept_exactly() {
    let text = r#"{"a":12345678901234567890123,"b":0.10,"c":-0,"d":1e3}"#;
    assert_eq!(json(text).to_compact(), r#"{"a":12345678901234567890123,"b":0.10,"c":0,"d":1000}"#);
}

#[test]
fn a_large_object_takes_no_quadratic_time() {
    // Nothing is timed: were each key compared with every other, this would take minutes in a debug build.
    let keys: Vec<_> = (0..200_000).map(|key| format!("\"{key}\":0")).collect();
    let text = format!("{{{},{}}}", keys.join(","), keys[199_999]);
    assert_eq!(faults(&text), [fault("199999", FaultKind::DuplicateKey)]);
}
