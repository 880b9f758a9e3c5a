//! Numbers that are none, or too long.

use super::ledger::{Ledger, create_with, object, payload};

#[tokio::test]
async fn what_is_no_number_is_no_json() {
    let ledger = Ledger::start().await;
    for number in [
        "NaN",
        "Infinity",
        "-Infinity",
        "+1",
        ".5",
        "1.",
        "01",
        "-",
        "--1",
        "0x10",
        "1e",
        "1e+",
        "1_000",
        "١",
        "1,5",
        "5f",
    ] {
        let fields = [("metadata", format!("{{\"n\":{number}}}"))].map(|(k, v)| (k, v.leak() as &str));
        // `1,5` reads as 1, and then a key that is none.
        ledger.refuses(ledger.post(create_with(&fields)), &payload(&[""]), number).await;
        ledger.refuses(ledger.patch(object(&fields)), &payload(&[""]), number).await;
    }
}

#[tokio::test]
async fn four_hundred_characters_and_no_more() {
    let ledger = Ledger::start().await;
    let (nines, fraction) = ("9".repeat(400), format!("0.{}", "9".repeat(398)));
    for (sent, kept) in [
        (nines.clone(), nines.clone()),
        (fraction.clone(), fraction.clone()),
        ("0e400".to_owned(), "0".to_owned()),
        ("1e399".to_owned(), format!("1{}", "0".repeat(399))),
        ("-1e398".to_owned(), format!("-1{}", "0".repeat(398))),
        ("1e-398".to_owned(), format!("0.{}1", "0".repeat(397))),
    ] {
        let metadata = format!("{{\"n\":{sent}}}");
        let taken = ledger.takes(ledger.post(create_with(&[("metadata", &metadata)]))).await;
        // No float has it, so the body is read as text.
        let vtid = taken.header("location").trim_start_matches("/vtid/").to_owned();
        for shown in [vec![taken], ledger.shown(&vtid).await.into()].concat() {
            assert!(shown.text.contains(&format!("{{\"n\":{kept}}}")), "{sent}: {}", shown.text);
        }
    }
    let places = [format!("{nines}9"), format!("-{nines}"), format!("{fraction}9")];
    let exponents = ["1e400", "-1e399", "1e-399", "0e-99999", "1e99999999999999999999", "1E+400"];
    for number in places.iter().map(String::as_str).chain(exponents) {
        let metadata = format!("{{\"m\":[0,{{\"n\":{number}}}]}}");
        let fields = [("metadata", metadata.as_str())];
        ledger.refuses(ledger.post(create_with(&fields)), &payload(&["metadata.m.1.n"]), number).await;
        ledger.refuses(ledger.patch(object(&fields)), &payload(&["metadata.m.1.n"]), number).await;
    }
}

#[tokio::test]
async fn a_number_where_a_text_belongs() {
    let ledger = Ledger::start().await;
    for field in
        ["taskFamily", "taskType", "description", "tenant", "status", "assignedTo", "parentVtid", "metadata"]
    {
        for value in ["7", "true", "[]", "1e999"] {
            let body = create_with(&[(field, value)]);
            let refusal = if value == "1e999" { payload(&[field, field]) } else { payload(&[field]) };
            ledger.refuses(ledger.post(body.clone()), &refusal, &body).await;
        }
    }
}
