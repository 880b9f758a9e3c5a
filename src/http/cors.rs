//! Pages of other origins (CORS): none may read answers, unless they are listed.

use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::response::Response;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::answer::LEDGER_POSITION;
use super::reading::LEDGER_MIN_POSITION;
use super::request_id::X_REQUEST_ID;
use super::writing::{IDEMPOTENCY_KEY, IDEMPOTENCY_REPLAYED};

/// How long a browser may remember what it was told.
const MAX_AGE: Duration = Duration::from_mins(10);

/// An origin, such as `https://app.example.org`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebOrigin(HeaderValue);

/// Not an origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an origin: it must be a scheme and a host, such as https://app.example.org")]
pub struct MalformedOrigin(String);

impl WebOrigin {
    /// Reads what a browser would send for a page: scheme, host, and the port if it is not the scheme's own.
    ///
    /// # Errors
    /// [`MalformedOrigin`], also for `*` and `null`: list who may read, or nobody.
    pub fn parse(text: &str) -> Result<Self, MalformedOrigin> {
        let malformed = || MalformedOrigin(text.to_owned());
        let url = reqwest::Url::parse(text).map_err(|_| malformed())?;
        let printed = url.origin().ascii_serialization();
        if !matches!(url.scheme(), "http" | "https") || printed != text || text.contains('*') {
            return Err(malformed());
        }
        HeaderValue::try_from(printed).map(Self).map_err(|_| malformed())
    }
}

/// Answers browsers on behalf of listed origins.
#[derive(Clone)]
pub(super) struct Cors(Option<CorsLayer>);

impl Cors {
    /// For these origins; for none, nothing is said at all.
    pub(super) fn new(origins: &[WebOrigin]) -> Self {
        if origins.is_empty() {
            return Self(None);
        }
        let listed = origins.iter().map(|origin| origin.0.clone());
        let layer = CorsLayer::new()
            .allow_origin(AllowOrigin::list(listed))
            .allow_methods([Method::GET, Method::POST, Method::PATCH])
            .allow_headers([
                header::AUTHORIZATION,
                header::CONTENT_TYPE,
                header::IF_MATCH,
                header::IF_NONE_MATCH,
                IDEMPOTENCY_KEY,
                LEDGER_MIN_POSITION,
                X_REQUEST_ID,
                HeaderName::from_static("traceparent"),
            ])
            .expose_headers([
                LEDGER_POSITION,
                IDEMPOTENCY_REPLAYED,
                X_REQUEST_ID,
                header::ETAG,
                header::LOCATION,
                header::RETRY_AFTER,
                header::WWW_AUTHENTICATE,
            ])
            .max_age(MAX_AGE);
        Self(Some(layer))
    }

    /// Answers a preflight by itself; everything else by `inner`, with what a browser needs to let its page read it.
    pub(super) async fn around<F>(&self, request: Request, inner: impl Fn(Request) -> F + Clone) -> Response
    where
        F: Future<Output = Response> + Send,
    {
        let layer = self.0.as_ref().filter(|_| request.method() != Method::OPTIONS || is_preflight(&request));
        let Some(layer) = layer else { return inner(request).await };
        let mut around = layer.layer(service_fn(|request| {
            let answered = inner(request);
            async { Ok::<_, std::convert::Infallible>(answered.await) }
        }));
        match around.ready().await {
            Ok(service) => match service.call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            },
            Err(never) => match never {},
        }
    }
}

fn is_preflight(request: &Request) -> bool {
    let headers = request.headers();
    headers.contains_key(header::ORIGIN) && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_listed_as_browsers_send_them() {
        for good in
            ["https://app.example.org", "http://localhost:3000", "http://127.0.0.1:8080", "https://[::1]:8"]
        {
            assert!(WebOrigin::parse(good).is_ok(), "{good}");
        }
        for wrong in [
            "",
            "*",
            "null",
            "app.example.org",
            "https://app.example.org/",
            "https://app.example.org:443",
            "https://App.example.org",
            "https://*.example.org",
            "https://user@app.example.org",
            "file:///tmp",
            "ftp://example.org",
        ] {
            assert!(WebOrigin::parse(wrong).is_err(), "{wrong}");
        }
    }
}
