//! What the document says about callers: the errors that tell who calls, or how often, and what is kept from those
//! whom the ledger does not know.

use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::OneOfBuilder;
use utoipa::openapi::{Ref, RefOr, Response, Schema};

use super::errors::{JSON, body, name_of, text};
use super::headers::{self, Named};
use crate::auth::verify::TokenFault;
use crate::http::error::ApiError;

/// An error that tells who calls, or how often: before the route is looked at.
struct OfCallers {
    error: ApiError,
    when: &'static str,
    /// Whether it takes tokens to come to pass.
    with_tokens: bool,
    header: Option<fn() -> Named>,
}

fn of_callers(tokens: bool) -> impl Iterator<Item = OfCallers> {
    let all = [
        OfCallers {
            error: ApiError::Unauthorized(TokenFault::Missing),
            when: "no token, or a bad one",
            with_tokens: true,
            header: Some(headers::www_authenticate),
        },
        OfCallers {
            error: ApiError::Forbidden(""),
            when: "not for this caller's role, nor, of a patch, for its tenant",
            with_tokens: true,
            header: None,
        },
        OfCallers {
            error: ApiError::TooManyRequests { retry_after_seconds: 1 },
            when: "the caller asks more often than it may",
            with_tokens: false,
            header: Some(headers::retry_after),
        },
    ];
    all.into_iter().filter(move |error| tokens || !error.with_tokens)
}

/// The schemas of these errors.
pub(super) fn named(tokens: bool) -> impl Iterator<Item = (String, RefOr<Schema>)> {
    of_callers(tokens).map(|OfCallers { error, .. }| {
        let (_, error, code) = error.name();
        (name_of(code), body(error, code, text()))
    })
}

/// The answers that a call has because of who calls, under their statuses.
pub(super) fn answers(tokens: bool) -> impl Iterator<Item = (String, RefOr<Response>)> {
    of_callers(tokens).map(|OfCallers { error, when, header, .. }| {
        let (status, error, code) = error.name();
        let schema = Ref::from_schema_name(name_of(code));
        let mut response = ResponseBuilder::new().description(format!("{error}: {when}"));
        response = response.content(JSON, ContentBuilder::new().schema(Some(schema)).build());
        let headers = header.map(|header| header()).into_iter().chain([headers::request_id()]);
        let response = headers.fold(response, |response, (name, header)| response.header(name, header));
        (status.as_u16().to_string(), response.build().into())
    })
}

/// What a caller that is not known is told less of: either of the two.
pub(super) fn or_less(response: &mut RefOr<Response>, less: &RefOr<Schema>) {
    let RefOr::T(response) = response else { return };
    for content in response.content.values_mut() {
        if let RefOr::T(content) = content {
            let whole = content.schema.take().into_iter();
            content.schema =
                Some(whole.chain([less.clone()]).fold(OneOfBuilder::new(), OneOfBuilder::item).into());
        }
    }
}

/// The body of an unready process, for a caller that is not known.
pub(super) fn not_ready_less() -> RefOr<Schema> {
    body("Unavailable", "unavailable", text())
}
