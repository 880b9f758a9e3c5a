//! Where a write comes from, as its events keep it.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};

use super::{headers, request_id};
use crate::domain::origin::{Actor, Origin, TraceParent};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The caller's trace; one that is malformed or repeated is ignored, as W3C Trace Context asks for.
fn traceparent(headers: &HeaderMap) -> Option<TraceParent> {
    let value = headers::single(headers, &TRACEPARENT).ok()??;
    TraceParent::parse(value.to_str().ok()?)
}

impl<S: Sync> FromRequestParts<S> for Origin {
    type Rejection = Infallible;

    /// Whoever calls is anonymous: this ledger asks for no token.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self {
            actor: Actor::anonymous(),
            request_id: request_id::of(&parts.headers),
            traceparent: traceparent(&parts.headers),
            idempotency: None,
        })
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
