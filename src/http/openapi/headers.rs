//! The headers of the contract, as the document describes them.

use serde_json::json;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{RefOr, Required, Schema};
use utoipa::{IntoParams, PartialSchema};

use super::schema::{count, fixed, of};
use super::text::string;
use crate::domain::position::Position;

/// What a header is called, and what is in it.
pub(super) type Named = (&'static str, Header);

/// A header that is always there.
fn always(schema: impl Into<RefOr<Schema>>, description: &str) -> Header {
    // The library has no field for it; an extension's name is printed as it is.
    let required = [("required", json!(true))].into_iter().collect();
    let header = HeaderBuilder::new().schema(Some(schema.into())).description(Some(description));
    header.extensions(Some(required)).build()
}

pub(super) fn request_id() -> Named {
    let description = "The request's id: the caller's, if it sent one of this form, else a new one.";
    ("X-Request-Id", always(string("^[A-Za-z0-9._:/-]{1,128}$"), description))
}

/// Of a read, or of an answer that looked for a task.
pub(in crate::http) fn position_shown() -> Named {
    ("Ledger-Position", always(of::<Position>(), "The position up to which the ledger is shown."))
}

/// Of a write.
pub(in crate::http) fn position_written() -> Named {
    let description =
        "The position of the write's last event: a read with it as `Ledger-Min-Position` sees the write.";
    ("Ledger-Position", always(of::<Position>(), description))
}

pub(in crate::http) fn etag() -> Named {
    ("ETag", always(string("^\"v[1-9][0-9]*\"$"), "The task's version."))
}

/// Of a write that had gone in before.
pub(in crate::http) fn replayed() -> Named {
    let description = "There if the request had been accepted before, under the same `Idempotency-Key`.";
    let header = HeaderBuilder::new().schema(Some(fixed("true"))).description(Some(description));
    ("Idempotency-Replayed", header.build())
}

pub(in crate::http) fn location() -> Named {
    ("Location", always(string("^/vtid/VTID-[0-9]{4}-[0-9]{4,}$"), "Where the task is."))
}

pub(super) fn retry_after() -> Named {
    ("Retry-After", always(count().minimum(Some(1)), "After how many seconds it makes sense to ask again."))
}

pub(super) fn allow() -> Named {
    ("Allow", always(string("^[A-Z]+(, ?[A-Z]+)*$"), "The path's methods."))
}

pub(super) fn www_authenticate() -> Named {
    ("WWW-Authenticate", always(string("^Bearer"), "What kind of token is asked for."))
}

pub(in crate::http) fn cache_control() -> Named {
    ("Cache-Control", always(ObjectBuilder::new().schema_type(Type::String), "How long it may be kept."))
}

pub(in crate::http) fn content_disposition() -> Named {
    let schema = string("^attachment; filename=\"[A-Za-z0-9-]+\\.tlog-proof\"$");
    ("Content-Disposition", always(schema, "What the file may be called."))
}

pub(in crate::http) fn content_security_policy() -> Named {
    let description = "Nothing from other hosts, no inline script, not within a frame.";
    ("Content-Security-Policy", always(ObjectBuilder::new().schema_type(Type::String), description))
}

fn parameter(name: &str, schema: impl Into<RefOr<Schema>>, description: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schema.into()))
        .build()
}

fn request_id_sent() -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::String).examples([json!("checkout-7f3a")]);
    let description = "Under which id the request is to be known in answers, events and logs. One that does not match \
        `[A-Za-z0-9._:/-]{1,128}`, or that came twice, is replaced by a new one.";
    parameter("X-Request-Id", schema, description)
}

fn traceparent_sent() -> Parameter {
    let example = json!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let schema = ObjectBuilder::new().schema_type(Type::String).examples([example]);
    let description =
        "The caller's W3C Trace Context, version 00; the event keeps it. One of another form is ignored.";
    parameter("traceparent", schema, description)
}

fn min_position_sent() -> Parameter {
    let description = "The position that the answer must show at least: a write's `Ledger-Position`, to read one's own \
        writes through any process. The read waits for it 2 seconds at most, then it is 503 `read_behind`. Below 2^63; \
        a malformed one is 400 `Invalid query`.";
    parameter("Ledger-Min-Position", Position::schema(), description)
}

fn idempotency_key_sent() -> Parameter {
    let schema = string("^[!-~]{1,255}$").examples([json!("deploy-4.2.0-step-1")]);
    let description = "Under which the request may be sent again, with the same method, path and body, at any time and \
        through any process: it is answered as it was the first time, with `Idempotency-Replayed`, and nothing is written \
        twice. Each caller (token `sub`) has keys of its own. Once a request was accepted under it, a key is kept for \
        good, and another request under it is 422; one that was refused leaves it free. A malformed one is 400 `Invalid query`.";
    parameter("Idempotency-Key", schema, description)
}

/// `*`, or a list with one entity tag at least, of whatever HTTP allows in one.
fn entity_tags() -> OneOfBuilder {
    const TAG: &str = "(W/)?\"[!#-~\\u0080-\\u00ff]*\"";
    let list = format!("^(,[ \\t,]*)?{TAG}([ \\t]*,[ \\t,]*{TAG})*([ \\t]*,([ \\t,]*,)?)?$");
    OneOfBuilder::new().item(fixed("*")).item(string(&list).examples([json!("\"v3\"")]))
}

fn if_match_sent() -> Parameter {
    let description = "The task must be at one of these versions (an answer's `ETag`, or several), or at whichever: `*`; \
        else 412 `Version mismatch`, and nothing is written. A weak tag is never equal (RFC 9110, 13.1.1). A malformed \
        one is 400 `Invalid query`.";
    parameter("If-Match", entity_tags(), description)
}

fn if_none_match_sent() -> Parameter {
    let description = "The versions that the caller has (an answer's `ETag`, or several; `*`: whichever): if the task is \
        at one of them, the answer is 304 without a body. A malformed one is 400 `Invalid query`.";
    parameter("If-None-Match", entity_tags(), description)
}

/// The headers that every route takes.
pub(in crate::http) struct AnyHeaders;

impl IntoParams for AnyHeaders {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![request_id_sent()]
    }
}

/// The headers that reads take.
pub(in crate::http) struct ReadHeaders;

impl IntoParams for ReadHeaders {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![min_position_sent(), request_id_sent()]
    }
}

/// The headers that a read of one task takes.
pub(in crate::http) struct OneReadHeaders;

impl IntoParams for OneReadHeaders {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![if_none_match_sent(), min_position_sent(), request_id_sent()]
    }
}

/// The headers that a create takes.
pub(in crate::http) struct CreateHeaders;

impl IntoParams for CreateHeaders {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![idempotency_key_sent(), request_id_sent(), traceparent_sent()]
    }
}

/// The headers that a patch takes.
pub(in crate::http) struct PatchHeaders;

impl IntoParams for PatchHeaders {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![idempotency_key_sent(), if_match_sent(), request_id_sent(), traceparent_sent()]
    }
}
