//! The HTTP client of this program, with the TLS that its connections to PostgreSQL and NATS have too.

use std::error::Error;

/// A client yet to be set up. Whoever begins with the library's own builder instead finds no TLS there.
pub fn client() -> reqwest::ClientBuilder {
    // Fails if somebody was faster, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
}

/// What went wrong, with its causes; without the address, which may hold a secret.
#[must_use]
pub fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told = format!("{told}: {error}");
        cause = error.source();
    }
    told
}

/// The answer's body; none where it has more bytes than `max`.
///
/// # Errors
/// It broke off, or came too slowly.
pub async fn limited(mut response: reqwest::Response, max: usize) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > max {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}
