//! An error of `JetStream`'s API, as it stands in an answer.

use async_nats::jetstream::ErrorCode;
use serde::Deserialize;

/// What `JetStream` says when it does not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, thiserror::Error)]
#[error("{description} (code {code}, error code {err_code})")]
pub(super) struct ApiError {
    code: u16,
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

impl ApiError {
    /// Whether it is this error.
    pub(super) fn is(&self, code: ErrorCode) -> bool {
        self.err_code == code.0
    }
}

/// An answer of the API.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Answer<T> {
    /// It did not do it.
    Refused {
        /// Why.
        error: ApiError,
    },
    /// It did.
    Done(T),
}
