//! The syntax is RFC 8259's, no more and no less.

use super::{LIMITS, json};
use crate::domain::json::{Json, SyntaxError};

fn refused(bytes: &[u8]) -> SyntaxError {
    match Json::parse(bytes, &LIMITS) {
        Err(error) => error,
        Ok(parsed) => panic!("accepted {:?} as {:?}", String::from_utf8_lossy(bytes), parsed.value),
    }
}

const NOT_JSON: &[&str] = &[
    "",
    " ",
    "\n",
    "{",
    "[",
    "\"",
    "}",
    "]",
    ",",
    ":",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[1 2]",
    "[1}",
    "{\"a\"",
    "{\"a\":",
    "{\"a\":1",
    "{\"a\":1,",
    "{\"a\":1,}",
    "{,}",
    "{\"a\" 1}",
    "{\"a\":1 \"b\":2}",
    "{a:1}",
    "{1:1}",
    "{'a':1}",
    "{\"a\":1]",
    "{\"a\"}",
    "{\"a\":1:2}",
    "[\"a\":1]",
    "{\"a\",1}",
    "{null:1}",
    "{[]:1}",
    "1 2",
    "{} {}",
    "[]]",
    "{}}",
    "null null",
    "nullnull",
    "nul",
    "nulL",
    "True",
    "truefalse",
    "[truefalse]",
    "NaN",
    "Infinity",
    "-",
    "+1",
    "01",
    "-01",
    "[00]",
    "1.",
    ".5",
    "-.5",
    "1e",
    "1e+",
    "1.e1",
    "1e1.5",
    "0x1",
    "[1a]",
    "1true",
    "[-]",
    "[1-2]",
    "[1.5.2]",
    "[1e-]",
    "'a'",
    "/* c */ 1",
    "1 // c",
    "# c\n1",
    "\u{C}1",
    "\u{A0}1",
    "1\u{0}",
    "\u{0}",
    "[1]\u{0}",
    "\u{FEFF}1",
    "\u{FEFF}",
    "1\u{FEFF}",
    "[\u{2028}1]",
    "\\u0031",
    "undefined",
];

#[test]
fn texts_that_are_not_json_are_refused() {
    for text in NOT_JSON {
        refused(text.as_bytes());
    }
}

#[test]
fn strings_are_strict() {
    for text in [
        "\"a",
        "\"\\",
        "\"\\\"",
        "\"\\a\"",
        "\"\\x41\"",
        "\"\\'\"",
        "\"\\0\"",
        "\"\\U0041\"",
        "\"\\u\"",
        "\"\\u12\"",
        "\"\\u12G4\"",
        "\"\\u 123\"",
        "\"\\u+123\"",
        "\"a\nb\"",
        "\"a\tb\"",
        "\"\u{0}\"",
        "\"\u{1F}\"",
        "\"\r\"",
    ] {
        refused(text.as_bytes());
    }
    assert_eq!(json("\"\u{7F}\u{80}\""), Json::String("\u{7F}\u{80}".to_owned()));
    assert_eq!(json(r#""\ud83d\uDE00\u00e9""#), Json::String("\u{1F600}é".to_owned()));
}

#[test]
fn lone_surrogates_are_refused() {
    for inner in [
        r"\ud800",
        r"\udc00",
        r"\udfff",
        r"\ud800x",
        r"\ud800xxxxxx",
        r"\ud800\n",
        r"\ud800\ud800",
        r"\udc00\ud800",
        r"\ud800\u0041",
        r"\ud800\\udc00",
        r"\ud83d\ude00\ude00",
        r"\ud800/udc00",
        r"\uDBFF\uE000",
        r"\ud800\udc0",
        r"\udc00\udc00",
        r"\ude00\u0041more text than six bytes",
    ] {
        refused(format!("\"{inner}\"").as_bytes());
        refused(format!("{{\"{inner}\":[1,2,3,4,5,6]}}").as_bytes());
    }
}

#[test]
fn bytes_that_are_not_utf_8_are_refused() {
    for inner in [
        &b"\x80"[..],
        b"\xFF",
        b"\xC0\x80",
        b"\xC3",
        b"\xE2\x82",
        b"\xED\xA0\x80",
        b"\xF4\x90\x80\x80",
        b"\xF8\x88\x80\x80\x80",
        b"\xC3\\n\xA9",
        b"\\n\xFF",
        b"\xFF\\n",
    ] {
        refused(&[b"\"", inner, b"\""].concat());
        refused(&[b"{\"", inner, b"\":1}"].concat());
    }
    refused(b"\xFF");
    refused(b"[1]\xC3\xA9");
    refused(b"1\x00");
    // UTF-16
    refused(b"\xFF\xFE1\x00");
    refused(b"1\x002\x00");
}

#[test]
fn texts_that_are_json_are_accepted() {
    for text in [
        "0",
        "-0",
        "-1.5E+3",
        " \t\r\n{ } \r\n",
        "\"\"",
        "[ ]",
        "null",
        "true",
        "false",
        "{\"\":{\"\":[]}}",
        r#""\/\"\\""#,
        "[1,\n2\r,3]",
        "\"\u{2028}\u{FEFF}\u{FFFE}\"",
    ] {
        json(text);
    }
}

#[test]
fn an_error_says_where_and_what() {
    let error = refused(b"{\n  \"a\": nope\n}");
    assert_eq!((error.line, error.column, error.offset), (2, 8, 9));
    assert_eq!(error.to_string(), "is not valid JSON: null expected (line 2, column 8)");
    assert_eq!(refused(b"").to_string(), "is not valid JSON: Unexpected end of input (line 1, column 1)");
    assert_eq!(refused(b"{\"a\":1").message, "Unexpected end of input");
    for raw in [&b"\x07"[..], b"\"\x1B[2J\"", b"[1\x0C]", b"\"\\\x01\"", b"\x85"] {
        let message = refused(raw).message;
        assert!(!message.contains(char::is_control), "{message:?}");
    }
}
