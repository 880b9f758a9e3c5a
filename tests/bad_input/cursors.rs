//! Cursors that the ledger did not give, or not for this list.

use futures::{StreamExt, stream};

use super::ledger::{Ledger, create_with, query};

const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A ledger of a few tasks, and the cursor after a list's first one.
async fn with_cursor(list: &str) -> (Ledger, String) {
    let ledger = Ledger::start().await;
    for _ in 0..3 {
        ledger.takes(ledger.post(create_with(&[]))).await;
    }
    let cursor = cursor_of(&ledger, list).await;
    (ledger, cursor)
}

async fn cursor_of(ledger: &Ledger, list: &str) -> String {
    let page = ledger.service.get(&format!("/vtid/list?limit=1&{list}")).await.expect(200);
    page.body["next_cursor"].as_str().unwrap().to_owned()
}

/// Asserts that each is refused as a cursor of the list of all, and that the genuine one still is none the worse.
async fn refuses_all(ledger: &Ledger, genuine: &str, cursors: Vec<String>) {
    let before = ledger.head().await;
    let refusal = &query(&["cursor"]);
    stream::iter(&cursors)
        .for_each_concurrent(16, |cursor| async move {
            let path = format!("/vtid/list?limit=1&cursor={cursor}");
            refusal.is(&ledger.service.get(&path).await, &path);
        })
        .await;
    assert_eq!(ledger.head().await, before);
    let next = ledger.service.get(&format!("/vtid/list?limit=1&cursor={genuine}")).await.expect(200);
    assert_eq!(next.body["count"], 1);
}

#[tokio::test]
async fn every_change_of_one_character() {
    let (ledger, genuine) = with_cursor("").await;
    let mut changed = Vec::new();
    for (at, was) in genuine.bytes().enumerate() {
        for byte in BASE64URL.iter().filter(|byte| **byte != was) {
            let mut bytes = genuine.clone().into_bytes();
            bytes[at] = *byte;
            changed.push(String::from_utf8(bytes).unwrap());
        }
    }
    assert_eq!(changed.len(), 32 * 63);
    refuses_all(&ledger, &genuine, changed).await;
}

#[tokio::test]
async fn shorter_longer_and_otherwise_written() {
    let (ledger, genuine) = with_cursor("").await;
    let mut wrong: Vec<String> = (1..genuine.len()).map(|length| genuine[..length].to_owned()).collect();
    wrong.extend((1..genuine.len()).map(|from| genuine[from..].to_owned()));
    for more in [
        "A",
        "AA",
        "AAAA",
        "=",
        "==",
        "%3D",
        "%00",
        "%0A",
        "%20",
        "+",
        ".",
        "!",
        "%2F",
        "%F0%9F%9A%80",
        "*",
        "%3E",
    ] {
        wrong.push(format!("{genuine}{more}"));
        wrong.push(format!("{more}{genuine}"));
        wrong.push(format!("{}{more}{}", &genuine[..16], &genuine[16..]));
        wrong.push(format!("{}{more}{}", &genuine[..15], &genuine[16..]));
    }
    let swap = |c: char| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    wrong.extend([
        genuine.repeat(2),
        genuine.chars().rev().collect(),
        genuine.chars().map(swap).collect(),
        genuine.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat(),
        genuine.replace('A', "\u{391}"),
        "A".repeat(32),
        "_".repeat(32),
        "x".repeat(20_000),
        "null".to_owned(),
        "0".to_owned(),
        "-1".to_owned(),
        "VTID-2026-0001".to_owned(),
        "eyJpZCI6MX0".to_owned(),
    ]);
    wrong.retain(|cursor| *cursor != genuine);
    refuses_all(&ledger, &genuine, wrong).await;
    // Percent-encoded it is still the same.
    let encoded = genuine.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
    let next = ledger.service.get(&format!("/vtid/list?limit=1&cursor={encoded}")).await.expect(200);
    assert_eq!(next.body["count"], 1);
    // Standard base64 writes two of the characters otherwise; some cursor has one of them.
    for _ in 0..200 {
        ledger.takes(ledger.post(create_with(&[]))).await;
        let other = cursor_of(&ledger, "").await;
        if other.contains(['-', '_']) {
            let standard = other.replace('-', "%2B").replace('_', "%2F");
            return refuses_all(&ledger, &other, vec![standard]).await;
        }
    }
    panic!("no cursor with - or _");
}

#[tokio::test]
async fn of_another_list() {
    let (ledger, genuine) = with_cursor("").await;
    let parent = format!("parentVtid={}", ledger.vtid);
    for _ in 0..2 {
        let body = create_with(&[("assignedTo", "\"a\""), ("parentVtid", &format!("\"{}\"", ledger.vtid))]);
        ledger.takes(ledger.post(body)).await;
    }
    let lists = [
        "taskFamily=f",
        "taskType=t",
        "status=pending",
        "tenant=t",
        "assignedTo=a",
        &parent,
        "tenant=t&status=pending",
    ];
    let mut theirs = Vec::new();
    for list in lists {
        let cursor = cursor_of(&ledger, list).await;
        let right = format!("/vtid/list?{list}&cursor={cursor}");
        ledger.service.get(&right).await.expect(200);
        for other in lists.iter().filter(|other| **other != list) {
            let path = format!("/vtid/list?{other}&cursor={cursor}");
            ledger.refuses(ledger.get(&path), &query(&["cursor"]), &path).await;
        }
        let path = format!("/vtid/list?{list}&cursor={genuine}");
        ledger.refuses(ledger.get(&path), &query(&["cursor"]), &path).await;
        theirs.push(cursor);
    }
    refuses_all(&ledger, &genuine, theirs).await;
    for (list, named) in
        [("cursor=", &["cursor"][..]), ("limit=0&cursor=x", &["limit"]), ("cursor=x&cursor=x", &["cursor"])]
    {
        let path = format!("/vtid/list?{list}");
        ledger.refuses(ledger.get(&path), &query(named), &path).await;
    }
}
