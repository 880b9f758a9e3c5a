//! Everything exactly at its limit is taken and comes back unchanged; one more is refused.

use futures::stream;
use serde_json::{Value, json};

use super::ledger::{Ledger, TOO_LARGE, create_with, encoded, object, payload, query, quoted, row};
use crate::support::stream::assert_stream_is_the_log;

const BODY_BYTES_MAX: usize = 256 * 1024;
const METADATA_BYTES_MAX: usize = 32 * 1024;

/// `{"m":"mmm…"}` of so many bytes.
fn metadata_of(bytes: usize) -> String {
    format!("{{\"m\":\"{}\"}}", "m".repeat(bytes - 8))
}

/// Without a length, in pieces.
fn chunked(body: &str) -> reqwest::Body {
    let pieces: Vec<_> =
        body.as_bytes().chunks(9_999).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect();
    reqwest::Body::wrap_stream(stream::iter(pieces))
}

#[tokio::test]
async fn texts_at_their_limits_and_one_more() {
    let ledger = Ledger::start().await;
    for (field, column, longest, one_more) in [
        ("taskFamily", "task_family", "x".repeat(100), "x"),
        ("taskFamily", "task_family", "🚀".repeat(100), "x"),
        ("taskType", "task_type", "\"".repeat(100), "x"),
        ("taskType", "task_type", "ü".repeat(100), "ü"),
        ("description", "description", "\n".repeat(9_999) + "x", "x"),
        ("description", "description", "🚀".repeat(4_096), "x"),
        ("assignedTo", "assigned_to", "\u{202e}".repeat(200), "x"),
        ("assignedTo", "assigned_to", "\\".repeat(200), "🚀"),
        ("tenant", "tenant", "t".repeat(63), "t"),
    ] {
        let taken = ledger.takes(ledger.post(create_with(&[(field, &quoted(&longest))]))).await;
        for shown in [vec![taken.clone()], ledger.shown(taken.vtid()).await.into()].concat() {
            assert_eq!(row(&shown, taken.vtid())[column], longest.as_str());
        }
        let longer = quoted(&(longest + one_more));
        ledger.refuses(ledger.post(create_with(&[(field, &longer)])), &payload(&[field]), &longer).await;
    }
    let (longest, longer) = (quoted(&"🚀".repeat(200)), quoted(&"🚀".repeat(201)));
    ledger.takes(ledger.patch(object(&[("assignedTo", &longest)]))).await;
    ledger
        .refuses(ledger.patch(object(&[("assignedTo", &longer)])), &payload(&["assignedTo"]), "patch")
        .await;
    // Too many characters and too many bytes are two faults.
    let both = quoted(&"🚀".repeat(10_001));
    let refusal = payload(&["description", "description"]);
    ledger.refuses(ledger.post(create_with(&[("description", &both)])), &refusal, "both").await;
}

#[tokio::test]
async fn metadata_of_32_kib_and_one_byte_more() {
    let ledger = Ledger::start().await;
    let (longest, longer) = (metadata_of(METADATA_BYTES_MAX), metadata_of(METADATA_BYTES_MAX + 1));
    let taken = ledger.takes(ledger.post(create_with(&[("metadata", &longest)]))).await;
    for shown in [vec![taken.clone()], ledger.shown(taken.vtid()).await.into()].concat() {
        assert!(shown.text.contains(&longest));
    }
    ledger
        .refuses(ledger.post(create_with(&[("metadata", &longer)])), &payload(&["metadata"]), "create")
        .await;
    ledger.refuses(ledger.patch(object(&[("metadata", &longer)])), &payload(&["metadata"]), "patch").await;
    let patched = ledger.takes(ledger.patch(object(&[("metadata", &longest)]))).await;
    assert!(patched.text.contains(&longest));
}

/// Whatever is written here in another way than there.
#[tokio::test]
async fn metadata_is_measured_as_it_is_printed() {
    let ledger = Ledger::start().await;
    let spaced = format!(" {{ \"m\" :\n\"{}\\u006d\" }} ", "m".repeat(METADATA_BYTES_MAX - 9));
    let taken = ledger.takes(ledger.post(create_with(&[("metadata", &spaced)]))).await;
    assert!(taken.text.contains(&metadata_of(METADATA_BYTES_MAX)));
    // 5 characters that are 400 once written out: 82 of them are too many.
    let numbers = |count: usize| format!("{{\"n\":[{}]}}", vec!["1e399"; count].join(","));
    let taken = ledger.takes(ledger.post(create_with(&[("metadata", &numbers(81))]))).await;
    assert!(taken.text.len() > 81 * 400);
    let refused = create_with(&[("metadata", &numbers(82))]);
    ledger.refuses(ledger.post(refused), &payload(&["metadata"]), "numbers").await;
    // A control character that is one byte sent as six is six bytes of print.
    let controls = |count: usize| format!("{{\"c\":\"{}\"}}", "\\u0001".repeat(count));
    ledger.takes(ledger.post(create_with(&[("metadata", &controls(5_460))]))).await;
    let refused = create_with(&[("metadata", &controls(5_461))]);
    ledger.refuses(ledger.post(refused), &payload(&["metadata"]), "controls").await;
}

#[tokio::test]
async fn metadata_does_not_outgrow_its_limit_by_merging() {
    let ledger = Ledger::start().await;
    let of = |key: &str, count: usize| format!("{{\"{key}\":\"{}\"}}", key.repeat(count));
    let patch = |metadata: &str| ledger.patch(object(&[("metadata", metadata)]));
    ledger.takes(patch(&of("a", 20_000))).await;
    // {"a":"…","b":"…"}: 15 characters around the two texts.
    let room = METADATA_BYTES_MAX - 20_000 - 15;
    ledger.refuses(patch(&of("b", room + 1)), &payload(&["metadata"]), "one byte more").await;
    ledger.takes(patch(&of("b", room))).await;
    ledger.refuses(patch("{\"c\":1}"), &payload(&["metadata"]), "a key more").await;
    // Nothing of such a patch is done, its status neither.
    let both = object(&[("status", "\"complete\""), ("assignedTo", "\"x\""), ("metadata", "{\"c\":1}")]);
    ledger.refuses(ledger.patch(both), &payload(&["metadata"]), "with a status").await;
    for shown in ledger.shown(&ledger.vtid).await {
        let row = row(&shown, &ledger.vtid);
        assert_eq!((&row["status"], &row["assigned_to"]), (&json!("pending"), &Value::Null));
        assert_eq!(row["metadata"]["b"].as_str().unwrap().len(), room);
    }
    ledger.takes(patch("{\"a\":null,\"c\":1}")).await;
    ledger.takes(patch("null")).await;
    ledger.takes(patch(&metadata_of(METADATA_BYTES_MAX))).await;
    assert_stream_is_the_log(ledger.platform.database.url(), &ledger.platform.nats.url()).await;
}

#[tokio::test]
async fn a_body_of_256_kib_and_one_byte_more() {
    let ledger = Ledger::start().await;
    let padded = |body: &str, bytes: usize| format!("{}{body}", " ".repeat(bytes - body.len()));
    let create = |bytes: usize| padded(&create_with(&[]), bytes);
    let patch = |bytes: usize| padded("{\"status\":\"active\"}", bytes);
    ledger.takes(ledger.post(create(BODY_BYTES_MAX))).await;
    ledger.takes(ledger.post(chunked(&create(BODY_BYTES_MAX)))).await;
    ledger.takes(ledger.patch(patch(BODY_BYTES_MAX))).await;
    ledger.takes(ledger.patch(chunked(&patch(BODY_BYTES_MAX)))).await;
    for bytes in [BODY_BYTES_MAX + 1, BODY_BYTES_MAX + 9_999, 4_000_000] {
        ledger.refuses(ledger.post(create(bytes)), &TOO_LARGE, "a create").await;
        ledger.refuses(ledger.post(chunked(&create(bytes))), &TOO_LARGE, "a chunked create").await;
        ledger.refuses(ledger.patch(patch(bytes)), &TOO_LARGE, "a patch").await;
        ledger.refuses(ledger.patch(chunked(&patch(bytes))), &TOO_LARGE, "a chunked patch").await;
    }
    // Too large is told before that it is no JSON.
    ledger.refuses(ledger.post("x".repeat(BODY_BYTES_MAX + 1)), &TOO_LARGE, "nonsense").await;
    ledger.refuses(ledger.post("x".repeat(BODY_BYTES_MAX)), &payload(&[""]), "nonsense that fits").await;
}

/// A body full of faults is answered with a list that somebody can read.
#[tokio::test]
async fn a_flood_of_faults_is_told_in_short() {
    let ledger = Ledger::start().await;
    let twice: Vec<String> = (0..10_000).map(|n| format!("\"k{n}\":0,\"k{n}\":0")).collect();
    let body = create_with(&[("metadata", &format!("{{{}}}", twice.join(",")))]);
    assert!(body.len() < BODY_BYTES_MAX);
    let before = ledger.head().await;
    let answer = ledger.service.send(ledger.post(body)).await.expect(400);
    let faults = answer.body["detail"].as_array().unwrap();
    assert!((100..=110).contains(&faults.len()), "{} faults", faults.len());
    assert!(faults.iter().any(|fault| fault["message"].as_str().unwrap().contains("more faults")));
    assert_eq!(ledger.head().await, before);
}

#[tokio::test]
async fn parameters_at_their_limits_and_one_more() {
    let ledger = Ledger::start().await;
    for (name, value) in [
        ("limit", "1".to_owned()),
        ("limit", "1000".to_owned()),
        ("limit", "0001000".to_owned()),
        ("taskFamily", "🚀".repeat(100)),
        ("taskType", "ü".repeat(100)),
        ("assignedTo", "🚀".repeat(200)),
        ("tenant", "t".repeat(63)),
    ] {
        ledger.service.get(&format!("/vtid/list?{name}={}", encoded(&value))).await.expect(200);
    }
    for (name, value) in [
        ("limit", "0".to_owned()),
        ("limit", "1001".to_owned()),
        ("limit", "65536".to_owned()),
        ("limit", "65537".to_owned()),
        ("limit", "18446744073709551617".to_owned()),
        ("limit", "1".repeat(5_000)),
        ("limit", "-1".to_owned()),
        ("limit", "١".to_owned()),
        ("limit", "１".to_owned()),
        ("limit", " 1".to_owned()),
        ("limit", "1\n".to_owned()),
        ("taskFamily", "🚀".repeat(101)),
        ("taskType", "ü".repeat(101)),
        ("assignedTo", "🚀".repeat(201)),
        ("tenant", "t".repeat(64)),
    ] {
        let path = format!("/vtid/list?{name}={}", encoded(&value));
        ledger.refuses(ledger.get(&path), &query(&[name]), &path).await;
    }
}
