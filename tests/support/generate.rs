//! Request bodies for property tests: ordinary, odd, at every limit, and bad ones.

use proptest::prelude::*;

/// One request of a random sequence.
#[derive(Debug, Clone)]
pub(crate) enum Request {
    /// A create; its parent, if any, is one of the tasks made so far (or none such).
    Create(String),
    /// A patch of one of the tasks made so far, by index.
    Patch(usize, String),
}

/// A sequence of requests, most of them good.
pub(crate) fn requests(max: usize) -> impl Strategy<Value = Vec<Request>> {
    let request = prop_oneof![
        3 => create_body().prop_map(Request::Create),
        5 => (0usize..8, patch_body()).prop_map(|(task, body)| Request::Patch(task, body)),
        1 => bad_body().prop_map(Request::Create),
        1 => (0usize..8, bad_body()).prop_map(|(task, body)| Request::Patch(task, body)),
    ];
    proptest::collection::vec(request, 1..max)
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A free string of 1 to `max` characters, odd ones among them.
fn text(max: usize) -> BoxedStrategy<String> {
    prop_oneof![
        4 => "[a-zA-Z0-9 ]{1,12}[a-z]",
        2 => proptest::collection::vec(odd_character(), 1..20).prop_map(|c| format!("x{}", c.into_iter().collect::<String>())),
        1 => odd_character().prop_map(move |c| c.to_string().repeat(max)),
    ]
    .boxed()
}

fn odd_character() -> impl Strategy<Value = char> {
    proptest::sample::select(vec![
        '"', '\\', '/', '%', '_', '\'', ';', '🚀', 'ü', '\u{202e}', '\u{2028}', 'ا', '{', '$', '<',
    ])
}

/// The text of a JSON number, as callers may write it.
pub(crate) fn number() -> impl Strategy<Value = String> {
    const ODD: [&str; 16] = [
        "0",
        "-0",
        "-0.00",
        "0.10",
        "1e3",
        "1E+3",
        "1.50e1",
        "1.5e-3",
        "1e308",
        "1e399",
        "-1e398",
        "0e400",
        "12345678901234567890123",
        "0.1e-390",
        "9007199254740993",
        "1e-300",
    ];
    prop_oneof![
        proptest::sample::select(&ODD[..]).prop_map(str::to_owned),
        any::<i64>().prop_map(|n| n.to_string()),
    ]
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[a-d]{1,2}",
        1 => Just("$serde_json::private::Number".to_owned()),
        1 => Just(String::new()),
        1 => Just("notes".to_owned()),
        1 => text(5),
    ]
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        number(),
        text(30).prop_map(|t| quoted(&t)),
        Just(quoted("\u{1}\u{1f}\u{7f}\r\n\t\u{8}\u{c}")),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            object(inner),
        ]
    })
}

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    proptest::collection::vec((key(), value), 0..5).prop_map(|entries| {
        let mut seen = std::collections::BTreeSet::new();
        let fields = entries.into_iter().filter(|(key, _)| seen.insert(key.clone()));
        let fields: Vec<String> = fields.map(|(key, value)| format!("{}: {value}", quoted(&key))).collect();
        format!("{{ {} }}", fields.join(" , "))
    })
}

/// A metadata object: ordinary, as deep as can be, or as large as can be.
pub(crate) fn metadata() -> BoxedStrategy<String> {
    prop_oneof![
        8 => object(json()),
        1 => Just(format!("{}1{}", "{\"a\":".repeat(32), "}".repeat(32))),
        1 => (0usize..16).prop_map(|less| format!("{{\"m\":\"{}\"}}", "m".repeat(32 * 1024 - 8 - less))),
        1 => Just(format!("{{\"q\":{}}}", quoted(&"\u{1}".repeat(5_400)))),
    ]
    .boxed()
}

fn description() -> BoxedStrategy<String> {
    prop_oneof![
        6 => text(200),
        1 => Just("\"".repeat(10_000)),
        1 => Just(format!("{}{}", "🚀".repeat(2_128), "\\".repeat(7_872))),
        1 => Just("a\n\tb".to_owned()),
    ]
    .boxed()
}

fn status() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec!["pending", "active", "blocked", "complete", "cancelled"])
}

/// The body of a create that is accepted, unless its parent does not exist.
pub(crate) fn create_body() -> BoxedStrategy<String> {
    let required = (text(100), text(100), description(), "[a-z0-9][a-z0-9_-]{0,62}");
    let optional = (
        proptest::option::of(status()),
        proptest::option::of(text(200)),
        proptest::option::of(metadata()),
        proptest::option::weighted(0.2, 1u32..6),
    );
    (required, optional)
        .prop_map(|((family, kind, description, tenant), (status, assigned, metadata, parent))| {
            let mut fields = vec![
                format!("\"taskFamily\":{}", quoted(&family)),
                format!("\"taskType\":{}", quoted(&kind)),
                format!("\"description\":{}", quoted(&description)),
                format!("\"tenant\":{}", quoted(&tenant)),
            ];
            fields.extend(status.map(|status| format!("\"status\":\"{status}\"")));
            fields.extend(assigned.map(|assigned| format!("\"assignedTo\":{}", quoted(&assigned))));
            fields.extend(metadata.map(|metadata| format!("\"metadata\":{metadata}")));
            fields.extend(parent.map(|number| format!("\"parentVtid\":\"VTID-2026-{number:04}\"")));
            format!("{{{}}}", fields.join(","))
        })
        .boxed()
}

/// The body of a patch that is well-formed; the rules may refuse it.
pub(crate) fn patch_body() -> BoxedStrategy<String> {
    let fields = (
        proptest::option::of(status().prop_map(quoted)),
        proptest::option::of(prop_oneof![text(200).prop_map(|t| quoted(&t)), Just("null".to_owned())]),
        proptest::option::of(prop_oneof![4 => metadata(), 1 => Just("null".to_owned())]),
    );
    fields
        .prop_map(|(status, assigned, metadata)| {
            let mut fields: Vec<String> = Vec::new();
            fields.extend(status.map(|status| format!("\"status\":{status}")));
            fields.extend(assigned.map(|assigned| format!("\"assignedTo\":{assigned}")));
            fields.extend(metadata.map(|metadata| format!("\"metadata\":{metadata}")));
            if fields.is_empty() {
                fields.push("\"status\":\"active\"".to_owned());
            }
            format!("{{{}}}", fields.join(","))
        })
        .boxed()
}

/// A body that is refused, as a create and as a patch.
pub(crate) fn bad_body() -> BoxedStrategy<String> {
    let too_large = format!("{{\"metadata\":{{\"m\":\"{}\"}}}}", "m".repeat(32 * 1024 - 7));
    let too_deep = format!("{{\"metadata\":{}1{}}}", "{\"a\":".repeat(33), "}".repeat(33));
    let bad = [
        "",
        "[]",
        "null",
        "{",
        "{}",
        "{\"a\":1}",
        "{\"status\":\"done\"}",
        "{\"status\":null}",
        "{\"metadata\":[]}",
        "{\"metadata\":{\"a\":1,\"a\":2}}",
        "{\"metadata\":{\"a\":1e-16384}}",
        "{\"metadata\":{\"a\":0e-99999}}",
        "{\"metadata\":{\"a\":1e400}}",
        "{\"metadata\":{\"a\":01}}",
        "{\"metadata\":{\"a\":\"\\u0000\"}}",
        "{\"metadata\":{\"a\":\"\\ud800\"}}",
        "{\"assignedTo\":\"a\\nb\"}",
        "{\"assignedTo\":7}",
        "{\"status\":\"active\",\"extra\":1}",
        "{\"status\":\"active\"} x",
    ];
    let mut bad: Vec<String> = bad.into_iter().map(str::to_owned).collect();
    bad.extend([too_large, too_deep]);
    proptest::sample::select(bad).boxed()
}
