//! What surrounds each request: its id, its log line, the limit on how many run, who calls, and panics.

use std::any::Any;
use std::future::Future;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use hyper::body::Incoming;
use tokio::sync::{Semaphore, SemaphorePermit};
use tower::Service;
use tracing::Instrument;

use super::access_log::{AccessLog, CalledBy};
use super::admission::{Peer, admit};
use super::cors::{Cors, WebOrigin};
use super::error::{ApiError, Unavailable};
use super::limits::HttpLimits;
use super::rate::RateLimiter;
use super::request_id::{self, X_REQUEST_ID};
use super::trace::RequestSpan;
use super::unread::Unread;
use super::{Api, router};
use crate::auth::Auth;
use crate::telemetry::metrics::requests::RequestMetrics;
use crate::telemetry::traces::Traces;

/// The HTTP API, ready to be served: cheap to clone.
#[derive(Clone)]
pub struct App {
    shared: Arc<Shared>,
}

struct Shared {
    router: Router,
    auth: Arc<Auth>,
    rate: RateLimiter,
    cors: Cors,
    /// One permit for each request under way.
    places: Semaphore,
    limits: HttpLimits,
    metrics: RequestMetrics,
    traces: Traces,
}

impl App {
    /// The API over its parts.
    #[must_use]
    pub fn new(api: Api) -> Self {
        let (auth, limits, origins) = (Arc::clone(&api.auth), api.limits.clone(), api.origins.clone());
        let (metrics, traces) = (api.metrics.clone(), api.traces.clone());
        Self::over(router(Arc::new(api)), auth, limits, &origins, metrics, traces)
    }

    pub(super) fn over(
        router: Router,
        auth: Arc<Auth>,
        limits: HttpLimits,
        origins: &[WebOrigin],
        metrics: RequestMetrics,
        traces: Traces,
    ) -> Self {
        let places = Semaphore::new(limits.requests_max);
        let (rate, cors) = (RateLimiter::new(limits.rate), Cors::new(origins));
        Self { shared: Arc::new(Shared { router, auth, rate, cors, places, limits, metrics, traces }) }
    }

    /// For the requests of one connection.
    pub(super) fn for_peer(&self, peer: IpAddr) -> OfPeer {
        OfPeer { app: self.clone(), peer: Peer(peer) }
    }

    pub(super) fn limits(&self) -> &HttpLimits {
        &self.shared.limits
    }

    /// Answers one request; never fails, whatever becomes of the handler.
    pub async fn answer(&self, mut request: Request) -> Response {
        let id = request_id::assign(request.headers_mut());
        let traced = RequestSpan::begin(&self.shared.traces, &mut request);
        // At the level of errors, so that it is there whichever lines are wanted.
        let request_id = id.to_str().unwrap_or_default();
        let span = if let Some(trace_id) = traced.trace_id() {
            tracing::error_span!("request", request_id, trace_id)
        } else {
            tracing::error_span!("request", request_id)
        };
        let answered = async {
            let log = AccessLog::begin(request.method().clone(), &self.shared.metrics, traced);
            let (request, unread) = Unread::watch(request);
            let mut response = self.shared.cors.around(request, |request| self.let_in(request)).await;
            response.headers_mut().insert(X_REQUEST_ID, id);
            unread.tell(&mut response);
            log.end(&response);
            response
        };
        answered.instrument(span).await
    }

    async fn let_in(&self, request: Request) -> Response {
        let _place = match self.shared.place(request.uri().path()) {
            Ok(place) => place,
            Err(busy) => return busy.into_response(),
        };
        match AssertUnwindSafe(self.route(request)).catch_unwind().await {
            Ok(response) => response,
            Err(panic) => {
                tracing::error!(cause = message_of(panic.as_ref()), "a request's handler panicked");
                ApiError::Internal.into_response()
            }
        }
    }

    async fn route(&self, mut request: Request) -> Response {
        if let Err(refused) = admit(&self.shared.auth, &self.shared.rate, &mut request).await {
            return refused.into_response();
        }
        let called_by = CalledBy::of(&request);
        let mut response = match self.shared.router.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        response.extensions_mut().insert(called_by);
        response
    }
}

impl Shared {
    /// A place among the requests under way; whoever watches this process needs none.
    fn place(&self, path: &str) -> Result<Option<SemaphorePermit<'_>>, ApiError> {
        if matches!(path, super::HEALTH | super::READY) {
            return Ok(None);
        }
        self.places.try_acquire().map(Some).map_err(|_| ApiError::Unavailable(Unavailable::Busy))
    }
}

fn message_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// The API for one connection.
pub(super) struct OfPeer {
    app: App,
    peer: Peer,
}

impl hyper::service::Service<hyper::Request<Incoming>> for OfPeer {
    type Response = Response;
    type Error = std::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Self::Error>> + Send>>;

    fn call(&self, request: hyper::Request<Incoming>) -> Self::Future {
        let (app, mut request) = (self.app.clone(), request.map(axum::body::Body::new));
        request.extensions_mut().insert(self.peer);
        Box::pin(async move { Ok(app.answer(request).await) })
    }
}
