//! `GET /vtid/health`: the process is up.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::reading::NoParameters;
use super::{Api, answer};

pub(super) async fn health(State(api): State<Arc<Api>>, NoParameters: NoParameters) -> Response {
    answer::ok(96, |body| {
        body.string("service", "vtid-ledger");
        body.string("timestamp", &api.clock.now().to_string());
    })
}
