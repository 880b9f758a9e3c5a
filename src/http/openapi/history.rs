//! What the document says about the past: a task's stream, the ledger's records, and points in time.

use serde_json::json;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, OneOfBuilder, SchemaFormat, Type};
use utoipa::openapi::{Content, Object, RefOr, Schema};
use utoipa::{IntoParams, PartialSchema};

use super::answers::{counted, limit, page, parameter, success};
use super::example;
use super::headers::{self, Named};
use super::schema::{count, fixed, list, object, of, or_null};
use super::text::{string, text};
use crate::domain::changes::FieldChange;
use crate::domain::event::{Event, EventType};
use crate::domain::json::Json;
use crate::domain::origin::Role;
use crate::domain::position::Position;
use crate::domain::record::Recorded;
use crate::domain::text::{ActorId, Tenant};
use crate::domain::time::Timestamp;
use crate::domain::vtid::Vtid;

/// Base64url of 24 bytes.
const CURSOR: &str = "^[A-Za-z0-9_-]{32}$";

pub(in crate::http) fn history() -> RefOr<Schema> {
    success(page::<Event>("For the next page, of the same task; null after the last event.", CURSOR))
}

pub(in crate::http) fn records() -> RefOr<Schema> {
    let [count, data] = counted::<Recorded>();
    let next = OneOfBuilder::new().item(Object::with_type(Type::Null)).item(of::<Position>());
    let next = next.description(Some("Where to go on (`from`, with the same filters); null at the end."));
    success(vec![count, data, ("next", next.into())])
}

/// The same records, one a line.
pub(in crate::http) fn record_lines() -> Content {
    let lines = Object::with_type(Type::String);
    ContentBuilder::new()
        .schema(Some(lines))
        .example(Some(json!(example::record().to_string() + "\n")))
        .build()
}

/// Of an answer with records.
pub(in crate::http) fn position_looked_to() -> Named {
    let description = "How far the answer goes, whichever records of these are in it: go on after this.";
    ("Ledger-Position", headers::always(of::<Position>(), description))
}

/// The points in the past that a read may name.
pub(in crate::http) struct MomentParameters;

impl IntoParams for MomentParameters {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![
            parameter(
                "at",
                time(),
                "As it was at this time, what was recorded in this very millisecond included.",
            ),
            parameter("position", Position::schema(), "As it was after this event; not together with `at`."),
        ]
    }
}

/// The parameters of a page of a stream.
pub(in crate::http) struct PageParameters;

impl IntoParams for PageParameters {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let cursor = "An answer's `next_cursor`; any other is 400 `Invalid query`.";
        vec![parameter("limit", limit(), "How many at most."), parameter("cursor", string(CURSOR), cursor)]
    }
}

/// The parameters of the ledger's records.
pub(in crate::http) struct EventParameters;

impl IntoParams for EventParameters {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let from = count().minimum(Some(1)).default(Some(json!(1)));
        let from_told = "From this position on: one past the ledger's end at most, else 400 `Invalid query`.";
        let limit_told = "How many at most; lines have no end without it.";
        // Empty is good for an actor, but not for a parameter.
        let actor = actor().min_length(Some(1));
        vec![
            parameter("from", from, from_told),
            parameter("limit", limit(), limit_told),
            parameter("tenant", of::<Tenant>(), "Of this tenant's tasks."),
            parameter("type", of::<EventType>(), "Of this type."),
            parameter("vtid", of::<Vtid>(), "Of this task."),
            parameter("actor", actor, "By this actor."),
            parameter("since", time(), "Recorded then or later."),
            parameter("until", time(), "Recorded then or earlier."),
        ]
    }
}

/// As callers give it.
fn time() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .examples([json!("2026-10-28T10:00:00Z")])
}

fn actor() -> ObjectBuilder {
    text(&ActorId::RULE).examples([json!("ada")])
}

fn role() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(Role::ALL.map(Role::as_str)))
}

fn request_id() -> ObjectBuilder {
    string("^[A-Za-z0-9._:/-]{1,128}$").examples([json!("checkout-7f3a")])
}

fn uuid() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::Custom("uuid".to_owned())))
        .examples([json!("019a2a1e-5c1a-7d7a-b3c4-1f8d0a5b6c7d")])
}

/// From 1 on.
fn from_one() -> ObjectBuilder {
    count().minimum(Some(1))
}

pub(super) fn kind() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(EventType::ALL.map(EventType::as_str)))
}

pub(super) fn change() -> ObjectBuilder {
    let field = ObjectBuilder::new().schema_type(Type::String).examples([json!("status")]);
    let fields = vec![("field", field.into()), ("before", of::<Json>()), ("after", of::<Json>())];
    object(fields, 3).description(Some("A field of the task, by its column, with another value than before."))
}

/// As a task's stream tells it.
pub(super) fn event() -> ObjectBuilder {
    let fields = vec![
        ("id", uuid().into()),
        ("position", from_one().description(Some("Within the ledger.")).into()),
        ("version", from_one().description(Some("Within the task.")).into()),
        ("type", of::<EventType>()),
        ("time", of::<Timestamp>()),
        ("actor", actor().into()),
        ("actor_role", role().into()),
        ("actor_tenant", or_null::<Tenant>()),
        ("request_id", request_id().into()),
        ("changes", list(of::<FieldChange>()).into()),
    ];
    let all = fields.len();
    object(fields, all).description(Some("Who did what to a task, and when."))
}

/// As it is stored.
pub(super) fn record() -> ObjectBuilder {
    let number = || string("^[1-9][0-9]*$");
    let fields = vec![
        ("specversion", fixed("1.0")),
        ("id", uuid().into()),
        ("source", string("^/vtid-ledger/").into()),
        ("type", ObjectBuilder::new().schema_type(Type::String).examples([json!("vtid-created")]).into()),
        ("subject", of::<Vtid>()),
        ("time", of::<Timestamp>()),
        ("datacontenttype", fixed("application/json")),
        ("position", number().into()),
        ("streamversion", number().into()),
        ("tenant", of::<Tenant>()),
        ("actor", actor().into()),
        ("actorrole", role().into()),
        ("correlationid", request_id().into()),
        ("data", ObjectBuilder::new().schema_type(Type::Object).into()),
        ("actortenant", of::<Tenant>()),
        ("traceparent", Object::with_type(Type::String).into()),
        ("idempotencykey", Object::with_type(Type::String).into()),
        ("requesthash", string("^[0-9a-f]{64}$").into()),
    ];
    object(fields, 14).description(Some(
        "An event's record, a CloudEvents 1.0 event in structured form; `data` is what the caller asked for.",
    ))
}
