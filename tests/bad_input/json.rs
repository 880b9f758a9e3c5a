//! Bodies that are not JSON, or not the JSON that is wanted: U+0000, lone surrogates, depth, keys given twice.

use serde_json::json;

use super::ledger::{Ledger, create_with, object, payload, quoted, row};

/// `value` in so many objects, each under the key `a`.
fn nested(levels: usize, value: &str) -> String {
    format!("{}{value}{}", "{\"a\":".repeat(levels), "}".repeat(levels))
}

#[tokio::test]
async fn what_is_not_json() {
    let ledger = Ledger::start().await;
    let good = create_with(&[]);
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let with_mark = [b"\xEF\xBB\xBF", good.as_bytes()].concat();
    let bodies: [&[u8]; 25] = [
        b"",
        b" \r\n\t",
        b"{",
        b"{}x",
        b"{}{}",
        b"{} \0",
        b"{\"status\":}",
        b"{\"status\":\"active\",}",
        b"{\"status\" \"active\"}",
        b"{status:\"active\"}",
        b"{'status':'active'}",
        b"{\"status\":\"active\"} // a remark",
        b"{/* a remark */\"status\":\"active\"}",
        b"{\"status\":\"act",
        b"{\"status\":\"a\nb\"}",
        b"{\"status\":\"a\\x41\"}",
        b"{\"status\":\"a\\u00g1\"}",
        b"{\"status\":undefined}",
        b"{\"status\":True}",
        b"\x1f\x8b\x08\x00",
        b"taskFamily=f&taskType=t",
        b"<task/>",
        b"\xff\xfe",
        &utf16,
        &with_mark,
    ];
    for body in bodies {
        ledger.refuses_body(body, &payload(&[""])).await;
    }
}

#[tokio::test]
async fn what_is_no_object() {
    let ledger = Ledger::start().await;
    for body in ["[]", "null", "true", "7", "\"{}\"", "[{}]", &"[".repeat(100_000)] {
        ledger.refuses_body(body.as_bytes(), &payload(&[""])).await;
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    ledger.refuses_body(deep.as_bytes(), &payload(&[""])).await;
}

#[tokio::test]
async fn the_character_nul_nowhere() {
    let ledger = Ledger::start().await;
    for field in ["taskFamily", "taskType", "description", "tenant", "status", "assignedTo", "parentVtid"] {
        for value in [r#""\u0000""#, r#""a\u0000b""#, r#""VTID-2026-0001\u0000""#] {
            let body = create_with(&[(field, value)]);
            ledger.refuses(ledger.post(body.clone()), &payload(&[field]), &body).await;
        }
    }
    for field in ["status", "assignedTo"] {
        let body = object(&[(field, r#""active\u0000""#)]);
        ledger.refuses(ledger.patch(body.clone()), &payload(&[field]), &body).await;
    }
    for (metadata, path) in [
        (r#"{"s":"\u0000"}"#, "metadata.s"),
        (r#"{"s":[1,{"t":"a\u0000"}]}"#, "metadata.s.1.t"),
        (r#"{"k\u0000":1}"#, "metadata.k\0"),
        (r#"{"s":{"\u0000":null}}"#, "metadata.s.\0"),
    ] {
        let fields = [("metadata", metadata)];
        ledger.refuses(ledger.post(create_with(&fields)), &payload(&[path]), metadata).await;
        ledger.refuses(ledger.patch(object(&fields)), &payload(&[path]), metadata).await;
    }
    // As a key of the body it is first of all unknown, and as a byte no JSON.
    let key = create_with(&[(r"tenant\u0000", "1")]);
    ledger.refuses(ledger.post(key.clone()), &payload(&["tenant\0"]), &key).await;
    ledger.refuses_body(b"{\"status\":\"a\0\"}", &payload(&[""])).await;
}

#[tokio::test]
async fn lone_surrogates_and_bytes_that_are_not_utf_8() {
    let ledger = Ledger::start().await;
    for text in [
        r"\ud800",
        r"\udbff",
        r"\udc00",
        r"\udfff",
        r"\ud83d\u0041",
        r"\ude80\ud83d",
        r"\ud83d\ud83d",
        r"\uD800 ",
    ] {
        for body in [
            create_with(&[("description", &format!("\"{text}\""))]),
            create_with(&[("metadata", &format!("{{\"s\":\"{text}\"}}"))]),
            create_with(&[("metadata", &format!("{{\"{text}\":1}}"))]),
            create_with(&[(text, "1")]),
        ] {
            ledger.refuses_body(body.as_bytes(), &payload(&[""])).await;
        }
    }
    // A surrogate as bytes, overlong forms, past U+10FFFF, and characters cut short.
    for bytes in [
        &b"\xED\xA0\x80"[..],
        b"\xC0\x80",
        b"\xE0\x80\xAF",
        b"\xF4\x90\x80\x80",
        b"\xF0\x9F\x9A",
        b"\x80",
        b"\xFF",
    ] {
        let body = [b"{\"description\":\"", bytes, b"\",\"assignedTo\":\"x\"}"].concat();
        ledger.refuses_body(&body, &payload(&[""])).await;
    }
    let pair = create_with(&[("description", r#""\ud83d\ude80""#), ("metadata", r#"{"\uD83D\uDE80":1}"#)]);
    let taken = ledger.takes(ledger.post(pair)).await;
    assert_eq!(taken.body["data"]["description"], "🚀");
    assert_eq!(taken.body["data"]["metadata"], json!({"🚀": 1}));
}

#[tokio::test]
async fn thirty_two_levels_and_no_more() {
    let ledger = Ledger::start().await;
    let arrays = format!("{{\"a\":{}{}}}", "[".repeat(31), "]".repeat(31));
    for metadata in [nested(32, "1"), nested(31, "{}"), nested(31, "[]"), arrays] {
        let fields = [("metadata", metadata.as_str())];
        let made = ledger.takes(ledger.post(create_with(&fields))).await;
        ledger.takes(ledger.patch(object(&[("metadata", "null")]))).await;
        let patched = ledger.takes(ledger.patch(object(&fields))).await;
        for (answer, vtid) in [(made, None), (patched, Some(&ledger.vtid))] {
            let vtid = vtid.map_or_else(|| answer.vtid().to_owned(), Clone::clone);
            for shown in [vec![answer], ledger.shown(&vtid).await.into()].concat() {
                assert!(shown.text.contains(&metadata), "{metadata}: {}", shown.text);
            }
        }
    }
    // The path names the first thing beyond the limit.
    let objects_path = format!("metadata{}", ".a".repeat(32));
    let array_path = format!("metadata.a{}", ".0".repeat(31));
    let arrays = format!("{{\"a\":{}{}}}", "[".repeat(32), "]".repeat(32));
    let abyss = nested(40_000, "1");
    for (metadata, path) in [
        (nested(33, "1"), &objects_path),
        (nested(32, "[]"), &objects_path),
        (nested(32, "{}"), &objects_path),
        (arrays, &array_path),
        (abyss, &objects_path),
    ] {
        let fields = [("metadata", metadata.as_str())];
        ledger.refuses(ledger.post(create_with(&fields)), &payload(&[path]), &metadata).await;
        ledger.refuses(ledger.patch(object(&fields)), &payload(&[path]), &metadata).await;
    }
    // Elsewhere there is no level at all.
    for field in ["taskFamily", "tenant", "status", "parentVtid"] {
        let body = create_with(&[(field, &nested(40_000, "1"))]);
        ledger.refuses(ledger.post(body.clone()), &payload(&[field]), &body).await;
    }
}

#[tokio::test]
async fn a_key_twice_at_no_level() {
    let ledger = Ledger::start().await;
    for (metadata, path) in [
        (r#"{"a":1,"a":1}"#, "metadata.a"),
        (r#"{"a":1,"b":2,"\u0061":3}"#, "metadata.a"),
        (r#"{"":1,"":2}"#, "metadata."),
        (r#"{"x":{"a":null,"a":null}}"#, "metadata.x.a"),
        (r#"{"x":[0,{"y":[{"a":{},"a":[]}]}]}"#, "metadata.x.1.y.0.a"),
        (
            r#"{"$serde_json::private::Number":"1","$serde_json::private::Number":"1"}"#,
            "metadata.$serde_json::private::Number",
        ),
        (r#"{"🚀":1,"\ud83d\ude80":1}"#, "metadata.🚀"),
    ] {
        let fields = [("metadata", metadata)];
        ledger.refuses(ledger.post(create_with(&fields)), &payload(&[path]), metadata).await;
        ledger.refuses(ledger.patch(object(&fields)), &payload(&[path]), metadata).await;
    }
    for (field, value) in [
        ("taskFamily", "\"f\""),
        ("tenant", "\"t\""),
        ("status", "\"pending\""),
        ("assignedTo", "null"),
        ("parentVtid", "null"),
        ("metadata", "null"),
    ] {
        let body = create_with(&[(field, value), (field, value)]);
        ledger.refuses(ledger.post(body.clone()), &payload(&[field]), &body).await;
    }
    for (field, value) in [("status", "\"active\""), ("assignedTo", "null"), ("metadata", "{}")] {
        let body = object(&[(field, value), (field, value)]);
        ledger.refuses(ledger.patch(body.clone()), &payload(&[field]), &body).await;
    }
    let at_every_level = create_with(&[
        ("tenant", "\"t\""),
        ("tenant", "\"u\""),
        ("metadata", r#"{"a":1,"a":{"b":1,"b":2}}"#),
    ]);
    let paths = payload(&["tenant", "metadata.a", "metadata.a.b"]);
    ledger.refuses(ledger.post(at_every_level.clone()), &paths, &at_every_level).await;
    // What only looks the same is another key.
    let alike = "{\"a\":1,\"а\":2,\"é\":3,\"e\u{301}\":4,\"A\":5,\"a \":6,\"a\u{200b}\":7,\"__proto__\":8}";
    let taken = ledger.takes(ledger.post(create_with(&[("metadata", alike)]))).await;
    let sent: serde_json::Value = serde_json::from_str(alike).unwrap();
    assert_eq!(sent.as_object().unwrap().len(), 8);
    for shown in ledger.shown(taken.vtid()).await {
        assert_eq!(row(&shown, taken.vtid())["metadata"], sent);
    }
}

#[tokio::test]
async fn words_and_fields_that_are_not_known() {
    let ledger = Ledger::start().await;
    for status in
        ["Active", "ACTIVE", "active ", "done", "", "\u{430}ctive", "act\u{200b}ive", "in_progress", "*"]
    {
        let fields = [("status", quoted(status))];
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        ledger.refuses(ledger.post(create_with(&fields)), &payload(&["status"]), status).await;
        ledger.refuses(ledger.patch(object(&fields)), &payload(&["status"]), status).await;
    }
    for field in [
        "task_family",
        "TaskFamily",
        "taskFamily ",
        "id",
        "vtid",
        "createdAt",
        "version",
        "__proto__",
        "",
        "\u{442}enant",
    ] {
        let body = create_with(&[(field, "null")]);
        ledger.refuses(ledger.post(body.clone()), &payload(&[field]), &body).await;
        let body = object(&[("status", "\"active\""), (field, "null")]);
        ledger.refuses(ledger.patch(body.clone()), &payload(&[field]), &body).await;
    }
}
