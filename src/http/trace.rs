//! A request's span, where traces are on: begun with the request, ended with its access log's line.

use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode};
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, SpanContext, SpanKind, Status};
use opentelemetry_sdk::trace::Span;

use super::origin::traceparent;
use super::{HEALTH, READY, request_id};
use crate::domain::origin::TraceParent;
use crate::telemetry::traces::{Below, Traces, context_of, traceparent_of};

/// What handlers may know of their request's span; left in the request.
#[derive(Debug, Clone)]
pub(super) struct Traced {
    /// For an event whose caller sent no trace of its own.
    pub(super) traceparent: Option<TraceParent>,
    /// Spans below this one.
    pub(super) below: Option<Below>,
}

/// The span; nothing at all where traces are off.
#[derive(Debug)]
pub(super) struct RequestSpan(Option<Span>);

impl RequestSpan {
    /// Begins the span of a request, below the caller's if it names one. Whoever watches this process has none.
    pub(super) fn begin(traces: &Traces, request: &mut Request) -> Self {
        if !traces.are_on() || matches!(request.uri().path(), HEALTH | READY) {
            return Self(None);
        }
        let method = known(request.method());
        let Some(mut span) = traces.begin(method, SpanKind::Server, parent(request.headers())) else {
            return Self(None);
        };
        span.set_attributes([
            KeyValue::new("http.request.method", method),
            KeyValue::new("url.scheme", "http"),
            KeyValue::new("vtid_ledger.request_id", request_id::of(request.headers()).to_string()),
        ]);
        if span.is_recording() {
            span.set_attribute(KeyValue::new("url.path", request.uri().path().to_owned()));
        }
        let context = span.span_context();
        let left = Traced { traceparent: traceparent_of(context), below: traces.below(context.clone()) };
        request.extensions_mut().insert(left);
        Self(Some(span))
    }

    /// The trace's id, for the log.
    pub(super) fn trace_id(&self) -> Option<String> {
        self.0.as_ref().map(|span| span.span_context().trace_id().to_string())
    }

    /// The answer is there.
    pub(super) fn answered(&mut self, method: &Method, route: Option<&str>, status: StatusCode) {
        let Some(span) = &mut self.0 else { return };
        if let Some(route) = route {
            span.update_name(format!("{} {route}", known(method)));
            span.set_attribute(KeyValue::new("http.route", route.to_owned()));
        }
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
        if status.is_server_error() {
            span.set_attribute(KeyValue::new("error.type", status.as_str().to_owned()));
            span.set_status(Status::error(""));
        }
        span.end();
    }

    /// The caller went away before.
    pub(super) fn abandoned(&mut self) {
        let Some(span) = &mut self.0 else { return };
        span.set_status(Status::error("the caller went away before its answer"));
        span.end();
    }
}

fn parent(headers: &HeaderMap) -> Option<SpanContext> {
    context_of(&traceparent(headers)?)
}

/// As OpenTelemetry's conventions ask for: whatever a caller makes up is one name.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "_OTHER",
    }
}
