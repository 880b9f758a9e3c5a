//! `POST /add-checkpoint`: a witness, on a listener of its own.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::{App, HttpLimits, at, closed};
use crate::auth::Auth;
use crate::telemetry::metrics::requests::RequestMetrics;
use crate::telemetry::traces::Traces;
use crate::witness::decide::Refused;
use crate::witness::request::MAX_BYTES;
use crate::witness::service::{AddError, Witness};

const ADD_CHECKPOINT: &str = "/add-checkpoint";
/// Logs that ask at the same time, each with a connection.
const CONNECTIONS_MAX: usize = 256;
/// A body comes at once.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// A request is answered within moments.
const GRACE: Duration = Duration::from_secs(5);
/// Keep-alive: longer than logs pause between two checkpoints.
const IDLE_MAX: Duration = Duration::from_mins(2);

/// Answers `add-checkpoint` as `witness` decides, and nothing else.
#[must_use]
pub fn witness_app(witness: Arc<Witness>) -> App {
    let limits = HttpLimits {
        connections_max: CONNECTIONS_MAX,
        requests_max: CONNECTIONS_MAX,
        head_read_timeout: IDLE_MAX,
        shutdown_grace: GRACE,
        ..HttpLimits::default()
    };
    let answer = move |body: Body| answer(Arc::clone(&witness), body);
    let router = closed(at(Router::new(), ADD_CHECKPOINT, post(answer)));
    App::over(router, Arc::new(Auth::open()), limits, &[], RequestMetrics::default(), Traces::off())
}

async fn answer(witness: Arc<Witness>, body: Body) -> Response {
    let body = match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BYTES).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return text(StatusCode::PAYLOAD_TOO_LARGE, "no add-checkpoint request is so large");
        }
        Ok(Err(_)) => return text(StatusCode::BAD_REQUEST, "the body broke off"),
        Err(_) => return text(StatusCode::REQUEST_TIMEOUT, "the body came too slowly"),
    };
    // Runs to its end, whatever becomes of the caller.
    let added = tokio::task::spawn_blocking(move || witness.add_checkpoint(&body)).await;
    match added {
        Ok(Ok(lines)) => (StatusCode::OK, lines).into_response(),
        Ok(Err(AddError::Refused(refused))) => refusal(refused),
        Ok(Err(AddError::Disk(error))) => {
            tracing::error!(cause = %error, "what was seen can't be kept");
            text(StatusCode::INTERNAL_SERVER_ERROR, "what was seen can't be kept")
        }
        Err(error) => {
            tracing::error!(cause = %error, "a request's task failed");
            text(StatusCode::INTERNAL_SERVER_ERROR, "an error inside")
        }
    }
}

fn refusal(refused: Refused) -> Response {
    if let Refused::Conflict { size } | Refused::OtherRoot { size } = refused {
        if matches!(refused, Refused::OtherRoot { .. }) {
            tracing::error!(size, "a log shows two pasts");
        }
        let mut response = text(StatusCode::CONFLICT, &size.to_string());
        let size = HeaderValue::from_static("text/x.tlog.size");
        response.headers_mut().insert(header::CONTENT_TYPE, size);
        return response;
    }
    let status = match refused {
        Refused::UnknownLog => StatusCode::NOT_FOUND,
        Refused::Untrusted => StatusCode::FORBIDDEN,
        Refused::NotConsistent => {
            tracing::error!("a log's checkpoint does not go on where its last one ended");
            StatusCode::UNPROCESSABLE_ENTITY
        }
        _ => StatusCode::BAD_REQUEST,
    };
    text(status, &refused.to_string())
}

fn text(status: StatusCode, line: &str) -> Response {
    (status, format!("{line}\n")).into_response()
}
