//! `GET /vtid/health`: the process is up.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use utoipa::openapi::RefOr;
use utoipa::{IntoResponses, openapi as api};

use super::openapi::{self, Answers, AnyHeaders, PROCESS};
use super::reading::NoParameters;
use super::{Api, answer};

/// The process is up.
#[utoipa::path(
    get, path = "/vtid/health", operation_id = "getHealth", tag = PROCESS,
    params(AnyHeaders), responses(Health)
)]
pub(super) async fn health(State(api): State<Arc<Api>>, NoParameters: NoParameters) -> Response {
    answer::ok(96, |body| {
        body.string("service", openapi::SERVICE);
        body.string("timestamp", &api.clock.now().to_string());
    })
}

/// The answers of this call.
struct Health;

impl IntoResponses for Health {
    fn responses() -> BTreeMap<String, RefOr<api::Response>> {
        Answers::ok("It is", openapi::health(), openapi::example::health()).build()
    }
}
