//! Examples, which a test holds to the parsers and the printers.

use serde_json::{Value, json};

use super::answers::SERVICE;

const VTID: &str = "VTID-2026-0042";

pub(in crate::http) fn create() -> Value {
    json!({
        "taskFamily": "DEPLOY",
        "taskType": "release",
        "description": "Deploy billing 4.2.0",
        "tenant": "acme",
        "metadata": {"git_sha": "9f2c1ab"},
    })
}

pub(in crate::http) fn patch() -> Value {
    json!({"status": "active", "assignedTo": "ada", "metadata": {"progress": {"percent": 85.5}}})
}

pub(super) fn row() -> Value {
    json!({
        "id": "019a2a1e-5c1a-7d7a-b3c4-1f8d0a5b6c7d",
        "vtid": VTID,
        "task_family": "DEPLOY",
        "task_type": "release",
        "description": "Deploy billing 4.2.0",
        "status": "active",
        "assigned_to": "ada",
        "tenant": "acme",
        "metadata": {"git_sha": "9f2c1ab", "progress": {"percent": 85.5}},
        "parent_vtid": null,
        "created_at": "2026-10-28T10:00:00.000Z",
        "updated_at": "2026-10-28T10:00:03.500Z",
    })
}

/// What [`create`] is answered with.
pub(in crate::http) fn created() -> Value {
    let mut row = row();
    for (name, value) in [
        ("status", json!("pending")),
        ("assigned_to", Value::Null),
        ("metadata", create()["metadata"].clone()),
        ("updated_at", row["created_at"].clone()),
    ] {
        row[name] = value;
    }
    json!({"ok": true, "vtid": VTID, "data": row})
}

pub(in crate::http) fn got() -> Value {
    json!({"ok": true, "data": row()})
}

pub(in crate::http) fn patched() -> Value {
    json!({"ok": true, "vtid": VTID, "data": [row()]})
}

pub(in crate::http) fn listed() -> Value {
    json!({"ok": true, "count": 1, "data": [row()], "next_cursor": null})
}

pub(in crate::http) fn health() -> Value {
    json!({"ok": true, "service": SERVICE, "timestamp": "2026-10-28T10:00:00.000Z"})
}

pub(in crate::http) fn consistent() -> Value {
    json!({"ok": true, "from": 2, "to": 3, "path": ["CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="]})
}

fn readiness() -> Value {
    let (process, another) = ("5f1c3c1e-6a86-4c57-9d39-0c5d4a2f9c11", "c0b1f2de-0d4f-4e0c-8a53-7f5f0b6f2d22");
    json!({
        "process": process,
        "head": 97,
        "followers": [
            {"name": "projector", "position": 97, "lag_events": 0, "lag_seconds": 0.0, "error": null,
                "leads": false, "holder": another},
            {"name": "relay", "position": 95, "lag_events": 2, "lag_seconds": 1.05, "error": "NATS is away",
                "leads": true, "holder": process},
        ],
        "degraded": ["relay: NATS is away"],
    })
}

pub(in crate::http) fn ready() -> Value {
    let mut body = readiness();
    body["ok"] = json!(true);
    body
}

pub(super) fn not_ready() -> Value {
    let mut detail = readiness();
    detail["reason"] = json!("database_away");
    detail["message"] = json!("the database is away");
    json!({"ok": false, "error": "Unavailable", "code": "unavailable", "detail": detail})
}
