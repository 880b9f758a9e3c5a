//! Traces: from the request over the append to the publish, at a collector; and what a collector that is not there does.

mod collector;
mod one_trace;
mod trouble;

use reqwest::{Method, StatusCode};

use crate::support::eventually;
use crate::support::service::{Platform, Service, program_on};

/// Starts a process whose traces go there, with further variables, and waits until it is ready.
async fn traced(platform: &Platform, endpoint: &str, variables: &[(&str, &str)]) -> Service {
    let mut command = program_on(platform.database.service_url(), &platform.nats.url());
    command.args(["serve", "--listen", "127.0.0.1:0"]).stdout(std::process::Stdio::null());
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).env("OTEL_BSP_SCHEDULE_DELAY", "50");
    command.envs(variables.iter().copied());
    let service = Service::start(command);
    eventually("the ledger is ready", async || {
        (service.get("/readyz").await.status == StatusCode::OK).then_some(())
    })
    .await;
    service
}

/// A create whose caller has a trace of its own.
fn with_trace(service: &Service, body: String, traceparent: &str) -> reqwest::RequestBuilder {
    service.with_body(Method::POST, "/vtid/create", body).header("traceparent", traceparent)
}
