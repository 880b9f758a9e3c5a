//! Asking the address once.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Url;

use crate::fetch;

/// How long one fetch may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes that a set may have.
const SET_BYTES_MAX: usize = 256 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// No connection, no certificate, or out of time. Without the address, which may hold a secret.
    #[error("no answer: {0}")]
    Http(String),
    /// A redirection, too: whoever signs in for callers is not to be found by hearsay.
    #[error("the answer was {0}")]
    Status(reqwest::StatusCode),
    /// More than any set has.
    #[error("the answer has more than {SET_BYTES_MAX} bytes")]
    TooLarge,
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> Self {
        Self::Http(fetch::told(error))
    }
}

/// The client for `url`.
///
/// # Errors
/// The machine has no certificates, say.
pub(super) fn client(url: &Url) -> Result<reqwest::Client, reqwest::Error> {
    fetch::client()
        .timeout(TIMEOUT)
        .https_only(url.scheme() == "https")
        .redirect(reqwest::redirect::Policy::none())
        .build()
}

/// What the address says.
pub(super) async fn fetch(client: &reqwest::Client, url: &Url) -> Result<Bytes, FetchError> {
    let response = client.get(url.clone()).header("accept", "application/json").send().await?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(FetchError::Status(response.status()));
    }
    let body = fetch::limited(response, SET_BYTES_MAX).await?;
    body.map(Bytes::from).ok_or(FetchError::TooLarge)
}
