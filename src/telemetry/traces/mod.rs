//! Traces, sent by OTLP to a collector: off, at no cost, unless the standard variables name one ([`settings`]).
//!
//! A request's span has the append of its events as a child; the publish of each event, perhaps minutes later and by
//! another process, belongs to the trace that the event bears. Finished spans wait in a bounded queue for a thread of the
//! SDK's, and are dropped where it is full: nobody waits for a collector.

mod context;
mod export;
mod settings;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanKind, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};

pub(crate) use context::{context_of, traceparent_of};
use export::Client;
use settings::Settings;
pub use settings::TraceSettingError;

/// The service's name where `OTEL_SERVICE_NAME` says nothing else, and the name of the scope.
const NAME: &str = "vtid-ledger";
/// At the process's end, so long is waited for the collector to take what is left.
const FLUSH_PATIENCE: Duration = Duration::from_secs(1);

/// Why no traces can be sent as asked for.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// A variable.
    #[error(transparent)]
    Setting(#[from] TraceSettingError),
    /// The exporter refuses one.
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT and its kind: {0}")]
    Exporter(#[from] ExporterBuildError),
    /// The machine has no certificates, say.
    #[error("the client for OTEL_EXPORTER_OTLP_ENDPOINT: {0}")]
    Client(#[from] reqwest::Error),
}

/// Makes spans, if traces are on: cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Arc<On>>);

#[derive(Debug)]
struct On {
    tracer: SdkTracer,
    provider: SdkTracerProvider,
}

impl Traces {
    /// None are made.
    #[must_use]
    pub fn off() -> Self {
        Self::default()
    }

    /// As the process's environment says. To be called within the runtime, by whose client they are sent.
    ///
    /// # Errors
    /// [`TraceError`], naming the variable.
    pub fn from_environment() -> Result<Self, TraceError> {
        let Some(settings) = Settings::read(|name| std::env::var(name).ok())? else { return Ok(Self::off()) };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_timeout(settings.timeout)
            .with_http_client(Client::new(settings.timeout)?)
            .build()?;
        let resource =
            Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        let resource = if settings.service_named { resource } else { resource.with_service_name(NAME) };
        // Sampler, limits and queue are the SDK's, by their standard variables.
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.build())
            .build();
        tracing::info!("traces are sent by OTLP");
        Ok(Self(Some(Arc::new(On { tracer: provider.tracer(NAME), provider }))))
    }

    /// Whether any are made.
    #[must_use]
    pub fn are_on(&self) -> bool {
        self.0.is_some()
    }

    /// Begins a span, of a new trace where there is no parent.
    pub(crate) fn begin(
        &self,
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        parent: Option<SpanContext>,
    ) -> Option<Span> {
        self.0.as_deref().map(|on| on.begin(SpanBuilder::from_name(name).with_kind(kind), parent))
    }

    /// Begins spans below this one later, elsewhere.
    pub(crate) fn below(&self, parent: SpanContext) -> Option<Below> {
        Some(Below { on: Arc::clone(self.0.as_ref()?), parent })
    }

    /// Sends what is left, for a second at most; what is made afterwards is lost.
    pub async fn stop(&self) {
        let Some(on) = self.0.clone() else { return };
        let (done, stopped) = tokio::sync::oneshot::channel();
        // On a thread that the runtime does not wait for, and not one of its own: they send the last spans.
        std::thread::spawn(move || {
            // It has said itself what it could not send.
            let _ = on.provider.shutdown_with_timeout(FLUSH_PATIENCE);
            let _ = done.send(());
        });
        if tokio::time::timeout(FLUSH_PATIENCE * 2, stopped).await.is_err() {
            tracing::warn!("the collector of traces does not take the last ones");
        }
    }
}

impl On {
    fn begin(&self, span: SpanBuilder, parent: Option<SpanContext>) -> Span {
        let context =
            parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
        self.tracer.build_with_context(span, &context)
    }
}

/// A span that others will be below.
#[derive(Debug, Clone)]
pub struct Below {
    on: Arc<On>,
    parent: SpanContext,
}

impl Below {
    /// A span of this process that began then; none if this trace is not sampled.
    pub(crate) fn began(&self, name: &'static str, kind: SpanKind, began: Instant) -> Option<Span> {
        if !self.parent.is_sampled() {
            return None;
        }
        let began = wall().checked_sub(began.elapsed()).unwrap_or_else(wall);
        let span = SpanBuilder::from_name(name).with_kind(kind).with_start_time(began);
        Some(self.on.begin(span, Some(self.parent.clone())))
    }
}

/// The machine's time, as the SDK reads it for all other spans.
#[expect(
    clippy::disallowed_methods,
    reason = "what spans bear decides nothing, and the SDK's other times are of this clock"
)]
fn wall() -> SystemTime {
    SystemTime::now()
}

/// How long ago an event was recorded, for whoever decides whether it is news.
pub(crate) fn age_of(recorded_at: crate::domain::time::Timestamp) -> Duration {
    let recorded_ms = u64::try_from(recorded_at.millis()).unwrap_or(0);
    wall().duration_since(SystemTime::UNIX_EPOCH + Duration::from_millis(recorded_ms)).unwrap_or_default()
}
