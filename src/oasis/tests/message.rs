//! Every row of the contract, byte for byte.

use std::sync::Arc;

use uuid::Uuid;

use super::*;
use crate::domain::evolve::evolve;
use crate::domain::origin::{Actor, Origin, RequestId};
use crate::domain::payload::{parse_create, parse_patch};
use crate::domain::position::{Position, Version};
use crate::domain::task::Task;
use crate::domain::text::Tenant;
use crate::domain::time::Timestamp;
use crate::domain::vtid::Vtid;

const LEDGER: LedgerId = LedgerId(Uuid::from_u128(0x11));
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// 2025-10-28T10:00:00.000Z
const START: i64 = 1_761_645_600_000;

/// A task's stream, event by event, and the message of the last one.
struct Stream {
    task: Option<Arc<Task>>,
    next: u64,
    trace: Option<&'static str>,
}

impl Stream {
    fn new() -> Self {
        Self { task: None, next: 1, trace: None }
    }

    fn push(&mut self, minutes: i64, data: EventData) -> (Recorded, OasisMessage) {
        let event = Event {
            position: Position::new(self.next + 94),
            id: Uuid::from_u128(u128::from(self.next)),
            vtid: Vtid::parse_possible("VTID-2025-0042").unwrap(),
            version: Version::new(self.next),
            tenant: Tenant::parse("system").unwrap(),
            recorded_at: Timestamp::from_millis(START + minutes * 60_000),
            origin: Origin {
                actor: Actor::anonymous(),
                request_id: RequestId::parse("r-1").unwrap(),
                traceparent: self.trace.and_then(TraceParent::parse),
                idempotency: None,
            },
            data,
        };
        self.next += 1;
        let before = self.task.clone();
        let after = Arc::new(evolve(before.as_deref().cloned(), &event).unwrap());
        self.task = Some(Arc::clone(&after));
        let recorded = Recorded::print(event, LEDGER);
        let message = OasisMessage::new(LEDGER, &recorded, &Transition { before, after });
        (recorded, message)
    }

    fn create(&mut self, status: &str, metadata: &str) -> (Recorded, OasisMessage) {
        let body = format!(
            r#"{{"taskFamily":"f","taskType":"t","description":"d","tenant":"system","status":"{status}","metadata":{metadata}}}"#
        );
        self.push(0, EventData::Created(Arc::new(parse_create(body.as_bytes()).unwrap())))
    }

    fn update(&mut self, patch: &str) -> (Recorded, OasisMessage) {
        self.push(90, EventData::Updated(parse_patch(patch.as_bytes()).unwrap()))
    }

    fn complete(&mut self, minutes: i64, patch: &str) -> (Recorded, OasisMessage) {
        self.push(minutes, EventData::Completed(parse_patch(patch.as_bytes()).unwrap()))
    }
}

fn status_of(message: &OasisMessage) -> String {
    let body: serde_json::Value = serde_json::from_str(&message.body).unwrap();
    body["status"].as_str().unwrap().to_owned()
}

#[test]
fn a_created_task_byte_for_byte() {
    let mut stream = Stream::new();
    stream.trace = Some(TRACE);
    let (recorded, message) = stream.create("pending", r#"{"n":0.10,"notes":"go","git_sha":"abc"}"#);
    assert_eq!(message.subject, "oasis.system.vtid-ledger.vtid-created");
    let record = concat!(
        r#"{"specversion":"1.0","id":"00000000-0000-0000-0000-000000000001","#,
        r#""source":"/vtid-ledger/00000000-0000-0000-0000-000000000011","type":"vtid-created","#,
        r#""subject":"VTID-2025-0042","time":"2025-10-28T10:00:00.000Z","datacontenttype":"application/json","#,
        r#""position":"95","streamversion":"1","tenant":"system","actor":"anonymous","actorrole":"service_role","#,
        r#""correlationid":"r-1","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","#,
        r#""data":{"taskFamily":"f","taskType":"t","description":"d","tenant":"system","status":"pending","#,
        r#""metadata":{"n":0.10,"notes":"go","git_sha":"abc"}}}"#,
    );
    assert_eq!(&*recorded.body, record);
    let body = [
        r#"{"service":"vtid-ledger","event":"vtid-created","tenant":"system","status":"success","#,
        r#""rid":"00000000-0000-0000-0000-000000000001","timestamp":"2025-10-28T10:00:00.000Z","#,
        r#""notes":"go","git_sha":"abc","#,
        r#""metadata":{"vtid":"VTID-2025-0042","position":95,"version":1,"record":"#,
        record,
        "}}",
    ];
    assert_eq!(message.body, body.concat());
    let headers = [
        ("Nats-Msg-Id", "00000000-0000-0000-0000-000000000001"),
        ("ce-specversion", "1.0"),
        ("ce-id", "00000000-0000-0000-0000-000000000001"),
        ("ce-source", "/vtid-ledger/00000000-0000-0000-0000-000000000011"),
        ("ce-type", "vtid-created"),
        ("ce-subject", "VTID-2025-0042"),
        ("ce-time", "2025-10-28T10:00:00.000Z"),
        ("ce-datacontenttype", "application/json"),
        ("ce-position", "95"),
        ("traceparent", TRACE),
    ];
    assert_eq!(message.headers, headers.map(|(name, value)| (name, value.to_owned())));
}

#[test]
fn a_completed_task_byte_for_byte() {
    let mut stream = Stream::new();
    stream.create("active", r#"{"notes":"of the create alone"}"#);
    let (recorded, message) = stream.complete(210, r#"{"status":"complete"}"#);
    assert_eq!(message.subject, "oasis.system.vtid-ledger.vtid-completed");
    let body = [
        r#"{"service":"vtid-ledger","event":"vtid-completed","tenant":"system","status":"success","#,
        r#""rid":"00000000-0000-0000-0000-000000000002","timestamp":"2025-10-28T13:30:00.000Z","#,
        r#""metadata":{"vtid":"VTID-2025-0042","position":96,"version":2,"duration":3.5,"record":"#,
        &recorded.body,
        "}}",
    ];
    assert_eq!(message.body, body.concat());
    assert!(message.headers.iter().all(|(name, _)| *name != "traceparent"), "{:?}", message.headers);
}

#[test]
fn a_task_created_as_complete_took_no_time() {
    let mut stream = Stream::new();
    let (_, created) = stream.create("complete", "null");
    assert_eq!(status_of(&created), "success");
    let (_, completed) = stream.push(0, EventData::Completed(crate::domain::command::PatchTask::default()));
    assert_eq!(completed.subject, "oasis.system.vtid-ledger.vtid-completed");
    assert_eq!(status_of(&completed), "success");
    assert!(completed.body.contains(r#""version":2,"duration":0,"record":{"#), "{}", completed.body);
}

#[test]
fn the_status_tells_the_change_of_status() {
    let rows = [
        ("pending", r#"{"status":"active"}"#, "start"),
        ("pending", r#"{"status":"blocked"}"#, "blocked"),
        ("pending", r#"{"status":"cancelled"}"#, "warning"),
        ("active", r#"{"status":"pending"}"#, "info"),
        ("pending", r#"{"assignedTo":"me"}"#, "info"),
        // Named in the patch, yet no change.
        ("active", r#"{"status":"active"}"#, "info"),
        ("blocked", r#"{"status":"blocked"}"#, "info"),
        ("cancelled", r#"{"status":"cancelled"}"#, "info"),
        ("complete", r#"{"metadata":{"a":1}}"#, "info"),
    ];
    for (before, patch, expected) in rows {
        let mut stream = Stream::new();
        let (_, created) = stream.create(before, "null");
        assert_eq!(status_of(&created), "success");
        let (_, updated) = stream.update(patch);
        assert_eq!(updated.subject, "oasis.system.vtid-ledger.vtid-updated");
        assert_eq!(status_of(&updated), expected, "{before} {patch}");
        assert!(!updated.body.contains(r#""duration""#), "{}", updated.body);
    }
}

#[test]
fn notes_and_git_sha_are_those_of_the_event_itself_and_strings() {
    let rows = [
        (r#"{"metadata":{"notes":"n","git_sha":"s"}}"#, Some("n"), Some("s")),
        (r#"{"metadata":{"notes":"","git_sha":1}}"#, Some(""), None),
        (r#"{"metadata":{"notes":null,"git_sha":{"git_sha":"s"}}}"#, None, None),
        (r#"{"metadata":null}"#, None, None),
        (r#"{"status":"active"}"#, None, None),
    ];
    for (patch, notes, git_sha) in rows {
        let mut stream = Stream::new();
        stream.create("pending", r#"{"notes":"older","git_sha":"older"}"#);
        let (_, message) = stream.update(patch);
        let body: serde_json::Value = serde_json::from_str(&message.body).unwrap();
        assert_eq!(body.get("notes").and_then(|v| v.as_str()), notes, "{patch}");
        assert_eq!(body.get("git_sha").and_then(|v| v.as_str()), git_sha, "{patch}");
    }
}
