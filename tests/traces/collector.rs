//! A collector of traces, as the OTLP specification has it over HTTP: what it was sent can be looked at.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::support::eventually;

/// A finished span.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) trace: String,
    pub(super) id: String,
    /// Empty where it is the first of its trace.
    pub(super) parent: String,
    pub(super) kind: SpanKind,
    pub(super) began_ns: u64,
    pub(super) ended_ns: u64,
    pub(super) failed: bool,
    attributes: Vec<KeyValue>,
    resource: Vec<KeyValue>,
}

impl Seen {
    /// An attribute's text; empty where it is not there.
    pub(super) fn get(&self, key: &str) -> String {
        text(&self.attributes, key)
    }

    /// The same of the process that made it.
    pub(super) fn of_process(&self, key: &str) -> String {
        text(&self.resource, key)
    }

    /// How its trace and itself are named in a header.
    pub(super) fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.trace, self.id)
    }
}

/// For whoever runs the tests to see what a collector is sent.
impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let microseconds = (self.ended_ns - self.began_ns) / 1000;
        let parent = if self.parent.is_empty() { "none" } else { &self.parent };
        writeln!(f, "{:<17} {} parent {parent} trace {} {microseconds} us", self.name, self.id, self.trace)?;
        let told = self.attributes.iter().map(|one| format!("{}={}", one.key, self.get(&one.key)));
        write!(f, "    {}", told.collect::<Vec<_>>().join(" "))
    }
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|one| one.key == key).and_then(|one| one.value.clone());
    match found {
        None | Some(AnyValue { value: None }) => String::new(),
        Some(AnyValue { value: Some(Value::StringValue(text)) }) => text,
        Some(AnyValue { value: Some(Value::IntValue(number)) }) => number.to_string(),
        Some(other) => format!("{other:?}"),
    }
}

/// A running collector; it ends when dropped.
pub(super) struct Collector {
    pub(super) url: String,
    spans: Arc<Mutex<Vec<Seen>>>,
    serving: JoinHandle<()>,
}

impl Collector {
    /// At any free port.
    pub(super) async fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    pub(super) async fn start_at(address: SocketAddr) -> Self {
        let spans: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let kept = Arc::clone(&spans);
        let take = async move |headers: HeaderMap, body: Bytes| {
            assert_eq!(headers["content-type"], "application/x-protobuf");
            kept.lock().unwrap().extend(seen(ExportTraceServiceRequest::decode(body).unwrap()));
            ExportTraceServiceResponse::default().encode_to_vec()
        };
        let listener = TcpListener::bind(address).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/v1/traces", post(take));
        let serving = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let service = hyper_util::service::TowerToHyperService::new(router.clone());
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(hyper_util::rt::TokioIo::new(socket), service));
            }
        });
        Self { url, spans, serving }
    }

    pub(super) fn all(&self) -> Vec<Seen> {
        self.spans.lock().unwrap().clone()
    }

    /// The span of this name of which that is true, once it is there.
    pub(super) async fn span(&self, name: &str, is_it: impl Fn(&Seen) -> bool) -> Seen {
        eventually(&format!("the span {name}"), async || {
            self.all().into_iter().find(|span| span.name == name && is_it(span))
        })
        .await
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn seen(request: ExportTraceServiceRequest) -> Vec<Seen> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let mut all = Vec::new();
    for of_process in request.resource_spans {
        let resource = of_process.resource.unwrap_or_default().attributes;
        all.extend(of_process.scope_spans.into_iter().flat_map(|scope| scope.spans).map(|span| Seen {
            kind: span.kind(),
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            began_ns: span.start_time_unix_nano,
            ended_ns: span.end_time_unix_nano,
            failed: span.status.as_ref().is_some_and(|status| status.code == 2),
            name: span.name,
            attributes: span.attributes,
            resource: resource.clone(),
        }));
    }
    all
}
