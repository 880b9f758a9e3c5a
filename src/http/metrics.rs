//! `GET /metrics`, on a listener of its own: it names tenants and task families, and asks for no token.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::{App, HttpLimits, at, closed};
use crate::auth::Auth;
use crate::telemetry::metrics::TEXT;
use crate::telemetry::metrics::requests::RequestMetrics;
use crate::telemetry::traces::Traces;

const METRICS: &str = "/metrics";

/// Longer than any pause between two scrapes, so that their connection stays.
const IDLE_MAX: Duration = Duration::from_mins(2);
/// A few Prometheus servers, and an operator with a terminal.
const CONNECTIONS_MAX: usize = 32;
/// A scrape is answered at once.
const GRACE: Duration = Duration::from_millis(100);

/// Answers `/metrics` with what `text` says then, and nothing else. Its own requests are not counted.
pub fn metrics_app(text: impl Fn() -> String + Clone + Send + Sync + 'static) -> App {
    let answer = move || std::future::ready(answer(text()));
    let limits = HttpLimits {
        connections_max: CONNECTIONS_MAX,
        requests_max: CONNECTIONS_MAX,
        head_read_timeout: IDLE_MAX,
        shutdown_grace: GRACE,
        ..HttpLimits::default()
    };
    let router = closed(at(Router::new(), METRICS, get(answer)));
    App::over(router, Arc::new(Auth::open()), limits, &[], RequestMetrics::default(), Traces::off())
}

fn answer(text: String) -> Response {
    let mut response = text.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(TEXT));
    response
}
