//! What callers ask for: creates and patches of every sort, some of which are refused, and reads.

use fastrand::Rng;
use reqwest::Method;
use serde_json::{Value, json};

use super::history::Asked;

/// What a caller is about to ask.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) asked: Asked,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: String,
}

fn create(key: &str, more: &Value, events: usize) -> Request {
    let mut body = json!({
        "taskFamily": "DEPLOY", "taskType": "service", "description": key, "tenant": "system"
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (path, body) = ("/vtid/create".to_owned(), body.to_string());
    Request { asked: Asked::Create { events }, method: Method::POST, path, body }
}

fn patch(vtid: String, body: &Value) -> Request {
    let path = format!("/vtid/{vtid}");
    Request { asked: Asked::Patch { vtid }, method: Method::PATCH, path, body: body.to_string() }
}

fn get(vtid: String, at_least: u64) -> Request {
    let path = format!("/vtid/{vtid}");
    Request { asked: Asked::Get { vtid, at_least }, method: Method::GET, path, body: String::new() }
}

fn list(status: Option<&'static str>, limit: usize, at_least: u64) -> Request {
    let filter = status.map(|status| format!("&status={status}")).unwrap_or_default();
    let path = format!("/vtid/list?limit={limit}{filter}");
    let asked = Asked::List { status, limit, at_least };
    Request { asked, method: Method::GET, path, body: String::new() }
}

impl Request {
    /// Something about `task`, where there is one; `newest` is the highest position that anybody was told.
    pub(crate) fn choose(
        caller: &str,
        key: &str,
        task: Option<String>,
        newest: u64,
        random: &mut Rng,
    ) -> Self {
        let Some(task) = task else { return create(key, &json!({}), 1) };
        let status = ["pending", "active", "blocked"][random.usize(..3)];
        match random.u8(..100) {
            0..20 => create(key, &json!({"metadata": {"first": key}}), 1),
            20..25 => create(key, &json!({"status": "complete"}), 2),
            25..32 => create(key, &json!({"parentVtid": task}), 1),
            32..60 => patch(task, &json!({"status": status, "metadata": {"last": key}})),
            60..68 => patch(task, &json!({"metadata": {caller: key, "last": null}})),
            // Refused, each in its own way; but for the first, which a task that is not final takes.
            68..71 if random.bool() => patch(task, &json!({"status": "complete"})),
            68..71 => patch(task, &json!({"status": "finished"})),
            71..74 => create(key, &json!({"tenant": "Not a tenant"}), 1),
            74..80 => {
                let at_least = if random.bool() { newest } else { 0 };
                list(random.bool().then_some(status), random.usize(1..20), at_least)
            }
            _ => get(task, if random.bool() { newest } else { 0 }),
        }
    }
}
