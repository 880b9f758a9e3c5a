//! Look-alikes of VTIDs, wherever a caller may write one: in the path, as a parent, as a filter.

use reqwest::Method;

use super::ledger::{INVALID_VTID, Ledger, NOT_FOUND, create_with, encoded, payload, query, quoted};

/// Near misses of `genuine`, which is the VTID of a task.
fn look_alikes(genuine: &str) -> Vec<String> {
    let (year, number) = (&genuine[5..9], &genuine[10..]);
    let mut found: Vec<String> = [
        "*",
        ">",
        "VTID-*",
        "VTID->",
        "VTID.*.*",
        "VTID-____-____",
        "VTID-%",
        "%",
        "VTID",
        "VTID-",
        "''",
        "' OR 1=1 --",
        "null",
        "undefined",
        "0",
        "-1",
        "🚀",
        " ",
        "\n",
        "...",
        "VTID-0000-000",
        "VTID--0001",
        "VTID-2026",
        "VTID-+026-0001",
    ]
    .map(str::to_owned)
    .to_vec();
    for around in [
        " ", "\n", "\r\n", "\t", "\u{a0}", "\u{200b}", "\u{feff}", "\u{202e}", "\0", "x", "*", ".", "/",
        "\"", "'", ";", "\u{301}",
    ] {
        found.push(format!("{genuine}{around}"));
        found.push(format!("{around}{genuine}"));
        found.push(format!("VTID-{year}-{around}{number}"));
    }
    found.extend(other_letters(genuine));
    found.extend(other_numbers(genuine));
    found
}

/// Letters and hyphens that only look like it.
fn other_letters(genuine: &str) -> Vec<String> {
    vec![
        genuine.to_lowercase(),
        genuine.replacen('V', "v", 1),
        // Cyrillic Т, Greek Ι, full-width V.
        genuine.replacen('T', "\u{422}", 1),
        genuine.replacen('I', "\u{399}", 1),
        genuine.replacen('V', "\u{ff36}", 1),
        genuine.replacen('I', "l", 1),
        genuine.replace('0', "O"),
        genuine.replace('-', "\u{2010}"),
        genuine.replace('-', "\u{2013}"),
        genuine.replace('-', "\u{2212}"),
        genuine.replace('-', "_"),
        genuine.replace('-', "."),
        genuine.replace('-', ""),
        genuine.replace('-', "--"),
        full_width(genuine),
    ]
}

fn full_width(text: &str) -> String {
    text.chars().map(|c| char::from_u32(u32::from(c) + 0xFEE0).unwrap()).collect()
}

/// Years and numbers written in another way.
fn other_numbers(genuine: &str) -> Vec<String> {
    let (year, number) = (&genuine[5..9], &genuine[10..]);
    let arabic: String =
        number.chars().map(|c| char::from_u32(u32::from(c) - 0x30 + 0x660).unwrap()).collect();
    vec![
        format!("VTID-{}-{number}", full_width(year)),
        format!("VTID-{year}-{}", full_width(number)),
        format!("VTID-{year}-{}", arabic),
        format!("VTID-{year}-0{number}"),
        format!("VTID-{year}-{}", &number[1..]),
        format!("VTID-0{year}-{number}"),
        format!("VTID-{}-{number}", &year[2..]),
        format!("VTID-{year}-+{}", &number[1..]),
        format!("VTID-{year}--{}", &number[1..]),
        format!("VTID-{year}-{number}.0"),
        format!("VTID-{year}-1e0000"),
        format!("VTID-{year}-0x0001"),
        format!("VTID-{year}-1_000"),
        format!("{genuine},{genuine}"),
        format!("{genuine}-{number}"),
        format!("VTID-{year}-0{}", "0".repeat(30_000 / 9)),
        genuine.repeat(2),
    ]
}

#[tokio::test]
async fn look_alikes_of_a_vtid() {
    let ledger = Ledger::start().await;
    for text in look_alikes(&ledger.vtid) {
        let path = format!("/vtid/{}", encoded(&text));
        ledger.refuses(ledger.get(&path), &INVALID_VTID, &path).await;
        let write = ledger.with_json(Method::PATCH, &path, "{\"status\":\"active\"}");
        ledger.refuses(write, &INVALID_VTID, &path).await;
        let body = create_with(&[("parentVtid", &quoted(&text))]);
        ledger.refuses(ledger.post(body.clone()), &payload(&["parentVtid"]), &body).await;
        let path = format!("/vtid/list?parentVtid={}", encoded(&text));
        ledger.refuses(ledger.get(&path), &query(&["parentVtid"]), &path).await;
    }
}

/// The same characters in another encoding are the same VTID; the same number is not.
#[tokio::test]
async fn encodings_of_a_path() {
    let ledger = Ledger::start().await;
    let vtid = &ledger.vtid;
    let every_byte = vtid.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat();
    for path in [
        every_byte.clone(),
        every_byte.to_uppercase(),
        vtid.replace('-', "%2D"),
        vtid.replacen('V', "%56", 1),
    ] {
        let found = ledger.service.get(&format!("/vtid/{path}")).await.expect(200);
        assert_eq!(found.body["data"]["vtid"], vtid.as_str(), "{path}");
    }
    let twice_encoded = every_byte.replace('%', "%25");
    for path in [
        twice_encoded.as_str(),
        &format!("{vtid}%20"),
        &format!("{vtid}+"),
        &format!("{vtid}%00"),
        &format!("{vtid}%0A"),
        &format!("{vtid}%2F"),
        &format!("%2F{vtid}"),
        &format!("..%2F{vtid}"),
        &format!("{vtid}%3Flimit=1"),
        &format!("{vtid}%23"),
        &format!("{vtid};x=1"),
        &format!("{vtid}%"),
        &format!("{vtid}%2"),
        &format!("{vtid}%u0031"),
        &format!("%ff{vtid}"),
        "%C0%AE%C0%AE",
        "%ED%A0%80",
    ] {
        let path = format!("/vtid/{path}");
        ledger.refuses(ledger.get(&path), &INVALID_VTID, &path).await;
    }
    for path in [
        format!("/vtid/{vtid}/"),
        format!("/vtid//{vtid}"),
        format!("/vtid/{vtid}/x"),
        format!("/VTID/{vtid}"),
        format!("//vtid/{vtid}"),
    ] {
        ledger.refuses(ledger.get(&path), &NOT_FOUND, &path).await;
    }
}

/// Well-formed, and no task's: not found, an unknown parent, an empty list.
#[tokio::test]
async fn numbers_that_no_task_has() {
    let ledger = Ledger::start().await;
    let year = &ledger.vtid[..10];
    for vtid in [
        format!("{year}0000"),
        format!("{year}9999"),
        format!("{year}10000"),
        format!("{year}9223372036854775807"),
        format!("{year}9223372036854775808"),
        format!("{year}18446744073709551617"),
        format!("{year}{}", "9".repeat(3_000)),
        "VTID-0000-0001".to_owned(),
        "VTID-9999-0001".to_owned(),
    ] {
        let before = ledger.head().await;
        let path = format!("/vtid/{vtid}");
        let write = ledger.with_json(Method::PATCH, &path, "{\"status\":\"active\"}");
        for request in [ledger.get(&path), write] {
            let answer = ledger.service.send(request).await.expect(404);
            assert_eq!(
                (&answer.body["error"], &answer.body["code"]),
                (&"VTID not found".into(), &"vtid_not_found".into())
            );
        }
        let listed = ledger.service.get(&format!("/vtid/list?parentVtid={vtid}")).await.expect(200);
        assert_eq!(listed.body["count"], 0);
        assert_eq!(ledger.head().await, before);
        let body = create_with(&[("parentVtid", &quoted(&vtid))]);
        ledger.refuses(ledger.post(body.clone()), &payload(&["parentVtid"]), &body).await;
    }
}
