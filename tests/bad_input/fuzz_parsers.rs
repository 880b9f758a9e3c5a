//! The parsers alone, by the ten thousand cases (`FUZZ_CASES`): none panics, and what is accepted is what was sent.

use proptest::prelude::*;
use vtid_ledger::domain::command::{Change, CreateTask, ParentRef, PatchTask};
use vtid_ledger::domain::json::{Json, Object, ParseLimits};
use vtid_ledger::domain::metadata::Metadata;
use vtid_ledger::domain::origin::{RequestId, TraceParent};
use vtid_ledger::domain::payload::{parse_create, parse_patch};
use vtid_ledger::domain::status::Status;
use vtid_ledger::domain::text::Tenant;
use vtid_ledger::domain::vtid::{ParsedVtid, Vtid};
use vtid_ledger::http::WebOrigin;
use vtid_ledger::projections::page::{Filters, PageCursor};

use super::ledger::quoted;
use super::mutate::{cases, mutated, mutated_text, piece};
use crate::support::generate::{bad_body, create_body, patch_body};

const CASES: u32 = 10_000;

fn compact(metadata: &Metadata) -> String {
    let mut text = String::new();
    metadata.object().write_compact(&mut text);
    text
}

/// A body that asks for just this; a parent that can't be is left to the caller.
fn print_create(create: &CreateTask) -> String {
    let mut fields = vec![
        ("taskFamily", quoted(create.family.as_str())),
        ("taskType", quoted(create.kind.as_str())),
        ("description", quoted(create.description.as_str())),
        ("tenant", quoted(create.tenant.as_str())),
    ];
    fields.extend(create.status.map(|status| ("status", quoted(status.as_str()))));
    fields.extend(create.assigned_to.as_ref().map(|to| ("assignedTo", quoted(to.as_str()))));
    fields.extend(create.metadata.as_ref().map(|metadata| ("metadata", compact(metadata))));
    fields.extend(create.parent.map(|parent| match parent {
        ParentRef::Task(vtid) => ("parentVtid", quoted(&vtid.to_string())),
        ParentRef::NeverAssigned => ("parentVtid", quoted("VTID-2026-0000")),
    }));
    print(&fields)
}

fn print_patch(patch: &PatchTask) -> String {
    let mut fields = Vec::new();
    fields.extend(patch.status.map(|status| ("status", quoted(status.as_str()))));
    match &patch.assigned_to {
        Change::Keep => {}
        Change::Clear => fields.push(("assignedTo", "null".to_owned())),
        Change::Set(to) => fields.push(("assignedTo", quoted(to.as_str()))),
    }
    match &patch.metadata {
        Change::Keep => {}
        Change::Clear => fields.push(("metadata", "null".to_owned())),
        Change::Set(metadata) => fields.push(("metadata", compact(metadata))),
    }
    print(&fields)
}

fn print(fields: &[(&str, String)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}

fn as_object(body: &[u8]) -> Object {
    let parsed = Json::parse(body, &ParseLimits { max_depth: 33 }).unwrap();
    assert!(parsed.faults.is_empty() && parsed.faults_left_out == 0);
    let Json::Object(object) = parsed.value else { panic!("accepted, and no object") };
    object
}

/// The body's own text for a field: a string, or an object printed.
fn sent(body: &Object, field: &str) -> Option<String> {
    match body.get(field)? {
        Json::String(text) => Some(text.clone()),
        Json::Null => None,
        other => Some(other.to_compact()),
    }
}

/// Refused with faults that can be told, or accepted as it stands.
fn check(body: &[u8]) {
    match parse_create(body) {
        Err(faults) => assert!(!faults.is_empty() && faults.iter().all(|fault| !fault.message.is_empty())),
        Ok(create) => {
            let object = as_object(body);
            assert_eq!(sent(&object, "taskFamily").as_deref(), Some(create.family.as_str()));
            assert_eq!(sent(&object, "taskType").as_deref(), Some(create.kind.as_str()));
            assert_eq!(sent(&object, "description").as_deref(), Some(create.description.as_str()));
            assert_eq!(sent(&object, "tenant").as_deref(), Some(create.tenant.as_str()));
            assert_eq!(sent(&object, "metadata"), create.metadata.as_ref().map(compact));
            assert_eq!(parse_create(print_create(&create).as_bytes()), Ok(create));
        }
    }
    match parse_patch(body) {
        Err(faults) => assert!(!faults.is_empty() && faults.iter().all(|fault| !fault.message.is_empty())),
        Ok(patch) => {
            let object = as_object(body);
            assert_eq!(sent(&object, "status").as_deref(), patch.status.map(Status::as_str));
            assert_eq!(parse_patch(print_patch(&patch).as_bytes()), Ok(patch));
        }
    }
}

fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "\"taskFamily\"",
        "\"tenant\"",
        "\"metadata\":{",
        "\"status\":\"active\"",
        "\"assignedTo\":",
        "{\"a\":",
    ];
    let word = proptest::sample::select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec());
    proptest::collection::vec(prop_oneof![piece(), word], 0..30).prop_map(|pieces| pieces.concat())
}

fn good_body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![2 => create_body(), 2 => patch_body(), 1 => bad_body()].prop_map(String::into_bytes)
}

proptest! {
    #![proptest_config(cases(CASES))]

    #[test]
    fn fuzz_bodies_of_any_bytes(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        check(&body);
    }

    #[test]
    fn fuzz_bodies_of_pieces(body in pieces()) {
        check(&body);
    }

    #[test]
    fn fuzz_vtids(text in prop_oneof![
        mutated_text("VTID-[0-9]{4}-[1-9][0-9]{3,18}|VTID-[0-9]{4}-0[0-9]{3}", 2),
        "VTID-[0-9]{3,5}-[0-9]{3,22}",
        any::<String>(),
    ]) {
        let form = text.strip_prefix("VTID-").and_then(|rest| rest.split_once('-'));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let fits = form.is_some_and(|(year, number)| {
            digits(year) && year.len() == 4 && digits(number) && (number.len() == 4 || number.len() > 4 && !number.starts_with('0'))
        });
        match Vtid::parse(&text) {
            Ok(ParsedVtid::Possible(vtid)) => prop_assert_eq!(vtid.to_string(), text),
            Ok(ParsedVtid::Impossible) => prop_assert!(fits, "{}", text),
            Err(_) => prop_assert!(!fits, "{}", text),
        }
    }

    #[test]
    fn fuzz_tenants(text in prop_oneof![mutated_text("[a-z0-9][a-z0-9_-]{0,62}", 2), any::<String>()]) {
        let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let fits = (1..=63).contains(&text.len()) && word(text.as_bytes()[0])
            && text.bytes().all(|byte| word(byte) || byte == b'-' || byte == b'_');
        prop_assert_eq!(Tenant::parse(&text).ok().map(|tenant| tenant.to_string()), fits.then_some(text));
    }

    #[test]
    fn fuzz_cursors(text in prop_oneof![
        mutated_text(Just("AAABog22JRQAAAAAAAAABFKnZlOGrDlD".to_owned()), 3),
        "[A-Za-z0-9_-]{30,34}",
        any::<String>(),
    ]) {
        let filters = Filters::default();
        if let Ok(cursor) = PageCursor::parse(&text, &filters) {
            prop_assert_eq!(cursor.print(&filters), text);
        }
    }

    #[test]
    fn fuzz_request_ids_and_traces(text in prop_oneof![
        mutated_text("00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", 2),
        "[A-Za-z0-9._:/-]{0,130}",
        any::<String>(),
    ]) {
        if let Some(id) = RequestId::parse(&text) {
            prop_assert_eq!(id.as_str(), &text);
            prop_assert!(text.is_ascii() && !text.contains(char::is_whitespace));
        }
        if let Some(trace) = TraceParent::parse(&text) {
            prop_assert_eq!(trace.as_str(), &text);
            prop_assert_eq!(text.len(), 55);
        }
    }

    #[test]
    fn fuzz_origins(text in prop_oneof![
        mutated_text("https?://[a-z]{1,8}(\\.[a-z]{2,5}){0,2}(:[1-9][0-9]{1,4})?", 2),
        "https?://[*a-zA-Z0-9.:@/\\[\\]?#%-]{0,20}",
        any::<String>(),
    ]) {
        if WebOrigin::parse(&text).is_ok() {
            prop_assert!(text.is_ascii() && !text.contains(['*', '@', '?', '#', ' ', '\\']), "{}", text);
            prop_assert!(!text.trim_start_matches("https://").trim_start_matches("http://").contains('/'), "{}", text);
        }
    }
}

proptest! {
    // A body takes a while to make.
    #![proptest_config(cases(CASES / 5))]

    #[test]
    fn fuzz_bodies_almost_right(body in mutated(good_body(), 3)) {
        check(&body);
    }

    #[test]
    fn fuzz_bodies_that_are_right(body in good_body()) {
        check(&body);
    }
}
