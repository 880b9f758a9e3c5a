//! Commands as the HTTP layer would make them.

use std::sync::Arc;

use vtid_ledger::domain::command::{Action, Command, Expected};
use vtid_ledger::domain::origin::{Actor, Origin, RequestId};
use vtid_ledger::domain::payload::{parse_create, parse_patch};
use vtid_ledger::domain::vtid::Vtid;

/// Whoever asks, in a test.
pub(crate) fn origin(request: &str) -> Origin {
    let request_id = RequestId::parse(request).unwrap();
    Origin { actor: Actor::anonymous(), request_id, traceparent: None, idempotency: None }
}

/// The create of a JSON body.
pub(crate) fn create(body: &str) -> Command {
    let create = parse_create(body.as_bytes()).unwrap();
    Command { action: Action::Create(Arc::new(create)), origin: origin("create") }
}

/// A create like any other.
pub(crate) fn some_create(description: &str) -> Command {
    let description = serde_json::Value::from(description);
    create(&format!(
        r#"{{"taskFamily":"DEPLOY","taskType":"service","description":{description},"tenant":"system"}}"#
    ))
}

/// The patch of a JSON body.
pub(crate) fn patch(vtid: Vtid, body: &str) -> Command {
    let patch = parse_patch(body.as_bytes()).unwrap();
    Command { action: Action::Patch(vtid, patch, Expected::Any), origin: origin("patch") }
}
