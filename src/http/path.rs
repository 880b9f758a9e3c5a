//! The `{vtid}` of a path.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;

use super::error::ApiError;
use crate::domain::vtid::{ParsedVtid, Vtid};

/// The number that the path names.
#[derive(Debug, Clone, Copy)]
pub(super) struct PathVtid(pub(super) ParsedVtid);

impl<S: Send + Sync> FromRequestParts<S> for PathVtid {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        // The one rejection there is: percent-encoded bytes that are not UTF-8.
        let params =
            RawPathParams::from_request_parts(parts, state).await.map_err(|_| ApiError::InvalidVtid)?;
        let text = params.iter().find_map(|(name, text)| (name == "vtid").then_some(text));
        text.and_then(|text| Vtid::parse(text).ok()).map(Self).ok_or(ApiError::InvalidVtid)
    }
}
