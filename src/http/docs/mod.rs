//! `GET /docs`: the document as a page, from files inside the binary.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use serde_json::json;
use utoipa::openapi::content::{Content, ContentBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Object, RefOr, Schema};
use utoipa::{IntoResponses, PartialSchema, ToSchema, openapi};

use super::Api;
use super::error::ApiError;
use super::openapi::{Answers, AnyHeaders, DOCUMENTATION, cache_control, content_security_policy, of_work};
use super::reading::NoParameters;

/// What the page may load, and who may show it. Swagger UI needs no more than this, by its source (5.32), and by trial
/// in Chromium 156: the page, a call opened and tried out, without one violation.
///
/// - scripts: its one bundle and our page.js; no inline script. Its only uses of `new Function` are look-ups of the
///   global object, within `try` and after `self` and `window`, so no `unsafe-eval`;
/// - styles: its one file and our page.css. The `style` properties of its elements are set by React through the
///   CSSOM, which `style-src` does not concern; it makes no `<style>` element;
/// - images: icons in the style sheet are `data:` addresses, as is our empty favicon;
/// - connections: `openapi.json`, and the calls of "Try it out", all of this origin; the validator on the internet is
///   turned off in page.js.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What keeps other pages and hosts out of this one.
const SECURITY: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    // For browsers that don't know `frame-ancestors`.
    (header::X_FRAME_OPTIONS, "DENY"),
];

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// A file of the page.
struct File {
    name: &'static str,
    media_type: &'static str,
    content: &'static [u8],
}

const FILES: [File; 4] = [
    File {
        name: "swagger-ui-bundle.js",
        media_type: JAVASCRIPT,
        content: include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui-bundle.js")),
    },
    File {
        name: "swagger-ui.css",
        media_type: CSS,
        content: include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui.css")),
    },
    File { name: "page.js", media_type: JAVASCRIPT, content: include_bytes!("page.js") },
    File { name: "page.css", media_type: CSS, content: include_bytes!("page.css") },
];

/// The API's description as a page, to read and to try.
#[utoipa::path(
    get, path = "/docs", operation_id = "getDocs", tag = DOCUMENTATION,
    params(AnyHeaders), responses(Page)
)]
pub(super) async fn page(NoParameters: NoParameters) -> Response {
    let mut response = file(HTML, include_bytes!("page.html"), "no-cache");
    for (name, value) in SECURITY {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A file of the page.
#[utoipa::path(
    get, path = "/docs/{file}", operation_id = "getDocsFile", tag = DOCUMENTATION,
    params(("file" = inline(FileName), Path, description = "Which one."), AnyHeaders), responses(Part)
)]
pub(super) async fn part(FileName(index): FileName, NoParameters: NoParameters) -> Response {
    let File { media_type, content, .. } = &FILES[index];
    let mut response = file(media_type, content, "max-age=3600");
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn file(media_type: &'static str, content: &'static [u8], kept: &'static str) -> Response {
    let mut response = Response::new(Body::from(content));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    response
}

/// The `{file}` of a path: an index into [`FILES`].
pub(super) struct FileName(usize);

impl FromRequestParts<Arc<Api>> for FileName {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, api).await.map_err(|_| ApiError::NotFound)?;
        let name = params.iter().find_map(|(name, text)| (name == "file").then_some(text));
        FILES.iter().position(|file| Some(file.name) == name).map(Self).ok_or(ApiError::NotFound)
    }
}

impl PartialSchema for FileName {
    fn schema() -> RefOr<Schema> {
        let names = FILES.map(|file| file.name);
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(names))
            .examples([json!("page.js")])
            .into()
    }
}

impl ToSchema for FileName {}

/// A text that no program reads.
fn content() -> Content {
    ContentBuilder::new().schema(Some(Object::with_type(Type::String))).build()
}

struct Page;

impl IntoResponses for Page {
    fn responses() -> BTreeMap<String, RefOr<openapi::Response>> {
        Answers::of("The page", HTML, content())
            .header(content_security_policy())
            .header(cache_control())
            .errors(of_work())
            .build()
    }
}

struct Part;

impl IntoResponses for Part {
    fn responses() -> BTreeMap<String, RefOr<openapi::Response>> {
        Answers::of("The file", JAVASCRIPT, content())
            .or(CSS, content())
            .header(cache_control())
            .errors(of_work())
            .errors([ApiError::NotFound])
            .build()
    }
}
