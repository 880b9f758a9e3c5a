//! Callers that remember what each of their requests was told, and whether the log bears it out.

use std::collections::BTreeMap;

use reqwest::Method;
use tokio_util::sync::CancellationToken;
use vtid_ledger::domain::record::Recorded;

use super::service::{Answer, Service, some_task};

/// What a write was told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// 200, with the last event's position, task and version.
    Written { position: u64, vtid: String, version: String },
    /// 503 `unavailable`: nothing was written.
    NotWritten,
    /// 503 `outcome_unknown`: it may have been written.
    Unknown,
}

/// One write.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// Its `X-Request-Id`, which its events bear as `correlationid`.
    pub(crate) request: String,
    pub(crate) outcome: Outcome,
    /// How many events it is to have, if any.
    events: usize,
}

impl Told {
    /// The task that was written.
    pub(crate) fn vtid(&self) -> &str {
        match &self.outcome {
            Outcome::Written { vtid, .. } => vtid,
            other => panic!("{}: {other:?}", self.request),
        }
    }

    /// Where it was written.
    pub(crate) fn position(&self) -> u64 {
        match &self.outcome {
            Outcome::Written { position, .. } => *position,
            other => panic!("{}: {other:?}", self.request),
        }
    }
}

fn outcome(answer: &Answer) -> Outcome {
    match (answer.status.as_u16(), answer.body["code"].as_str()) {
        (200, _) => Outcome::Written {
            position: answer.position(),
            vtid: answer.vtid().to_owned(),
            version: answer.header("etag").to_owned(),
        },
        (503, Some("unavailable")) => Outcome::NotWritten,
        (503, Some("outcome_unknown")) => Outcome::Unknown,
        _ => panic!("{answer:?}"),
    }
}

async fn send(service: &Service, request: &str, method: Method, path: &str, body: String) -> Outcome {
    let sent = service.with_body(method, path, body).header("x-request-id", request);
    outcome(&service.send(sent).await)
}

/// Creates a task.
pub(crate) async fn create(service: &Service, request: &str) -> Told {
    let outcome = send(service, request, Method::POST, "/vtid/create", some_task(request)).await;
    Told { request: request.to_owned(), outcome, events: 1 }
}

/// Creates a task that is complete: two events.
pub(crate) async fn create_complete(service: &Service, request: &str) -> Told {
    let body = some_task(request).replacen('{', r#"{"status":"complete","#, 1);
    let outcome = send(service, request, Method::POST, "/vtid/create", body).await;
    Told { request: request.to_owned(), outcome, events: 2 }
}

/// Patches a task.
pub(crate) async fn patch(service: &Service, request: &str, vtid: &str) -> Told {
    let body = format!(r#"{{"metadata":{{"last":"{request}"}}}}"#);
    let outcome = send(service, request, Method::PATCH, &format!("/vtid/{vtid}"), body).await;
    Told { request: request.to_owned(), outcome, events: 1 }
}

/// Creates and patches, one request after another, until told to stop.
pub(crate) async fn keep_writing(service: &Service, caller: &str, stop: &CancellationToken) -> Vec<Told> {
    let mut all: Vec<Told> = Vec::new();
    for number in 0.. {
        if stop.is_cancelled() {
            break;
        }
        let request = format!("{caller}-{number}");
        let known = all.iter().rev().find_map(|told| match &told.outcome {
            Outcome::Written { vtid, .. } => Some(vtid.clone()),
            _ => None,
        });
        all.push(match (number % 5, known) {
            (0, _) | (_, None) => create(service, &request).await,
            (3, _) => create_complete(service, &request).await,
            (_, Some(vtid)) => patch(service, &request, &vtid).await,
        });
    }
    all
}

/// The log holds the events of these writes and no others: of each all or none, once, as its caller was told, and
/// without a gap.
pub(crate) fn assert_told(log: &[Recorded], told: &[Told]) {
    let mut events: BTreeMap<&str, Vec<&Recorded>> = BTreeMap::new();
    for (index, recorded) in log.iter().enumerate() {
        assert_eq!(recorded.event.position.get(), index as u64 + 1, "positions without a gap");
        events.entry(recorded.event.origin.request_id.as_str()).or_default().push(recorded);
    }
    for write in told {
        let events = events.remove(write.request.as_str()).unwrap_or_default();
        let allowed: &[usize] = match write.outcome {
            Outcome::Written { .. } => &[write.events],
            Outcome::NotWritten => &[0],
            Outcome::Unknown => &[0, write.events],
        };
        assert!(allowed.contains(&events.len()), "{write:?}: {} events", events.len());
        if let Outcome::Written { position, vtid, version } = &write.outcome {
            let last = &events.last().unwrap().event;
            let found = (last.position.get(), last.vtid.to_string(), format!("\"v{}\"", last.version));
            assert_eq!(found, (*position, vtid.clone(), version.clone()), "{write:?}");
        }
    }
    assert!(events.is_empty(), "events that nobody asked for: {:?}", events.keys());
}
