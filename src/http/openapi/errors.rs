//! What a call can be answered with: its success, and its errors by status.

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::link::LinkBuilder;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{OneOfBuilder, Type};
use utoipa::openapi::{Content, Object, Ref, RefOr, Response, Schema};

use super::headers::{self, Named};
use super::schema::{count, fixed, is_ok, list, object, of};
use crate::domain::payload::Fault;
use crate::domain::position::{Position, Version};
use crate::domain::status::Status;
use crate::http::error::{ApiError, Unavailable};

pub(super) const JSON: &str = "application/json";

/// The answers of one call, under their statuses.
pub(in crate::http) struct Answers {
    success: ResponseBuilder,
    errors: Vec<ApiError>,
    further: Vec<(&'static str, Response)>,
}

impl Answers {
    /// A success in JSON, of which `example` is a body.
    pub(in crate::http) fn ok(description: &str, body: impl Into<RefOr<Schema>>, example: Value) -> Self {
        let content = ContentBuilder::new().schema(Some(body.into())).example(Some(example)).build();
        Self::of(description, JSON, content)
    }

    /// A success in another media type.
    pub(in crate::http) fn of(description: &str, media_type: &str, content: Content) -> Self {
        let success = ResponseBuilder::new().description(description).content(media_type, content);
        Self { success, errors: Vec::new(), further: Vec::new() }
    }

    /// The same success, in a further media type.
    pub(in crate::http) fn or(mut self, media_type: &str, content: Content) -> Self {
        self.success = self.success.content(media_type, content);
        self
    }

    /// A header of the success.
    pub(in crate::http) fn header(mut self, (name, header): Named) -> Self {
        self.success = self.success.header(name, header);
        self
    }

    /// What can be called next, with the success's `vtid`.
    pub(in crate::http) fn link(mut self, name: &str, operation: &str, vtid: &str) -> Self {
        let link = LinkBuilder::new().operation_id(operation).parameter("vtid", vtid);
        self.success = self.success.link(name, link.build());
        self
    }

    /// Errors, besides those of every call.
    pub(in crate::http) fn errors(mut self, errors: impl IntoIterator<Item = ApiError>) -> Self {
        self.errors.extend(errors);
        self
    }

    /// An answer that is no [`ApiError`].
    pub(in crate::http) fn further(mut self, status: &'static str, response: Response) -> Self {
        self.further.push((status, response));
        self
    }

    /// Under their statuses.
    pub(in crate::http) fn build(mut self) -> BTreeMap<String, RefOr<Response>> {
        self.errors.extend([
            ApiError::InvalidQuery(vec![Fault::of_field("colour", "is not a known parameter")]),
            ApiError::MethodNotAllowed,
            ApiError::Internal,
        ]);
        let mut by_status: BTreeMap<u16, Vec<&ApiError>> = BTreeMap::new();
        for error in &self.errors {
            by_status.entry(error.name().0.as_u16()).or_default().push(error);
        }
        let errors = by_status.into_iter().map(|(status, errors)| (status.to_string(), of_status(&errors)));
        let further = self.further.into_iter().map(|(status, response)| (status.to_owned(), response));
        let all = errors.chain(further).chain([("200".to_owned(), self.success.build())]);
        all.map(|(status, mut response)| {
            let (name, header) = headers::request_id();
            response.headers.insert(name.to_owned(), RefOr::T(header));
            (status, response.into())
        })
        .collect()
    }
}

/// Of a call that is not looked at while too many are under way.
pub(in crate::http) fn of_work() -> [ApiError; 1] {
    [ApiError::Unavailable(Unavailable::Busy)]
}

/// Of a call with a body.
pub(in crate::http) fn of_bodies() -> [ApiError; 4] {
    [
        ApiError::InvalidPayload(vec![Fault::of_field("priority", "is not a known field")]),
        ApiError::RequestTimeout,
        ApiError::PayloadTooLarge,
        ApiError::UnsupportedMediaType("the content type must be application/json, its charset utf-8"),
    ]
}

/// Of a call that writes.
pub(in crate::http) fn of_writes() -> [ApiError; 4] {
    [
        ApiError::KeyReused,
        ApiError::Unavailable(Unavailable::NotWritten),
        ApiError::Unavailable(Unavailable::OutcomeUnknown),
        ApiError::Unavailable(Unavailable::LedgerBehind),
    ]
}

/// Of a call that reads.
pub(in crate::http) fn of_reads() -> [ApiError; 2] {
    [Unavailable::NoAnswer, Unavailable::ReadBehind].map(ApiError::Unavailable)
}

/// Of a call that shows the transparency log.
pub(in crate::http) fn of_audits() -> [ApiError; 3] {
    [
        ApiError::Absent("this ledger seals nothing: it was given no AUDIT_KEY"),
        ApiError::Unavailable(Unavailable::Busy),
        ApiError::Unavailable(Unavailable::NoAnswer),
    ]
}

/// Every error, once for each code.
fn all() -> Vec<ApiError> {
    let mut all = vec![
        ApiError::InvalidVtid,
        ApiError::InvalidQuery(Vec::new()),
        ApiError::VtidNotFound(Some(Position::ZERO)),
        ApiError::NotFound,
        ApiError::MethodNotAllowed,
        ApiError::VersionMismatch { current: Version::new(3) },
        ApiError::InvalidTransition { from: Status::Complete, to: Status::Active },
        ApiError::Internal,
    ];
    all.extend(of_bodies());
    all.extend(of_writes());
    all.extend(of_reads());
    all
}

/// The schemas of all errors; they are called as their codes are.
pub(super) fn named() -> BTreeMap<String, RefOr<Schema>> {
    let mut named: BTreeMap<_, _> =
        all().iter().map(|error| (name_of(error.name().2), schema(error))).collect();
    named.insert("Fault".to_owned(), fault());
    named
}

/// Errors of one status.
fn of_status(errors: &[&ApiError]) -> Response {
    let mut codes: Vec<&str> = errors.iter().map(|error| error.name().2).collect();
    codes.dedup();
    codes.sort_unstable();
    codes.dedup();
    let mut texts: Vec<&str> = errors.iter().map(|error| error.name().1).collect();
    texts.dedup();
    let description = texts.join(", or ");
    let schema: RefOr<Schema> = if let [code] = codes[..] {
        Ref::from_schema_name(name_of(code)).into()
    } else {
        let refs = codes.iter().map(|code| Ref::from_schema_name(name_of(code)));
        refs.fold(OneOfBuilder::new(), OneOfBuilder::item).into()
    };
    let mut response = ResponseBuilder::new().description(description);
    let example = errors.first().and_then(|error| serde_json::from_str(&error.body()).ok());
    response = response.content(JSON, ContentBuilder::new().schema(Some(schema)).example(example).build());
    let headers = errors.iter().filter_map(|error| match error {
        ApiError::Unavailable(_) => Some(headers::retry_after()),
        ApiError::MethodNotAllowed => Some(headers::allow()),
        ApiError::VtidNotFound(Some(_)) => Some(headers::position_shown()),
        ApiError::VersionMismatch { .. } => Some(headers::etag()),
        _ => None,
    });
    headers.fold(response, |response, (name, header)| response.header(name, header)).build()
}

fn schema(error: &ApiError) -> RefOr<Schema> {
    let detail = match error {
        ApiError::InvalidPayload(_) | ApiError::InvalidQuery(_) => {
            list(Ref::from_schema_name("Fault").into()).min_items(Some(1)).into()
        }
        ApiError::VersionMismatch { .. } => {
            let current = count().minimum(Some(1)).description(Some("The task's version."));
            object(vec![("current", current.into())], 1).into()
        }
        ApiError::InvalidTransition { .. } => {
            let fields = vec![
                ("from", of::<Status>()),
                ("to", of::<Status>()),
                ("allowed", list(of::<Status>()).into()),
            ];
            object(fields, 3).into()
        }
        ApiError::Internal => Object::with_type(Type::Null).into(),
        _ => text(),
    };
    let (_, error, code) = error.name();
    body(error, code, detail)
}

/// The body that every error has.
pub(super) fn body(error: &str, code: &str, detail: RefOr<Schema>) -> RefOr<Schema> {
    let fields =
        vec![("ok", is_ok(false)), ("error", fixed(error)), ("code", fixed(code)), ("detail", detail)];
    object(fields, 4).into()
}

fn fault() -> RefOr<Schema> {
    let fields = vec![("path", list(text()).into()), ("message", text())];
    let description = "What is wrong with one place: keys and array indexes from the body inwards (none: the body \
        itself), or the parameter's or header's name; and what it must be.";
    object(fields, 2).description(Some(description)).into()
}

pub(super) fn text() -> RefOr<Schema> {
    Object::with_type(Type::String).into()
}

/// `invalid_payload` is called `InvalidPayload`.
pub(super) fn name_of(code: &str) -> String {
    let capital = |word: &str| {
        let mut chars = word.chars();
        chars.next().map(|first| first.to_ascii_uppercase().to_string() + chars.as_str()).unwrap_or_default()
    };
    code.split('_').map(capital).collect()
}
