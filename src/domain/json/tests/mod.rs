//! Tests of the exact JSON value.

mod decimal;
mod merge;
mod parse;
mod property;
mod strict;
mod value;

use super::{Json, Object, ParseLimits, Parsed};

/// A request body: an object with 32 levels of metadata in it.
const LIMITS: ParseLimits = ParseLimits { max_depth: 33 };

fn parsed(text: &str) -> Parsed {
    Json::parse(text.as_bytes(), &LIMITS).unwrap_or_else(|error| panic!("{text:.200}: {error}"))
}

/// The value of a text without faults.
fn json(text: &str) -> Json {
    let parsed = parsed(text);
    assert_eq!(parsed.faults, [], "{text}");
    parsed.value
}

fn object(text: &str) -> Object {
    match json(text) {
        Json::Object(object) => object,
        other => panic!("not an object: {other:?}"),
    }
}
