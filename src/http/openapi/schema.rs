//! The document's schemas of what the handlers read and print, each over the handler's own type.

use std::fmt::Write as _;

use serde_json::json;
use utoipa::openapi::schema::{AdditionalProperties, AnyOfBuilder, ArrayBuilder, KnownFormat, OneOfBuilder};
use utoipa::openapi::schema::{Object, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::history;
use super::text::{string, text};
use crate::domain::changes::FieldChange;
use crate::domain::command::{CreateTask, PatchTask};
use crate::domain::event::{Event, EventType};
use crate::domain::json::{Decimal, Json};
use crate::domain::metadata::{MAX_BYTES, MAX_DEPTH, Metadata};
use crate::domain::position::Position;
use crate::domain::record::Recorded;
use crate::domain::status::Status;
use crate::domain::task::Task;
use crate::domain::text::{Assignee, Description, TaskFamily, TaskType, Tenant};
use crate::domain::time::Timestamp;
use crate::domain::vtid::Vtid;

/// A reference to a type's schema, which stands among the components.
pub(super) fn of<T: ToSchema>() -> RefOr<Schema> {
    Ref::from_schema_name(T::name()).into()
}

/// A reference, or null.
pub(super) fn or_null<T: ToSchema>() -> RefOr<Schema> {
    OneOfBuilder::new().item(Object::with_type(Type::Null)).item(of::<T>()).into()
}

/// An object that has these fields and no other; the first `required` of them always.
pub(super) fn object(fields: Vec<(&str, RefOr<Schema>)>, required: usize) -> ObjectBuilder {
    let mut object = ObjectBuilder::new().schema_type(Type::Object);
    for (index, (name, schema)) in fields.into_iter().enumerate() {
        object = object.property(name, schema);
        if index < required {
            object = object.required(name);
        }
    }
    object.additional_properties(Some(AdditionalProperties::FreeForm(false)))
}

/// A text that is always the same.
pub(super) fn fixed(text: &str) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some([text])).into()
}

/// Whether it went well, which is known from the status too.
pub(super) fn is_ok(ok: bool) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([ok])).into()
}

/// A list.
pub(super) fn list(items: RefOr<Schema>) -> ArrayBuilder {
    ArrayBuilder::new().items(items)
}

/// A whole number from 0 on.
pub(super) fn count() -> ObjectBuilder {
    let format = SchemaFormat::KnownFormat(KnownFormat::Int64);
    ObjectBuilder::new().schema_type(Type::Integer).format(Some(format)).minimum(Some(0))
}

/// Gives a type a place among the components.
macro_rules! schema {
    ($($type:ty => $schema:expr;)*) => {
        $(
            impl PartialSchema for $type {
                fn schema() -> RefOr<Schema> {
                    $schema.into()
                }
            }
            impl ToSchema for $type {}
        )*

        /// Every schema that has a name of its own.
        pub(super) fn named() -> Vec<(String, RefOr<Schema>)> {
            vec![$((<$type as ToSchema>::name().into_owned(), <$type as PartialSchema>::schema())),*]
        }
    };
}

schema! {
    Vtid => string(Vtid::PATTERN)
        .description(Some("`VTID-`, the UTC year in which the task was recorded, `-`, its number within the year: \
            four digits or more, no zeros past the fourth."))
        .examples([json!("VTID-2026-0042")]);
    TaskFamily => text(&TaskFamily::RULE)
        .description(Some("Not blank, no control characters."))
        .examples([json!("DEPLOY")]);
    TaskType => text(&TaskType::RULE)
        .description(Some("Not blank, no control characters."))
        .examples([json!("release")]);
    Description => text(&Description::RULE)
        .description(Some(format!("Not blank, no control characters but newline and tab; also {} bytes of UTF-8 \
            at most.", Description::RULE.max_bytes)))
        .examples([json!("Deploy billing 4.2.0")]);
    Assignee => text(&Assignee::RULE)
        .description(Some("No control characters."))
        .examples([json!("ada")]);
    Tenant => string(Tenant::PATTERN).examples([json!("acme")]);
    Status => ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(Status::ALL.map(Status::as_str)))
        .description(Some(transitions()));
    Position => count().description(Some("A place in the ledger: 1, 2, 3, … without a gap; 0 before the first event."));
    Timestamp => string("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$")
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .description(Some("UTC, in milliseconds."))
        .examples([json!("2026-10-28T10:00:00.000Z")]);
    Json => AnyOfBuilder::new()
        .item(ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::Null, Type::Boolean])))
        .item(ObjectBuilder::new().schema_type(Type::Number).description(Some(format!("Exact, every digit stays: {} \
            characters at most when written out (without an exponent).", Decimal::CHARS_MAX))))
        .item(without_nul())
        .item(list(of::<Self>()))
        .item(json_object())
        .description(Some("Any JSON value without U+0000, in keys too."));
    Metadata => json_object()
        .description(Some(format!("Any JSON object: {MAX_DEPTH} levels at most, itself included, and {MAX_BYTES} bytes \
            printed compactly, after a merge too. No key twice, no U+0000. It comes back with shorter keys first.")))
        .examples([json!({"git_sha": "9f2c1ab", "progress": {"percent": 85.5}})]);
    CreateTask => create();
    PatchTask => patch();
    Task => row();
    EventType => history::kind();
    FieldChange => history::change();
    Event => history::event();
    Recorded => history::record();
}

/// A text in metadata.
fn without_nul() -> ObjectBuilder {
    string("^[^\\u0000]*$")
}

fn json_object() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .property_names(Some(without_nul().build()))
        .additional_properties(Some(Ref::from_schema_name(Json::name())))
}

fn transitions() -> String {
    let mut told =
        "Where a task stands. A patch may set the status that the task has already, and".to_owned();
    for (index, from) in Status::ALL.into_iter().enumerate() {
        let allowed: Vec<&str> = from.allowed().iter().map(|status| status.as_str()).collect();
        let allowed = if allowed.is_empty() { "none (final)".to_owned() } else { allowed.join(", ") };
        let mark = if index == 0 { "" } else { ";" };
        // Writing to a string can't fail.
        let _ = write!(told, "{mark} from {from}: {allowed}");
    }
    told + "."
}

fn create() -> ObjectBuilder {
    let fields = vec![
        ("taskFamily", of::<TaskFamily>()),
        ("taskType", of::<TaskType>()),
        ("description", of::<Description>()),
        ("tenant", of::<Tenant>()),
        ("status", or_null::<Status>()),
        ("assignedTo", or_null::<Assignee>()),
        ("metadata", or_null::<Metadata>()),
        ("parentVtid", or_null::<Vtid>()),
    ];
    object(fields, 4).description(Some(
        "A task to be recorded. Null is as good as absent. Without a status it is `pending`. The parent must exist \
         (else 400), and never changes.",
    ))
}

fn patch() -> ObjectBuilder {
    let fields = vec![
        ("status", of::<Status>()),
        ("assignedTo", or_null::<Assignee>()),
        ("metadata", or_null::<Metadata>()),
    ];
    object(fields, 0).min_properties(Some(1)).description(Some(
        "What is to change: at least one field. `assignedTo: null` unassigns. `metadata` is merged as a JSON Merge \
         Patch (RFC 7396): objects merge at every level, null removes a key, and `metadata: null` empties it. A final \
         task takes both still.",
    ))
}

fn row() -> ObjectBuilder {
    let id = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::Custom("uuid".to_owned())))
        .examples([json!("019a2a1e-5c1a-7d7a-b3c4-1f8d0a5b6c7d")]);
    let fields = vec![
        ("id", id.into()),
        ("vtid", of::<Vtid>()),
        ("task_family", of::<TaskFamily>()),
        ("task_type", of::<TaskType>()),
        ("description", of::<Description>()),
        ("status", of::<Status>()),
        ("assigned_to", or_null::<Assignee>()),
        ("tenant", of::<Tenant>()),
        ("metadata", or_null::<Metadata>()),
        ("parent_vtid", or_null::<Vtid>()),
        ("created_at", of::<Timestamp>()),
        ("updated_at", of::<Timestamp>()),
    ];
    let all = fields.len();
    object(fields, all).description(Some("A task as it stands."))
}
