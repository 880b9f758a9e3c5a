//! Every way in which a request can fail, and how the caller is told.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::answer;
pub(super) use super::unavailable::Unavailable;
use crate::auth::AuthError;
use crate::auth::verify::TokenFault;
use crate::domain::decide::Refusal;
use crate::domain::json::{Json, ObjectWriter};
use crate::domain::payload::Fault;
use crate::domain::position::{Position, Version};
use crate::domain::status::Status;
use crate::domain::vtid::MalformedVtid;
use crate::writer::answer::WriteError;

/// Why a request is not answered as it wished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ApiError {
    /// 400: the body, with every fault of it.
    InvalidPayload(Vec<Fault>),
    /// 400: the number in the path.
    InvalidVtid,
    /// 400: parameters, or the header that goes with them; with every fault.
    InvalidQuery(Vec<Fault>),
    /// 401: it is not known who calls.
    Unauthorized(TokenFault),
    /// 403: this caller may not, and why.
    Forbidden(&'static str),
    /// 404: no such task; a read also says up to which position it looked.
    VtidNotFound(Option<Position>),
    /// 404: no such route.
    NotFound,
    /// 404: the route is there, what it was asked for is not, and why.
    Absent(&'static str),
    /// 405: the route has other methods; the router adds `Allow`.
    MethodNotAllowed,
    /// 408: the body came too slowly.
    RequestTimeout,
    /// 409: the status may not go there.
    InvalidTransition {
        /// The task's status.
        from: Status,
        /// What was asked for.
        to: Status,
    },
    /// 412: the task is of another version than the caller expects.
    VersionMismatch {
        /// The task's version.
        current: Version,
    },
    /// 413: the body is too large.
    PayloadTooLarge,
    /// 415: the body is not JSON, and why.
    UnsupportedMediaType(&'static str),
    /// 422: the idempotency key came with another request before.
    KeyReused,
    /// 429: the caller asks more often than it may.
    TooManyRequests {
        /// When the next request will be let in.
        retry_after_seconds: u64,
    },
    /// 503: try again.
    Unavailable(Unavailable),
    /// 500: a bug; whoever finds it logs the cause.
    Internal,
}

impl ApiError {
    /// Status, the contract's fixed text, and the code.
    pub(super) const fn name(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::InvalidPayload(_) => (StatusCode::BAD_REQUEST, "Invalid payload", "invalid_payload"),
            Self::InvalidVtid => (StatusCode::BAD_REQUEST, "Invalid VTID format", "invalid_vtid"),
            Self::InvalidQuery(_) => (StatusCode::BAD_REQUEST, "Invalid query", "invalid_query"),
            Self::Unauthorized(_) => (StatusCode::UNAUTHORIZED, "Unauthorized", "unauthorized"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "Forbidden", "forbidden"),
            Self::VtidNotFound(_) => (StatusCode::NOT_FOUND, "VTID not found", "vtid_not_found"),
            Self::NotFound | Self::Absent(_) => (StatusCode::NOT_FOUND, "Not found", "not_found"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", "method_not_allowed")
            }
            Self::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, "Request timeout", "request_timeout"),
            Self::InvalidTransition { .. } => {
                (StatusCode::CONFLICT, "Invalid status transition", "invalid_transition")
            }
            Self::VersionMismatch { .. } => {
                (StatusCode::PRECONDITION_FAILED, "Version mismatch", "version_mismatch")
            }
            Self::PayloadTooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "Payload too large", "payload_too_large")
            }
            Self::UnsupportedMediaType(_) => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported media type", "unsupported_media_type")
            }
            Self::KeyReused => {
                (StatusCode::UNPROCESSABLE_ENTITY, "Idempotency key reused", "idempotency_key_reused")
            }
            Self::TooManyRequests { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "Too many requests", "too_many_requests")
            }
            Self::Unavailable(why) => (StatusCode::SERVICE_UNAVAILABLE, "Unavailable", why.code()),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "Internal error", "internal_error"),
        }
    }

    /// The answer's body.
    pub(super) fn body(&self) -> String {
        let (_, error, code) = self.name();
        error_body(error, code, |object| self.write_detail(object))
    }

    fn write_detail(&self, error: &mut ObjectWriter) {
        match self {
            Self::InvalidPayload(faults) | Self::InvalidQuery(faults) => {
                error.raw("detail", &print_faults(faults));
            }
            Self::InvalidVtid => error.string("detail", &MalformedVtid.to_string()),
            Self::Unauthorized(fault) => error.string("detail", &fault.to_string()),
            Self::VtidNotFound(_) => error.string("detail", "no task has this VTID"),
            Self::NotFound => error.string("detail", "no such route"),
            Self::MethodNotAllowed => error.string("detail", "the Allow header names this route's methods"),
            Self::RequestTimeout => error.string("detail", "the request's body came too slowly"),
            Self::InvalidTransition { from, to } => {
                let allowed = from.allowed().iter().map(|status| Json::String(status.to_string())).collect();
                error.object("detail", |detail| {
                    detail.string("from", from.as_str());
                    detail.string("to", to.as_str());
                    detail.json("allowed", &Json::Array(allowed));
                });
            }
            Self::VersionMismatch { current } => {
                error.object("detail", |detail| detail.number("current", current.get()));
            }
            Self::PayloadTooLarge => error.string("detail", "a body may have 256 KiB at most"),
            Self::Forbidden(why) | Self::UnsupportedMediaType(why) | Self::Absent(why) => {
                error.string("detail", why);
            }
            Self::KeyReused => error.string("detail", "this key was used for another request"),
            Self::TooManyRequests { .. } => {
                error.string(
                    "detail",
                    "you ask more often than you may; the Retry-After header says when to ask again",
                );
            }
            Self::Unavailable(why) => error.string("detail", why.detail()),
            Self::Internal => error.null("detail"),
        }
    }
}

/// A list of faults as the contract prints it.
fn print_faults(faults: &[Fault]) -> String {
    let mut list = String::with_capacity(64 * faults.len() + 2);
    list.push('[');
    for (index, fault) in faults.iter().enumerate() {
        if index > 0 {
            list.push(',');
        }
        let mut item = ObjectWriter::new(&mut list);
        item.json("path", &Json::Array(fault.path.iter().cloned().map(Json::String).collect()));
        item.string("message", &fault.message);
        item.finish();
    }
    list.push(']');
    list
}

/// The body of every error, `detail` filled in by `write_detail`.
pub(super) fn error_body(error: &str, code: &str, write_detail: impl FnOnce(&mut ObjectWriter)) -> String {
    let mut body = String::with_capacity(160);
    let mut object = ObjectWriter::new(&mut body);
    object.raw("ok", "false");
    object.string("error", error);
    object.string("code", code);
    write_detail(&mut object);
    object.finish();
    body
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = answer::json(self.name().0, self.body());
        match self {
            Self::Unauthorized(fault) => {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge(&fault));
            }
            Self::TooManyRequests { retry_after_seconds } => {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after_seconds));
            }
            Self::Unavailable(why) => {
                let seconds = HeaderValue::from_static(why.retry_after_seconds());
                response.headers_mut().insert(header::RETRY_AFTER, seconds);
            }
            Self::VtidNotFound(Some(position)) => answer::show_position(&mut response, position),
            Self::VersionMismatch { current } => answer::show_version(&mut response, current),
            _ => {}
        }
        response
    }
}

/// What a 401 says in its header (RFC 6750, 3).
fn challenge(fault: &TokenFault) -> HeaderValue {
    const REALM: &str = "Bearer realm=\"vtid-ledger\"";
    let text = match fault {
        // Nothing that could be looked at.
        TokenFault::Missing | TokenFault::NotBearer => None,
        fault => {
            answer::header_value(format!("{REALM}, error=\"invalid_token\", error_description=\"{fault}\""))
        }
    };
    text.unwrap_or(HeaderValue::from_static(REALM))
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Token(fault) => Self::Unauthorized(fault),
            AuthError::KeysAway => Self::Unavailable(Unavailable::KeysAway),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let of_field =
            |field: &str, fault: &Refusal| Self::InvalidPayload(vec![Fault::of_field(field, fault)]);
        match refusal {
            Refusal::Payload(faults) => Self::InvalidPayload(faults),
            Refusal::TaskNotFound => Self::VtidNotFound(None),
            Refusal::OtherTenant => Self::Forbidden("only tasks of your own tenant may be patched"),
            Refusal::VersionMismatch { current } => Self::VersionMismatch { current },
            Refusal::UnknownParent => of_field("parentVtid", &refusal),
            Refusal::Metadata(_) => of_field("metadata", &refusal),
            Refusal::InvalidTransition { from, to } => Self::InvalidTransition { from, to },
        }
    }
}

impl From<WriteError> for ApiError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Refused(refusal) => refusal.into(),
            WriteError::KeyReused => Self::KeyReused,
            WriteError::Unavailable => Self::Unavailable(Unavailable::NotWritten),
            WriteError::OutcomeUnknown => Self::Unavailable(Unavailable::OutcomeUnknown),
            WriteError::LedgerBehind => Self::Unavailable(Unavailable::LedgerBehind),
            WriteError::Internal => {
                tracing::error!(cause = %error, "a write failed");
                Self::Internal
            }
        }
    }
}
