//! The bodies of successes, over the row and its parts; and the parameters of a list.

use serde_json::json;
use utoipa::IntoParams;
use utoipa::openapi::content::{Content, ContentBuilder};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{Object, RefOr, Required, Response, Schema};

use super::headers;
use super::schema::{count, fixed, is_ok, list, object, of};
use super::text::{string, text};
use super::{errors, example};
use crate::domain::position::Position;
use crate::domain::status::Status;
use crate::domain::task::Task;
use crate::domain::text::{Assignee, TaskFamily, TaskType, Tenant};
use crate::domain::time::Timestamp;
use crate::domain::vtid::Vtid;
use crate::http::ready::Obstacle;
use crate::projections::page::PageLimit;

/// The service's name.
pub(in crate::http) const SERVICE: &str = "vtid-ledger";

/// Base64url of 24 bytes.
const CURSOR: &str = "^[A-Za-z0-9_-]{32}$";

/// `"ok":true` and these fields, all of them always.
fn success(fields: Vec<(&str, RefOr<Schema>)>) -> RefOr<Schema> {
    let all: Vec<_> = [("ok", is_ok(true))].into_iter().chain(fields).collect();
    let count = all.len();
    object(all, count).into()
}

pub(in crate::http) fn created() -> RefOr<Schema> {
    success(vec![("vtid", of::<Vtid>()), ("data", of::<Task>())])
}

pub(in crate::http) fn got() -> RefOr<Schema> {
    success(vec![("data", of::<Task>())])
}

pub(in crate::http) fn patched() -> RefOr<Schema> {
    let data = list(of::<Task>()).min_items(Some(1)).max_items(Some(1));
    success(vec![("vtid", of::<Vtid>()), ("data", data.into())])
}

pub(in crate::http) fn listed() -> RefOr<Schema> {
    let most = PageLimit::MAX.get();
    let rows = count().maximum(Some(most)).description(Some("How many there are in this answer."));
    let data = list(of::<Task>()).max_items(Some(usize::from(most)));
    let next = OneOfBuilder::new().item(Object::with_type(Type::Null)).item(string(CURSOR));
    let next = next.description(Some("For the next page, with the same filters; null after the last one."));
    success(vec![("count", rows.into()), ("data", data.into()), ("next_cursor", next.into())])
}

pub(in crate::http) fn health() -> RefOr<Schema> {
    success(vec![("service", fixed(SERVICE)), ("timestamp", of::<Timestamp>())])
}

pub(in crate::http) fn ready() -> RefOr<Schema> {
    success(readiness())
}

pub(in crate::http) fn consistent() -> RefOr<Schema> {
    let hash = string("^[A-Za-z0-9+/]{43}=$");
    let path = list(hash.into()).description(Some("Hashes, as RFC 6962, 2.1.2, orders them."));
    success(vec![("from", of::<Position>()), ("to", of::<Position>()), ("path", path.into())])
}

/// What is no JSON.
pub(in crate::http) fn plain() -> Content {
    ContentBuilder::new().schema(Some(Object::with_type(Type::String))).build()
}

/// For a caller that is not known.
pub(super) fn ready_less() -> RefOr<Schema> {
    success(Vec::new())
}

fn readiness() -> Vec<(&'static str, RefOr<Schema>)> {
    let words = || Object::with_type(Type::String);
    let seconds = ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0));
    let error = OneOfBuilder::new().item(Object::with_type(Type::Null)).item(words());
    let leads = ObjectBuilder::new().schema_type(Type::Boolean);
    let id = || OneOfBuilder::new().item(Object::with_type(Type::Null)).item(words());
    let follower = object(
        vec![
            ("name", words().into()),
            ("position", of::<Position>()),
            ("lag_events", count().description(Some("Events that it has yet to work on.")).into()),
            ("lag_seconds", seconds.description(Some("The age of the oldest of them.")).into()),
            ("error", error.description(Some("What it can't get past.")).into()),
            ("leads", leads.description(Some("Whether this process is the one that does the work.")).into()),
            ("holder", id().description(Some("The process that is, as far as this one knows.")).into()),
        ],
        7,
    );
    let degraded =
        list(words().into()).description(Some("What else is wrong; the process works nevertheless."));
    vec![
        ("process", id().description(Some("This process, among those that do the followers' work.")).into()),
        ("head", of::<Position>()),
        ("followers", list(follower.into()).into()),
        ("degraded", degraded.into()),
    ]
}

/// The one answer of `/readyz` that has more to tell than other errors.
pub(in crate::http) fn not_ready() -> Response {
    let reason = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(Obstacle::REASONS));
    let mut detail = vec![("reason", reason.into()), ("message", Object::with_type(Type::String).into())];
    detail.extend(readiness());
    let all = detail.len();
    let schema = errors::body("Unavailable", "unavailable", object(detail, all).into());
    let content = ContentBuilder::new().schema(Some(schema)).example(Some(example::not_ready()));
    let (retry_after, header) = headers::retry_after();
    let description =
        "Unavailable: it starts, stops, can't reach its database, or does not know an event of the log";
    let response = ResponseBuilder::new().description(description).header(retry_after, header);
    response.content("application/json", content.build()).build()
}

/// The answer to a caller that has the task already: no body.
pub(in crate::http) fn not_modified() -> Response {
    let response = ResponseBuilder::new().description("The task is of a version that `If-None-Match` lists");
    let headers = [headers::position_shown(), headers::etag()];
    headers.into_iter().fold(response, |response, (name, header)| response.header(name, header)).build()
}

/// The parameters of a list.
pub(in crate::http) struct ListParameters;

impl IntoParams for ListParameters {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let limit = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .maximum(Some(PageLimit::MAX.get()))
            .default(Some(json!(PageLimit::default().get())));
        // Empty is good for an assignee, but not for a parameter.
        let assignee = text(&Assignee::RULE).min_length(Some(1)).examples([json!("ada")]);
        vec![
            parameter("taskFamily", of::<TaskFamily>(), "Of this family."),
            parameter("taskType", of::<TaskType>(), "Of this type."),
            parameter("status", of::<Status>(), "Of this status."),
            parameter("tenant", of::<Tenant>(), "Of this tenant."),
            parameter("assignedTo", assignee, "Assigned to this."),
            parameter("parentVtid", of::<Vtid>(), "Children of this task."),
            parameter("limit", limit, "How many at most."),
            parameter(
                "cursor",
                string(CURSOR),
                "An answer's `next_cursor`; any other is 400 `Invalid query`.",
            ),
        ]
    }
}

/// The parameters of a consistency proof.
pub(in crate::http) struct ConsistencyParameters;

impl IntoParams for ConsistencyParameters {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let required = |mut parameter: Parameter| {
            parameter.required = Required::True;
            parameter
        };
        vec![
            required(parameter("from", of::<Position>(), "How many events the smaller tree has.")),
            required(parameter("to", of::<Position>(), "How many the larger one has, or as many.")),
        ]
    }
}

/// The parameters of a task's proof.
pub(in crate::http) struct ProofParameters;

impl IntoParams for ProofParameters {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let version = count().minimum(Some(1));
        vec![parameter("version", version, "Which of the task's events; without it the last one.")]
    }
}

fn parameter(name: &str, schema: impl Into<RefOr<Schema>>, description: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schema.into()))
        .build()
}
