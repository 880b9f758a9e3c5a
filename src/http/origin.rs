//! Where a write comes from, as its events keep it.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};

use super::error::ApiError;
use super::trace::Traced;
use super::{headers, request_id};
use crate::domain::origin::{Actor, Origin, TraceParent};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The caller's trace; one that is malformed or repeated is ignored, as W3C Trace Context asks for.
pub(super) fn traceparent(headers: &HeaderMap) -> Option<TraceParent> {
    let value = headers::single(headers, &TRACEPARENT).ok()??;
    TraceParent::parse(value.to_str().ok()?)
}

/// The trace that the request's own span began, where traces are on.
fn own_trace(parts: &Parts) -> Option<TraceParent> {
    parts.extensions.get::<Traced>()?.traceparent.clone()
}

/// Taken from the request, and from what was found out about its caller.
pub(super) struct RequestOrigin(pub(super) Origin);

impl<S: Sync> FromRequestParts<S> for RequestOrigin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        // Nobody gets as far as here without.
        let Some(actor) = parts.extensions.remove::<Actor>() else {
            tracing::error!("a write was let in without an actor");
            return Err(ApiError::Internal);
        };
        Ok(Self(Origin {
            actor,
            request_id: request_id::of(&parts.headers),
            traceparent: traceparent(&parts.headers).or_else(|| own_trace(parts)),
            idempotency: None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_trace_is_taken_if_there_is_exactly_one_of_version_00() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let taken = |sent: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in sent {
                headers.append(TRACEPARENT, HeaderValue::from_static(value));
            }
            traceparent(&headers).map(|trace| trace.as_str().to_owned())
        };
        assert_eq!(taken(&[good]).as_deref(), Some(good));
        assert_eq!(taken(&[]), None);
        assert_eq!(taken(&["01-x"]), None);
        assert_eq!(taken(&[good, good]), None);
    }
}
