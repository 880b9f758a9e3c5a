use super::{json, object};
use crate::domain::json::{Json, Object, merge_patch};

/// The merge of any two values, as RFC 7396 has it: each is put under one key of an object.
fn merged(target: &str, patch: &str) -> Option<Json> {
    let target = object(&format!(r#"{{"x":{target}}}"#));
    let patch = object(&format!(r#"{{"x":{patch}}}"#));
    merge_patch(Some(target), patch).get("x").cloned()
}

#[test]
fn the_cases_of_rfc_7396_appendix_a() {
    for (target, patch, expected) in [
        (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"a":null}"#, r"{}"),
        (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
        (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
        (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
        (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
        (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
        (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
        (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
        (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"a":1,"e":null}"#),
        (r"[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
        (r"{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
    ] {
        assert_eq!(merged(target, patch), Some(json(expected)), "{target} patched with {patch}");
    }
    assert_eq!(merged(r#"{"a":"foo"}"#, "null"), None);
}

#[test]
fn nulls_in_arrays_stay_and_those_in_new_objects_go() {
    let patch = r#"{"list":[null,{"k":null}],"new":{"n":null,"in":{"n":null,"v":1}}}"#;
    let result = merge_patch(None, object(patch));
    assert_eq!(result, object(r#"{"new":{"in":{"v":1}},"list":[null,{"k":null}]}"#));
}

#[test]
fn an_object_that_replaces_a_scalar_loses_its_nulls() {
    assert_eq!(merged(r#"{"a":5}"#, r#"{"a":{"b":null,"c":{"d":null}}}"#), Some(json(r#"{"a":{"c":{}}}"#)));
}

#[test]
fn the_example_of_the_rfc() {
    let target = object(
        r#"{"title":"Goodbye!","author":{"givenName":"John","familyName":"Doe"},
            "tags":["example","sample"],"content":"This will be unchanged"}"#,
    );
    let patch = object(
        r#"{"title":"Hello!","phoneNumber":"+01-123-456-7890","author":{"familyName":null},"tags":["example"]}"#,
    );
    let expected = object(
        r#"{"title":"Hello!","author":{"givenName":"John"},"tags":["example"],
            "content":"This will be unchanged","phoneNumber":"+01-123-456-7890"}"#,
    );
    assert_eq!(merge_patch(Some(target), patch), expected.into_jsonb_order());
}

#[test]
fn the_result_is_in_the_order_of_jsonb_whatever_the_order_of_its_parts() {
    let target = object(r#"{"ccc":1,"b":{"zz":1,"y":2},"aa":[{"nn":1,"m":2}]}"#);
    let patch = object(r#"{"dddd":[{"qq":1,"p":2}],"b":{"x":3,"www":4},"a":0}"#);
    let result = Json::Object(merge_patch(Some(target), patch)).to_compact();
    let expected =
        r#"{"a":0,"b":{"x":3,"y":2,"zz":1,"www":4},"aa":[{"m":2,"nn":1}],"ccc":1,"dddd":[{"p":2,"qq":1}]}"#;
    assert_eq!(result, expected);
}

#[test]
fn numbers_stay_exact() {
    let result = merge_patch(Some(object(r#"{"a":0.10}"#)), object(r#"{"b":12345678901234567890123}"#));
    assert_eq!(Json::Object(result).to_compact(), r#"{"a":0.10,"b":12345678901234567890123}"#);
}

#[test]
fn an_empty_patch_changes_nothing() {
    assert_eq!(merge_patch(None, Object::default()), Object::default());
    assert_eq!(merge_patch(Some(object(r#"{"a":null}"#)), Object::default()), object(r#"{"a":null}"#));
}
