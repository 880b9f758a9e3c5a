//! Checkpoints and findings as OASIS events. Pure.

use async_nats::HeaderMap;
use serde::Deserialize;
use uuid::Uuid;

use super::status::Finding;
use crate::domain::json::ObjectWriter;
use crate::domain::position::Position;
use crate::domain::record::LedgerId;
use crate::domain::time::Timestamp;
use crate::oasis::message::{CE_ID, CE_SOURCE, MESSAGE_ID};
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::key::KeyName;
use crate::tlog::leaf;

/// The service's name, in the subject and in the body.
const SERVICE: &str = "vtid-ledger-audit";
const TENANT: &str = "system";
/// The event that bears a checkpoint.
const CHECKPOINT: &str = "checkpoint";
/// The event that says: the past is not the one that was sealed.
const TAMPERED: &str = "ledger-tampered";
/// Where checkpoints are published.
pub const CHECKPOINTS: &str = "oasis.system.vtid-ledger-audit.checkpoint";
/// Where findings are published.
pub const FINDINGS: &str = "oasis.system.vtid-ledger-audit.ledger-tampered";

/// A message, ready to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditMessage {
    /// Its subject.
    pub subject: &'static str,
    /// Names and values.
    pub headers: HeaderMap,
    /// One line of JSON.
    pub body: String,
}

#[derive(Deserialize)]
struct Body {
    metadata: BodyMetadata,
}

#[derive(Deserialize)]
struct BodyMetadata {
    origin: String,
    checkpoint: Option<String>,
    what: Option<String>,
    first_position: Option<u64>,
    last_position: Option<u64>,
}

impl AuditMessage {
    /// Of a checkpoint: the same one makes the same message.
    #[must_use]
    pub fn checkpoint(ledger: LedgerId, checkpoint: &Checkpoint, signed_at: Timestamp) -> Self {
        let id = id_of(&checkpoint.note);
        let body = body(CHECKPOINT, "success", id, signed_at, |metadata| {
            metadata.string("origin", &checkpoint.origin);
            metadata.number("size", checkpoint.size);
            metadata.plain("root", checkpoint.root);
            metadata.string("checkpoint", &checkpoint.note);
        });
        Self { subject: CHECKPOINTS, headers: headers(ledger, CHECKPOINT, id, signed_at), body }
    }

    /// Of a finding, which is made at `now`.
    #[must_use]
    pub fn finding(ledger: LedgerId, origin: &KeyName, finding: &Finding, now: Timestamp) -> Self {
        let id = id_of(&format!("{origin}\n{finding}\n{now}"));
        let body = body(TAMPERED, "fail", id, now, |metadata| {
            metadata.string("origin", origin.as_str());
            metadata.number("first_position", finding.first.get());
            metadata.number("last_position", finding.last.get());
            metadata.string("what", &finding.what);
        });
        Self { subject: FINDINGS, headers: headers(ledger, TAMPERED, id, now), body }
    }
}

/// The checkpoint that a message bears, whoever signed it.
#[must_use]
pub fn checkpoint_in(body: &[u8]) -> Option<Checkpoint> {
    let body: Body = serde_json::from_slice(body).ok()?;
    let checkpoint = Checkpoint::parse(body.metadata.checkpoint?.as_bytes()).ok()?;
    (checkpoint.origin == body.metadata.origin).then_some(checkpoint)
}

/// The finding of this log that a message tells, whoever sent it.
#[must_use]
pub fn finding_in(body: &[u8], origin: &KeyName) -> Option<Finding> {
    let Body { metadata } = serde_json::from_slice(body).ok()?;
    let (first, last) = (Position::new(metadata.first_position?), Position::new(metadata.last_position?));
    let what = metadata.what.filter(|_| metadata.origin == origin.as_str())?;
    Some(Finding { first, last, what })
}

fn body(
    event: &str,
    status: &str,
    id: Uuid,
    time: Timestamp,
    metadata: impl FnOnce(&mut ObjectWriter),
) -> String {
    let mut text = String::with_capacity(1024);
    let mut body = ObjectWriter::new(&mut text);
    body.string("service", SERVICE);
    body.string("event", event);
    body.string("tenant", TENANT);
    body.string("status", status);
    body.plain("rid", id);
    body.plain("timestamp", time);
    body.object("metadata", metadata);
    body.finish();
    text
}

fn headers(ledger: LedgerId, event: &str, id: Uuid, time: Timestamp) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(MESSAGE_ID, id.to_string());
    headers.insert("ce-specversion", "1.0");
    headers.insert(CE_ID, id.to_string());
    headers.insert(CE_SOURCE, ledger.source());
    headers.insert("ce-type", event);
    headers.insert("ce-time", time.to_string());
    headers.insert("ce-datacontenttype", "application/json");
    headers
}

/// An id that follows from what it is of.
fn id_of(text: &str) -> Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&leaf(text).0[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlog::key::{KeyKind, SecretKey};
    use crate::tlog::tree::Tree;

    const LEDGER: LedgerId = LedgerId(Uuid::from_u128(7));

    fn signed(name: &str) -> Checkpoint {
        let name: KeyName = name.parse().unwrap();
        let key = SecretKey::generate(name.clone(), KeyKind::Log).unwrap();
        let mut tree = Tree::new();
        tree.push(leaf("one"));
        Checkpoint::sign(&name, 1, tree.root(), &[key]).unwrap()
    }

    #[test]
    fn a_checkpoint_comes_out_as_it_went_in() {
        let checkpoint = signed("log.example/one");
        let time = Timestamp::from_millis(1_764_000_000_000);
        let message = AuditMessage::checkpoint(LEDGER, &checkpoint, time);
        assert_eq!(message, AuditMessage::checkpoint(LEDGER, &checkpoint, time), "the same again");
        assert_eq!(checkpoint_in(message.body.as_bytes()), Some(checkpoint.clone()));
        let body: serde_json::Value = serde_json::from_str(&message.body).unwrap();
        let id = message.headers.get(MESSAGE_ID).unwrap().as_str();
        let expected = serde_json::json!({
            "service": "vtid-ledger-audit", "event": "checkpoint", "tenant": "system", "status": "success", "rid": id,
            "timestamp": "2025-11-24T16:00:00.000Z", "metadata": {
                "origin": "log.example/one", "size": 1, "root": checkpoint.root.to_string(),
                "checkpoint": checkpoint.note
            }
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn a_note_under_another_name_is_none() {
        let message = AuditMessage::checkpoint(LEDGER, &signed("one"), Timestamp::from_millis(0));
        let renamed = message.body.replace(r#""origin":"one""#, r#""origin":"two""#);
        assert_eq!(checkpoint_in(renamed.as_bytes()), None);
        for text in ["", "{}", r#"{"metadata":{"origin":"one"}}"#] {
            assert_eq!(checkpoint_in(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_finding_is_told_from_others() {
        let (one, two): (KeyName, KeyName) = ("one".parse().unwrap(), "two".parse().unwrap());
        let finding = Finding { first: Position::new(3), last: Position::new(4), what: "changed".to_owned() };
        let message = AuditMessage::finding(LEDGER, &one, &finding, Timestamp::from_millis(0));
        assert_eq!(message.subject, FINDINGS);
        assert!(message.body.contains(r#""status":"fail""#), "{}", message.body);
        assert_eq!(finding_in(message.body.as_bytes(), &one), Some(finding));
        assert_eq!(finding_in(message.body.as_bytes(), &two), None);
        let halved = message.body.replace("last_position", "position");
        assert_eq!(finding_in(halved.as_bytes(), &one), None);
    }
}
