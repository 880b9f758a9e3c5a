//! One line and one count a request, whatever became of it.

use std::sync::Arc;
use std::time::Instant;

use axum::body::HttpBody;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::Response;

use super::trace::RequestSpan;
use crate::domain::origin::Actor;
use crate::domain::text::ActorId;
use crate::telemetry::metrics::requests::RequestMetrics;

/// The route that answered, for the line; left in the answer by the router.
#[derive(Debug, Clone)]
pub(super) struct Route(pub(super) Arc<str>);

/// Who called, for the line; left in the answer by whoever let the request in.
#[derive(Debug, Clone)]
pub(super) struct CalledBy(Option<ActorId>);

impl CalledBy {
    /// The actor of a request that was let in.
    pub(super) fn of(request: &Request) -> Self {
        Self(request.extensions().get::<Actor>().map(|actor| actor.id.clone()))
    }
}

/// Counts the request, writes its line and ends its span when the answer is there, or when the caller went away before.
pub(super) struct AccessLog<'a> {
    method: Method,
    metrics: &'a RequestMetrics,
    span: RequestSpan,
    began: Instant,
    answered: bool,
}

impl<'a> AccessLog<'a> {
    pub(super) fn begin(method: Method, metrics: &'a RequestMetrics, span: RequestSpan) -> Self {
        Self { method, metrics, span, began: Instant::now(), answered: false }
    }

    pub(super) fn end(mut self, response: &Response) {
        self.answered = true;
        let route = response.extensions().get::<Route>().map(|route| &route.0);
        self.metrics.answered(&self.method, route, response.status(), self.began.elapsed());
        let route = route.map(|route| &**route);
        self.span.answered(&self.method, route, response.status());
        let route = route.unwrap_or_default();
        let bytes = response.body().size_hint().exact().unwrap_or_default();
        let caller = response.extensions().get::<CalledBy>().and_then(|caller| caller.0.as_ref());
        self.line(route, response.status(), bytes, caller.map(ActorId::as_str));
    }

    fn line(&self, route: &str, status: StatusCode, bytes: u64, actor: Option<&str>) {
        let duration_ms = duration_ms(self.began);
        tracing::info!(
            method = self.method.as_str(),
            route,
            status = status.as_u16(),
            duration_ms,
            bytes,
            actor,
            "request"
        );
    }
}

impl Drop for AccessLog<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.metrics.abandoned();
            self.span.abandoned();
            let duration_ms = duration_ms(self.began);
            tracing::info!(
                method = self.method.as_str(),
                duration_ms,
                "the caller went away before its answer"
            );
        }
    }
}

/// To the microsecond.
fn duration_ms(began: Instant) -> f64 {
    let micros = u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX);
    f64::from(micros) / 1000.0
}
