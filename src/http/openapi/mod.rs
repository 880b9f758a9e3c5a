//! The API's own description, OpenAPI 3.1: made from the routes as they are registered, and from the rules, limits
//! and errors that the handlers themselves use.

mod answers;
mod callers;
mod errors;
pub(super) mod example;
mod headers;
mod schema;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use serde_json::json;
use utoipa::openapi::path::{Operation, PathItem, Paths};
use utoipa::openapi::schema::{ComponentsBuilder, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{InfoBuilder, LicenseBuilder, Object, OpenApi, OpenApiBuilder, RefOr};
use utoipa::{IntoResponses, openapi};

use super::body::BODY_BYTES_MAX;
use super::limits::{HEAD_BYTES_MAX, HEADERS_MAX, HttpLimits};
use super::reading::NoParameters;
use super::{Api, HEALTH, READY, answer, routes, tlog};

pub(super) use answers::{
    ConsistencyParameters, ListParameters, ProofParameters, SERVICE, consistent, created, got, health,
    listed, not_modified, not_ready, patched, plain, ready,
};
pub(super) use errors::{Answers, of_audits, of_bodies, of_reads, of_work, of_writes};
pub(super) use headers::{
    AnyHeaders, CreateHeaders, OneReadHeaders, PatchHeaders, ReadHeaders, cache_control, content_disposition,
    content_security_policy, etag, location, position_shown, position_written, replayed,
};

/// The tag of calls about tasks.
pub(super) const TASKS: &str = "tasks";
/// The tag of calls about the transparency log.
pub(super) const AUDIT: &str = "audit";
/// The tag of calls about the process.
pub(super) const PROCESS: &str = "process";
/// The tag of calls about the API itself.
pub(super) const DOCUMENTATION: &str = "documentation";

/// The document of a process that asks for no token.
static OPEN: LazyLock<Bytes> = LazyLock::new(|| print(false));
/// The document of a process that asks for one.
static WITH_TOKENS: LazyLock<Bytes> = LazyLock::new(|| print(true));

/// The document as JSON, of a process that asks for tokens or not.
#[must_use]
pub fn text(tokens: bool) -> Bytes {
    if tokens { WITH_TOKENS.clone() } else { OPEN.clone() }
}

#[expect(clippy::expect_used, reason = "a document of texts and numbers, which a test prints too")]
fn print(tokens: bool) -> Bytes {
    let (_, paths) = routes();
    serde_json::to_vec(&document(paths, tokens)).expect("a document").into()
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "getOpenApi", tag = DOCUMENTATION,
    params(AnyHeaders), responses(Document)
)]
pub(super) async fn openapi(State(api): State<Arc<Api>>, NoParameters: NoParameters) -> Response {
    answer::json(StatusCode::OK, text(api.auth.asks_for_tokens()))
}

struct Document;

impl IntoResponses for Document {
    fn responses() -> BTreeMap<String, RefOr<openapi::Response>> {
        let example = json!({"openapi": "3.1.0"});
        Answers::ok("The API, as OpenAPI 3.1", Object::with_type(Type::Object), example)
            .errors(of_work())
            .build()
    }
}

/// The whole document over the paths that are served.
fn document(paths: Paths, tokens: bool) -> OpenApi {
    let named = schema::named().into_iter().chain(errors::named()).chain(callers::named(tokens));
    let mut components = ComponentsBuilder::new().schemas_from_iter(named);
    if tokens {
        let bearer = Http::builder()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some(ABOUT_TOKENS));
        components = components.security_scheme("bearer", SecurityScheme::Http(bearer.build()));
    }
    let tags = [
        (TASKS, "Create, read and change tasks; each write is an immutable event of the ledger."),
        (
            AUDIT,
            "Whether the past is what it was: the transparency log (C2SP tlog-tiles), and proofs from it.",
        ),
        (PROCESS, "How this process is."),
        (DOCUMENTATION, "The API's description."),
    ];
    let tags = tags.map(|(name, told)| TagBuilder::new().name(name).description(Some(told)).build());
    let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0"));
    let info = InfoBuilder::new()
        .title("VTID ledger")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(introduction()))
        .license(Some(license.build()));
    let mut document = OpenApiBuilder::new()
        .info(info.build())
        .paths(paths)
        .components(Some(components.build()))
        .tags(Some(tags))
        .build();
    for (path, item) in &mut document.paths.paths {
        for operation in operations(item) {
            match path.as_str() {
                READY if tokens => tell_the_unknown_less(operation),
                HEALTH | READY => {}
                // Whoever asks, and with whatever token: counted by address alone.
                path if tlog::is_public(path) => look_at_the_caller(operation, false),
                _ => look_at_the_caller(operation, tokens),
            }
        }
    }
    document
}

const ABOUT_TOKENS: &str = "`exp` is required. `sub` becomes the actor of every event; without it the role's name does. \
    `role`: `service_role` and `admin` (also by `app_metadata.role`) do everything; `authenticated` reads all tasks, creates \
    in every tenant, and patches tasks of its own tenant, which is `app_metadata.tenant`, else `tenant`; any other role has \
    no rights.";

/// Every call, save those that watch the process.
fn look_at_the_caller(operation: &mut Operation, tokens: bool) {
    if tokens {
        operation.security = Some(vec![bearer()]);
    }
    operation.responses.responses.extend(callers::answers(tokens));
}

/// A call that anybody may make, and that tells more to whom the ledger knows.
fn tell_the_unknown_less(operation: &mut Operation) {
    operation.security = Some(vec![SecurityRequirement::default(), bearer()]);
    for (status, less) in [("200", answers::ready_less()), ("503", callers::not_ready_less())] {
        if let Some(response) = operation.responses.responses.get_mut(status) {
            callers::or_less(response, &less);
        }
    }
}

fn bearer() -> SecurityRequirement {
    SecurityRequirement::new("bearer", [""; 0])
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

fn introduction() -> String {
    let limits = HttpLimits::default();
    format!(
        "A ledger of numbered tasks. Each accepted create and patch is an immutable event, durable before it is \
         answered.\n\n\
         Requests are camelCase, answers snake_case; a field without a value is there as null. A body is JSON in UTF-8 \
         (`Content-Type: application/json`, no content encoding), strictly by RFC 8259, no key twice, {body} KiB at \
         most, and comes within {seconds} s. A request's head has {head} KiB and {headers} headers at most. Parameters \
         are percent-encoded UTF-8; one that is unknown, empty or given twice is refused.\n\n\
         Every error is JSON: `ok` false, `error` a fixed text, `code` the same for programs, `detail` more about it; \
         a list in `detail` has every fault, not only the first. An unknown path is 404 `Not found`, another method \
         405 with `Allow`; HEAD is answered as GET is, without the body. Only a request whose head can't be read gets \
         a bare 4xx, and one whose head does not come within {head_seconds} s a closed connection.\n\n\
         A read sees every write that the same process acknowledged before.",
        body = BODY_BYTES_MAX / 1024,
        seconds = limits.body_read_timeout.as_secs(),
        head_seconds = limits.head_read_timeout.as_secs(),
        head = HEAD_BYTES_MAX / 1024,
        headers = HEADERS_MAX,
    )
}
