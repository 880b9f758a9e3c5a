//! `GET /readyz`: whether this process can do its work, and how far its followers are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use utoipa::openapi::RefOr;
use utoipa::{IntoResponses, openapi as api};

use super::error::error_body;
use super::openapi::{self, Answers, AnyHeaders, PROCESS};
use super::reading::NoParameters;
use super::{Api, answer};
use crate::domain::json::{Json, ObjectWriter};
use crate::domain::origin::Actor;
use crate::domain::position::Position;
use crate::leases::ProcessId;

/// What the process knows of itself; kept current by whoever runs the parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// Which process this is, among those that hold leases; none before it knows.
    pub process: Option<ProcessId>,
    /// What makes it unready, if anything does.
    pub obstacle: Option<Obstacle>,
    /// The last position of the log, as far as it is known.
    pub head: Position,
    /// Writes are on hold, as the ledger lost history; `degraded` says it in words.
    pub held: bool,
    /// The followers that this process runs.
    pub followers: Vec<FollowerProgress>,
    /// What else is wrong, one short phrase each: the process works nevertheless.
    pub degraded: Vec<String>,
}

/// Why no request should be sent here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// It has not come up yet.
    #[error("starting")]
    Starting,
    /// It stops, and only ends what it has begun.
    #[error("shutting down")]
    ShuttingDown,
    /// `PostgreSQL` does not answer.
    #[error("the database is away")]
    DatabaseAway,
    /// The log holds an event that this program does not know.
    #[error("the event at position {position} is of a type or form that this version does not know: {what}")]
    UnknownEvent {
        /// Where it stands.
        position: Position,
        /// What is unknown about it.
        what: String,
    },
}

impl Obstacle {
    /// Every reason there can be.
    pub(super) const REASONS: [&str; 4] = ["starting", "shutting_down", "database_away", "unknown_event"];

    const fn reason(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::ShuttingDown => "shutting_down",
            Self::DatabaseAway => "database_away",
            Self::UnknownEvent { .. } => "unknown_event",
        }
    }
}

/// How far a follower is behind the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowerProgress {
    /// Its name, such as `projector`.
    pub name: String,
    /// Up to which position it has worked.
    pub position: Position,
    /// How many events it has yet to work on.
    pub lag_events: u64,
    /// How old the oldest of them is.
    pub lag: Duration,
    /// What it can't get past, if anything.
    pub error: Option<String>,
    /// Whether this process does the work: it holds the lease.
    pub leads: bool,
    /// Who holds the lease, as far as this process knows.
    pub holder: Option<ProcessId>,
}

impl Readiness {
    /// Of a process that has just begun.
    #[must_use]
    pub fn starting() -> Self {
        let obstacle = Some(Obstacle::Starting);
        Self {
            process: None,
            obstacle,
            head: Position::ZERO,
            held: false,
            followers: Vec::new(),
            degraded: Vec::new(),
        }
    }

    fn write(&self, object: &mut ObjectWriter) {
        let mut followers = String::from("[");
        for (index, follower) in self.followers.iter().enumerate() {
            if index > 0 {
                followers.push(',');
            }
            follower.write(&mut followers);
        }
        followers.push(']');
        object.string_or_null("process", self.process.map(|process| process.to_string()).as_deref());
        object.number("head", self.head.get());
        object.raw("followers", &followers);
        object.json("degraded", &Json::Array(self.degraded.iter().cloned().map(Json::String).collect()));
    }
}

impl FollowerProgress {
    fn write(&self, out: &mut String) {
        let mut object = ObjectWriter::new(out);
        object.string("name", &self.name);
        object.number("position", self.position.get());
        object.number("lag_events", self.lag_events);
        object.raw("lag_seconds", &format!("{}.{:03}", self.lag.as_secs(), self.lag.subsec_millis()));
        object.string_or_null("error", self.error.as_deref());
        object.raw("leads", if self.leads { "true" } else { "false" });
        object.string_or_null("holder", self.holder.map(|holder| holder.to_string()).as_deref());
        object.finish();
    }
}

/// Whether this process can do its work, how far each follower of the ledger is, and what else is wrong.
///
/// Where tokens are asked for, a caller without a good one learns only whether it is ready.
#[utoipa::path(
    get, path = "/readyz", operation_id = "getReadiness", tag = PROCESS,
    params(AnyHeaders), responses(Ready)
)]
pub(super) async fn ready(
    State(api): State<Arc<Api>>,
    NoParameters: NoParameters,
    actor: Option<Extension<Actor>>,
) -> Response {
    answer(&api.readiness.borrow(), actor.is_some())
}

fn answer(readiness: &Readiness, is_known: bool) -> Response {
    match (&readiness.obstacle, is_known) {
        (None, true) => answer::ok(512, |body| readiness.write(body)),
        (None, false) => answer::ok(16, |_| {}),
        (Some(obstacle), true) => unready(|error| {
            error.object("detail", |detail| {
                detail.string("reason", obstacle.reason());
                detail.string("message", &obstacle.to_string());
                readiness.write(detail);
            });
        }),
        (Some(_), false) => unready(|error| error.string("detail", "not ready")),
    }
}

fn unready(write_detail: impl FnOnce(&mut ObjectWriter)) -> Response {
    let body = error_body("Unavailable", "unavailable", write_detail);
    let mut response = answer::json(StatusCode::SERVICE_UNAVAILABLE, body);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// The answers of this call.
struct Ready;

impl IntoResponses for Ready {
    fn responses() -> BTreeMap<String, RefOr<api::Response>> {
        Answers::ok(
            "It can, even where `degraded` names something",
            openapi::ready(),
            openapi::example::ready(),
        )
        .further("503", openapi::not_ready())
        .build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answered(readiness: &Readiness) -> (StatusCode, serde_json::Value) {
        let response = answer(readiness, true);
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn a_working_process_tells_head_lag_and_what_is_degraded() {
        let holder = ProcessId(uuid::Uuid::from_u128(7));
        let readiness = Readiness {
            process: Some(holder),
            obstacle: None,
            head: Position::new(97),
            followers: vec![FollowerProgress {
                name: "relay".to_owned(),
                position: Position::new(95),
                lag_events: 2,
                lag: Duration::from_millis(1_050),
                error: Some("NATS is \"away\"".to_owned()),
                leads: true,
                holder: Some(holder),
            }],
            degraded: vec!["relay".to_owned()],
            ..Readiness::starting()
        };
        let (status, body) = answered(&readiness).await;
        assert_eq!(status, StatusCode::OK);
        let expected = serde_json::json!({
            "ok": true, "process": holder.to_string(), "head": 97, "degraded": ["relay"], "followers": [{
                "name": "relay", "position": 95, "lag_events": 2, "lag_seconds": 1.05,
                "error": "NATS is \"away\"", "leads": true, "holder": holder.to_string()
            }]
        });
        assert_eq!(body, expected);
    }

    #[tokio::test]
    async fn every_obstacle_is_named() {
        let unknown = Obstacle::UnknownEvent { position: Position::new(3), what: "vtid-moved".to_owned() };
        for (obstacle, reason) in [
            (Obstacle::Starting, "starting"),
            (Obstacle::ShuttingDown, "shutting_down"),
            (Obstacle::DatabaseAway, "database_away"),
            (unknown, "unknown_event"),
        ] {
            let (status, body) =
                answered(&Readiness { obstacle: Some(obstacle), ..Readiness::starting() }).await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!((&body["ok"], &body["error"]), (&false.into(), &"Unavailable".into()));
            assert_eq!((&body["code"], &body["detail"]["reason"]), (&"unavailable".into(), &reason.into()));
            assert!(Obstacle::REASONS.contains(&reason));
        }
    }
}
