//! A request's body: JSON by its headers, bounded in size and time.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use mime::Mime;

use super::error::ApiError;
use super::headers::single;
use crate::domain::payload::Fault;

/// Bytes that a body may have.
pub(super) const BODY_BYTES_MAX: usize = 256 * 1024;

const NOT_JSON: &str = "the content type must be application/json, its charset utf-8";
const ENCODED: &str = "a body may not have a content encoding";

/// Reads a JSON body whole. In the contract's order: 415, then 413; also 408, where it does not come within
/// `timeout`, and 400, where it breaks off.
pub(super) async fn read_json(headers: &HeaderMap, body: Body, timeout: Duration) -> Result<Bytes, ApiError> {
    check_media_type(headers)?;
    if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err(ApiError::PayloadTooLarge);
    }
    let collected = tokio::time::timeout(timeout, Limited::new(body, BODY_BYTES_MAX).collect()).await;
    match collected.map_err(|_| ApiError::RequestTimeout)? {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::PayloadTooLarge),
        Err(error) => {
            tracing::debug!(cause = %error, "a body broke off");
            let message = "broke off, or is wrongly framed".to_owned();
            Err(ApiError::InvalidPayload(vec![Fault { path: Vec::new(), message }]))
        }
    }
}

fn check_media_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let encodings = headers.get_all(header::CONTENT_ENCODING);
    if encodings.iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(ApiError::UnsupportedMediaType(ENCODED));
    }
    match single(headers, &header::CONTENT_TYPE) {
        Ok(Some(value)) if value == "application/json" => Ok(()),
        Ok(Some(value)) if value.to_str().is_ok_and(is_json) => Ok(()),
        _ => Err(ApiError::UnsupportedMediaType(NOT_JSON)),
    }
}

fn is_json(content_type: &str) -> bool {
    let Ok(mime) = content_type.parse::<Mime>() else { return false };
    mime.essence_str() == "application/json"
        && mime.params().all(|(name, value)| name != mime::CHARSET || value == mime::UTF_8)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn refused(content_types: &[&'static str], encodings: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in content_types {
            headers.append(header::CONTENT_TYPE, HeaderValue::from_static(value));
        }
        for value in encodings {
            headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(value));
        }
        check_media_type(&headers).is_err()
    }

    #[test]
    fn json_under_every_spelling() {
        for content_type in [
            "application/json",
            "Application/JSON",
            "application/json;charset=utf-8",
            "application/json; charset=UTF-8",
            "application/json; charset=\"utf-8\"",
        ] {
            assert!(!refused(&[content_type], &[]), "{content_type}");
        }
        assert!(!refused(&["application/json"], &["identity"]));
    }

    #[test]
    fn everything_else_is_refused() {
        for content_type in [
            "",
            "application",
            "application/",
            "application/jsonp",
            "application/json5",
            "application/merge-patch+json",
            "application/x-www-form-urlencoded",
            "text/json",
            "application/json; charset=latin1",
            "application/json; charset=utf-16",
            "application/json, text/plain",
        ] {
            assert!(refused(&[content_type], &[]), "{content_type}");
        }
        assert!(refused(&[], &[]), "no content type");
        assert!(refused(&["application/json", "application/json"], &[]), "two content types");
        for encoding in ["gzip", "br", "deflate", "identity, gzip", "x"] {
            assert!(refused(&["application/json"], &[encoding]), "{encoding}");
        }
        assert!(refused(&["application/json"], &["identity", "gzip"]));
    }
}
