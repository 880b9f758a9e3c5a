//! The transparency log, served as C2SP's `tlog-tiles` has it, and proofs from it (`tlog-proof`).
//!
//! Checkpoint, tiles of hashes and consistency proofs are for anybody, without a token: clients of such logs send none,
//! and a hash of a record, which holds a random id, tells nothing of it. What holds records needs a token as every read
//! does.

pub(super) mod checkpoint;
pub(super) mod consistency;
mod path;
pub(super) mod proof;
pub(super) mod tiles;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::Api;
use super::error::{ApiError, Unavailable};
use crate::sealer::reader::{AuditFailure, AuditReader};

const TILES: &str = "/tlog/tile/";
const ENTRIES: &str = "/tlog/tile/entries/";
/// Of text that programs outside may read.
const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";

/// Whether anybody may ask for the path.
pub(super) fn is_public(path: &str) -> bool {
    match path {
        "/tlog/checkpoint" | "/tlog/consistency" => true,
        path => path.starts_with(TILES) && !path.starts_with(ENTRIES),
    }
}

fn audit(api: &Api) -> Result<&AuditReader, ApiError> {
    api.audit.as_ref().ok_or(ApiError::Absent("this ledger seals nothing: it was given no AUDIT_KEY"))
}

/// An answer in another form than JSON, and how it may be kept.
fn kept(media_type: &'static str, how_long: &'static str, body: impl Into<axum::body::Body>) -> Response {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(how_long));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// What is not there yet may be there in a second, whatever a cache makes of a 404.
fn or_uncached(answered: Result<Response, ApiError>) -> Response {
    answered.unwrap_or_else(|error| {
        let mut response = error.into_response();
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    })
}

impl From<AuditFailure> for ApiError {
    fn from(failure: AuditFailure) -> Self {
        match failure {
            AuditFailure::NothingSealed => Self::Absent("nothing was sealed yet"),
            AuditFailure::NotInTree => Self::Absent("the newest signed tree does not hold this"),
            AuditFailure::NoTask => Self::VtidNotFound(None),
            AuditFailure::NoEvent => Self::Absent("there is no such event"),
            AuditFailure::Busy => Self::Unavailable(Unavailable::Busy),
            AuditFailure::NotSealed => Self::Unavailable(Unavailable::NotSealed),
            AuditFailure::Unavailable(_) => {
                tracing::warn!(cause = %failure, "a read failed");
                Self::Unavailable(Unavailable::NoAnswer)
            }
            AuditFailure::Damaged(_) => {
                tracing::error!(cause = %failure, "a read failed");
                Self::Internal
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_records_is_not_for_anybody() {
        for path in ["/tlog/checkpoint", "/tlog/consistency", "/tlog/tile/0/000", "/tlog/tile/1/x001/000.p/7"]
        {
            assert!(is_public(path), "{path}");
        }
        for path in [
            "/tlog/tile/entries/000",
            "/tlog/tile/entries/x001/000.p/7",
            "/vtid/VTID-2026-0001/proof",
            "/events/1/proof",
            "/tlog/checkpoint/",
            "/tlog/tile",
            "//tlog/tile/0/000",
            "/vtid/list",
        ] {
            assert!(!is_public(path), "{path}");
        }
    }
}
