use super::{json, object};
use crate::domain::json::{DuplicateKey, Json, Object, jsonb_key_order};
use std::cmp::Ordering;

#[test]
fn an_object_holds_no_key_twice() {
    let mut object = Object::default();
    assert!(object.is_empty());
    assert_eq!(object.insert("b".to_owned(), Json::Null), Ok(()));
    assert_eq!(object.insert("a".to_owned(), Json::Bool(true)), Ok(()));
    assert_eq!(object.insert("b".to_owned(), Json::Bool(false)), Err(DuplicateKey("b".to_owned())));
    assert_eq!(object.get("b"), Some(&Json::Null));
    assert_eq!(object.get("c"), None);
    assert_eq!(object.len(), 2);
    assert_eq!(object.iter().map(|(key, _)| key).collect::<Vec<_>>(), ["b", "a"]);
    let mut entries: Vec<_> = object.into_iter().collect();
    assert!(Object::from_entries(entries.clone()).is_ok());
    entries.push(("a".to_owned(), Json::Null));
    assert_eq!(Object::from_entries(entries), Err(DuplicateKey("a".to_owned())));
}

#[test]
fn keys_are_ordered_by_length_in_bytes_and_then_by_bytes() {
    let mut keys = ["b", "aa", "", "é", "Z", "a", "zz", "ää", "\u{1F600}", "aaa"];
    keys.sort_by(|left, right| jsonb_key_order(left, right));
    assert_eq!(keys, ["", "Z", "a", "b", "aa", "zz", "é", "aaa", "ää", "\u{1F600}"]);
    assert_eq!(jsonb_key_order("a", "a"), Ordering::Equal);
}

#[test]
fn every_level_is_put_in_order() {
    let value = json(r#"[{"bb":1,"c":{"z":1,"a":[{"y":1,"x":2}]}}]"#);
    assert_eq!(value.to_compact(), r#"[{"bb":1,"c":{"z":1,"a":[{"y":1,"x":2}]}}]"#);
    assert_eq!(value.into_jsonb_order().to_compact(), r#"[{"c":{"a":[{"x":2,"y":1}],"z":1},"bb":1}]"#);
}

#[test]
fn equality_counts_the_order_of_keys_and_the_digits_of_numbers() {
    assert_ne!(json(r#"{"a":1,"b":2}"#), json(r#"{"b":2,"a":1}"#));
    assert_ne!(json("1.0"), json("1"));
    assert_eq!(json("1e1"), json("10"));
}

#[test]
fn depth_counts_containers() {
    for (text, depth) in
        [("1", 0), (r#""[[""#, 0), ("{}", 1), ("[]", 1), ("[[],{}]", 2), (r#"[1,{"a":[{"b":1}]},[]]"#, 4)]
    {
        assert_eq!(json(text).depth(), depth, "{text}");
    }
}

#[test]
fn strings_are_escaped_as_little_as_json_allows() {
    let mut text: String = (1..=0x7F_u8).map(char::from).collect();
    text.push_str("\u{80}\u{9F}é\u{2028}\u{2029}\u{FFFF}\u{1F600}/");
    let mut key = text.clone();
    key.push('\0');
    let value = Json::Object(Object::from_entries(vec![(key.clone(), Json::String(text.clone()))]).unwrap());
    let by_serde =
        format!("{{{}:{}}}", serde_json::to_string(&key).unwrap(), serde_json::to_string(&text).unwrap());
    assert_eq!(value.to_compact(), by_serde);
    assert_eq!(json(r#""\b\f\n\r\t\u001F\u001f\/\"\\é""#).to_compact(), r#""\b\f\n\r\t\u001f\u001f/\"\\é""#);
}

#[test]
fn printing_appends() {
    let mut out = "data: ".to_owned();
    Json::Object(object(r#"{ "a" : [ 1 , true , false , null ] , "b" : { } }"#)).write_compact(&mut out);
    assert_eq!(out, r#"data: {"a":[1,true,false,null],"b":{}}"#);
}
