//! The HTTP API.
//!
//! [`App`] answers requests, [`serve`] has them come in. Routes are one file each; what they share: the way in
//! ([`path`], [`query`], [`reading`], [`writing`], [`body`], [`origin`]) and the way out ([`answer`], [`error`]).

mod accept;
mod access_log;
mod admission;
mod answer;
mod app;
mod body;
mod connection;
mod cors;
mod create;
mod docs;
mod entity_tag;
mod error;
mod events;
mod get;
mod headers;
mod health;
mod limits;
mod list;
mod metrics;
pub mod openapi;
mod origin;
mod patch;
mod path;
mod query;
mod rate;
mod reading;
pub mod ready;
mod request_id;
mod serve;
mod task_events;
#[cfg(test)]
mod tests;
mod tlog;
mod trace;
mod unavailable;
mod unread;
mod witness;
mod writing;

use std::sync::Arc;

use axum::Router;
use axum::response::Response;
use axum::routing::MethodRouter;
use tokio::sync::watch;
use tower::util::MapResponseLayer;
use utoipa::openapi::path::Paths;
use utoipa_axum::router::UtoipaMethodRouter;
use utoipa_axum::routes as routed;

use crate::auth::Auth;
use crate::clock::Clock;
use crate::history::History;
use crate::projections::read::Reader;
use crate::sealer::reader::AuditReader;
use crate::telemetry::metrics::requests::RequestMetrics;
use crate::telemetry::traces::Traces;
use crate::writer::handle::WriterHandle;
use access_log::Route;
use error::ApiError;

pub use app::App;
pub use cors::{MalformedOrigin, WebOrigin};
pub use limits::HttpLimits;
pub use metrics::metrics_app;
pub use rate::RateLimit;
pub use serve::serve;
pub use witness::witness_app;

/// What the API is made of.
pub struct Api {
    /// Where writes go.
    pub writer: WriterHandle,
    /// Where reads come from.
    pub reader: Reader,
    /// Where the past comes from.
    pub history: History,
    /// Where the transparency log comes from, if the ledger seals.
    pub audit: Option<AuditReader>,
    /// The time of day.
    pub clock: Clock,
    /// What the process knows of itself.
    pub readiness: watch::Receiver<ready::Readiness>,
    /// How callers are told apart.
    pub auth: Arc<Auth>,
    /// How much it takes on.
    pub limits: HttpLimits,
    /// Whose pages may read its answers.
    pub origins: Vec<WebOrigin>,
    /// Where requests are counted.
    pub metrics: RequestMetrics,
    /// Where spans are begun.
    pub traces: Traces,
}

const HEALTH: &str = "/vtid/health";
const READY: &str = "/readyz";

/// The contract's routes.
fn router(api: Arc<Api>) -> Router {
    let (router, _) = routes();
    closed(router).with_state(api)
}

/// Every route, and its description: each handler says its own path and method, so that neither can be without the
/// other.
fn routes() -> (Router<Arc<Api>>, Paths) {
    let mut described = Paths::new();
    let all: [UtoipaMethodRouter<Arc<Api>>; 16] = [
        routed!(create::create),
        routed!(list::list),
        routed!(get::get, patch::patch),
        routed!(task_events::task_events),
        routed!(events::events),
        routed!(health::health),
        routed!(ready::ready),
        routed!(openapi::openapi),
        routed!(docs::page),
        routed!(docs::part),
        routed!(tlog::checkpoint::checkpoint),
        routed!(tlog::tiles::tile),
        routed!(tlog::tiles::entries),
        routed!(tlog::consistency::consistency),
        routed!(tlog::proof::of_task),
        routed!(tlog::proof::of_event),
    ];
    let mut router = Router::new();
    for (_, paths, methods) in all {
        for path in paths.paths.keys() {
            // The document has no way to say that the rest of a path is meant, slashes and all.
            router = at(router, &path.replace("{number}", "{*number}"), methods.clone());
        }
        described.merge(paths);
    }
    (router, described)
}

/// Adds a route, whose answers bear its name for the log.
fn at<S: Clone + Send + Sync + 'static>(
    router: Router<S>,
    path: &str,
    methods: MethodRouter<S>,
) -> Router<S> {
    let name: Arc<str> = path.into();
    let named = MapResponseLayer::new(move |mut response: Response| {
        response.extensions_mut().insert(Route(Arc::clone(&name)));
        response
    });
    router.route(path, methods.layer(named))
}

/// Answers whatever no route takes.
fn closed<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .fallback(|| async { ApiError::NotFound })
}
