//! The document against the router, the parsers and the printers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;
use crate::domain::event::EventType;
use crate::domain::json::{Json, ParseLimits};
use crate::domain::payload::{CREATE_FIELDS, PATCH_FIELDS, parse_create, parse_patch};
use crate::domain::record::Recorded;
use crate::domain::row::{parse_snapshot, write_row};
use crate::http::tests::support;
use crate::http::{closed, events, list, reading, task_events, tlog};

fn parsed(tokens: bool) -> Value {
    serde_json::from_slice(&text(tokens)).unwrap()
}

/// Each path's methods, by the document.
fn documented(document: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let methods =
        |item: &Value| item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
    let paths = document["paths"].as_object().unwrap();
    paths.iter().map(|(path, item)| (path.clone(), methods(item))).collect()
}

/// The paths that the router itself has; there is no other way to ask it.
fn routed() -> BTreeSet<String> {
    let (router, _) = routes();
    let printed = format!("{:?}", closed(router));
    let (_, paths) = printed.split_once("paths: {").expect("the router prints its paths");
    let (paths, _) = paths.split_once("} }").unwrap();
    let paths = paths.split('"').filter(|text| text.starts_with('/'));
    paths.map(|path| path.replace("{*", "{")).collect()
}

#[test]
fn every_path_of_the_router_is_documented_and_none_else() {
    let documented: BTreeSet<String> = documented(&parsed(false)).into_keys().collect();
    assert_eq!(routed(), documented);
    for path in [HEALTH, READY] {
        assert!(documented.contains(path), "{path}");
    }
}

#[tokio::test]
async fn every_method_of_the_router_is_documented_and_none_else() {
    let server = support::start().await;
    for (path, mut methods) in documented(&parsed(false)) {
        if methods.contains("GET") {
            methods.insert("HEAD".to_owned());
        }
        let response = server.request("OPTIONS", &path).send().await.unwrap();
        assert_eq!(response.status(), 405, "{path}");
        let allowed = response.headers()["allow"].to_str().unwrap().split(',').map(|m| m.trim().to_owned());
        assert_eq!(allowed.collect::<BTreeSet<_>>(), methods, "{path}");
    }
}

fn each_reference(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(to)) = object.get("$ref") {
                found.insert(to.clone());
            }
            object.values().for_each(|value| each_reference(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| each_reference(value, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_used() {
    for tokens in [false, true] {
        let document = parsed(tokens);
        let mut found = BTreeSet::new();
        each_reference(&document, &mut found);
        let there = document["components"]["schemas"].as_object().unwrap().keys();
        let there: BTreeSet<String> = there.map(|name| format!("#/components/schemas/{name}")).collect();
        assert_eq!(found, there);
    }
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn sorted<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_unstable();
    names
}

#[test]
fn the_fields_are_those_of_the_parsers_and_the_printer() {
    let document = parsed(false);
    let fields = |name: &str| sorted(keys(&document["components"]["schemas"][name]["properties"]));
    assert_eq!(fields("CreateTask"), sorted(CREATE_FIELDS));
    assert_eq!(fields("PatchTask"), sorted(PATCH_FIELDS));
    let mut row = String::new();
    write_row(&support::task(), &mut row);
    let row: Value = serde_json::from_str(&row).unwrap();
    assert_eq!(fields("Task"), sorted(keys(&row)));
    for (path, taken) in [
        ("/vtid/list", list::PARAMETERS),
        ("/vtid/{vtid}", reading::PARAMETERS),
        ("/vtid/{vtid}/events", task_events::PARAMETERS),
        ("/events", events::PARAMETERS),
    ] {
        let parameters = document["paths"][path]["get"]["parameters"].as_array().unwrap().iter();
        let of_query = parameters.filter(|parameter| parameter["in"] == "query");
        let named = sorted(of_query.map(|p| p["name"].as_str().unwrap()));
        assert_eq!(named, sorted(taken.iter().copied()), "{path}");
    }
}

#[test]
fn required_is_what_the_parser_requires() {
    let document = parsed(false);
    let required = &document["components"]["schemas"]["CreateTask"]["required"];
    let required = required.as_array().unwrap().iter().map(|field| vec![field.as_str().unwrap().to_owned()]);
    let missing = parse_create(b"{}").unwrap_err();
    assert!(missing.iter().all(|fault| fault.message == "is required"));
    assert_eq!(missing.into_iter().map(|fault| fault.path).collect::<Vec<_>>(), required.collect::<Vec<_>>());
}

#[test]
fn the_examples_are_what_is_read_and_printed() {
    assert!(parse_create(example::create().to_string().as_bytes()).is_ok());
    assert!(parse_patch(example::patch().to_string().as_bytes()).is_ok());
    let mut row = example::row();
    for (name, value) in [("version", "2"), ("created_position", "1"), ("position", "2")] {
        row[name] = value.into();
    }
    let mut printed = String::new();
    write_row(&parse_snapshot(&row.to_string()).unwrap(), &mut printed);
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(printed, example::row());
    let record = Recorded::parse(example::record().to_string().into()).unwrap();
    assert_eq!(record.event.data.event_type(), EventType::Updated);
    let limits = ParseLimits { max_depth: 64 };
    let document = Json::parse(&text(false), &limits).unwrap();
    assert!(document.faults.is_empty(), "the document is strict JSON itself");
}

#[test]
fn every_answer_names_its_request_id_and_every_503_when_to_ask_again() {
    for (path, item) in parsed(true)["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let has = |name: &str| response["headers"][name]["required"] == true;
                assert!(has("X-Request-Id"), "{method} {path} {status}");
                let name = match status.as_str() {
                    "401" => "WWW-Authenticate",
                    "405" => "Allow",
                    "429" | "503" => "Retry-After",
                    _ => continue,
                };
                assert!(has(name), "{method} {path} {status}");
            }
        }
    }
}

#[test]
fn tokens_are_asked_for_where_they_are_on() {
    let open = parsed(false);
    assert!(!open.to_string().contains("\"security\""), "an open ledger asks for none");
    let closed = parsed(true);
    assert_eq!(closed["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    for (path, item) in closed["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let asked = match path.as_str() {
                HEALTH => Value::Null,
                path if tlog::is_public(path) => Value::Null,
                READY => json!([{}, {"bearer": []}]),
                _ => json!([{"bearer": []}]),
            };
            assert_eq!(operation["security"], asked, "{method} {path}");
            let refuses = asked == json!([{"bearer": []}]);
            assert_eq!(operation["responses"]["401"].is_object(), refuses, "{method} {path}");
        }
    }
}
