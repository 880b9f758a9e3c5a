//! A served ledger of one task, and what it does with a request.

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sqlx::PgConnection;
use tokio::sync::Mutex;

use crate::support::service::{Answer, Platform, Service, platform};

/// How a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) error: &'static str,
    pub(crate) code: &'static str,
    /// Where the faults are that `detail` lists, each path joined by dots; none where `detail` is a sentence.
    pub(crate) paths: Option<Vec<String>>,
}

/// 400, with faults at these places of the body.
pub(crate) fn payload(paths: &[&str]) -> Refusal {
    with_paths("Invalid payload", "invalid_payload", paths)
}

/// 400, with faults of these parameters.
pub(crate) fn query(paths: &[&str]) -> Refusal {
    with_paths("Invalid query", "invalid_query", paths)
}

fn with_paths(error: &'static str, code: &'static str, paths: &[&str]) -> Refusal {
    let mut paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
    paths.sort();
    Refusal { status: 400, error, code, paths: Some(paths) }
}

const fn sentence(status: u16, error: &'static str, code: &'static str) -> Refusal {
    Refusal { status, error, code, paths: None }
}

pub(crate) const INVALID_VTID: Refusal = sentence(400, "Invalid VTID format", "invalid_vtid");
pub(crate) const NOT_FOUND: Refusal = sentence(404, "Not found", "not_found");
pub(crate) const TOO_SLOW: Refusal = sentence(408, "Request timeout", "request_timeout");
pub(crate) const TOO_LARGE: Refusal = sentence(413, "Payload too large", "payload_too_large");
pub(crate) const NOT_JSON: Refusal = sentence(415, "Unsupported media type", "unsupported_media_type");

impl Refusal {
    /// Asserts that `answer` is this refusal and nothing else.
    pub(crate) fn is(&self, answer: &Answer, what: &str) {
        let shown = || format!("{}: {answer:?}", what.chars().take(300).collect::<String>());
        assert_eq!(answer.status.as_u16(), self.status, "{}", shown());
        assert_eq!(answer.header("content-type"), "application/json", "{}", shown());
        assert!(!answer.header("x-request-id").is_empty(), "{}", shown());
        let keys: Vec<&str> = answer.body.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["code", "detail", "error", "ok"], "{}", shown());
        assert_eq!(
            (&answer.body["ok"], &answer.body["error"], &answer.body["code"]),
            (&json!(false), &json!(self.error), &json!(self.code)),
            "{}",
            shown()
        );
        let Some(paths) = &self.paths else {
            return assert!(
                answer.body["detail"].as_str().is_some_and(|told| !told.is_empty()),
                "{}",
                shown()
            );
        };
        assert_eq!(&told_paths(&answer.body["detail"]), paths, "{}", shown());
    }
}

fn told_paths(detail: &Value) -> Vec<String> {
    let path = |fault: &Value| {
        assert!(fault["message"].as_str().is_some_and(|told| !told.is_empty()), "{fault}");
        let keys = fault["path"].as_array().unwrap().iter().map(|key| key.as_str().unwrap());
        keys.collect::<Vec<_>>().join(".")
    };
    let mut paths: Vec<String> = detail.as_array().unwrap().iter().map(path).collect();
    paths.sort();
    paths
}

/// A served ledger, and its one task to begin with.
pub(crate) struct Ledger {
    pub(crate) platform: Platform,
    pub(crate) service: Service,
    pub(crate) vtid: String,
    connection: Mutex<PgConnection>,
}

/// A create's fields, each a text of JSON; these go before the usual ones, of which the same are left out.
pub(crate) fn create_with(fields: &[(&str, &str)]) -> String {
    let usual =
        [("taskFamily", "\"f\""), ("taskType", "\"t\""), ("description", "\"d\""), ("tenant", "\"t\"")];
    let left = usual.iter().filter(|(name, _)| !fields.iter().any(|(given, _)| given == name));
    object(&fields.iter().chain(left).copied().collect::<Vec<_>>())
}

/// The text of an object; keys may be there twice.
pub(crate) fn object(fields: &[(&str, &str)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}

/// The text as JSON.
pub(crate) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The text for a path or a query, every odd byte encoded.
pub(crate) fn encoded(text: &str) -> String {
    percent_encode(text.as_bytes(), NON_ALPHANUMERIC).to_string()
}

impl Ledger {
    pub(crate) async fn start() -> Self {
        let platform = platform().await;
        let service = platform.serve().await;
        let vtid = service.create(create_with(&[])).await.expect(200).vtid().to_owned();
        let connection = Mutex::new(platform.connection().await);
        Self { platform, service, vtid, connection }
    }

    /// How many events the log holds, and its last position as readers hear it.
    pub(crate) async fn head(&self) -> (i64, i64, u64) {
        let log = sqlx::query_as("select count(*), coalesce(max(position), 0) from ledger.event");
        let (count, last) = log.fetch_one(&mut *self.connection.lock().await).await.unwrap();
        (count, last, self.service.get("/vtid/list?limit=1").await.expect(200).position())
    }

    pub(crate) fn post(&self, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.with_json(Method::POST, "/vtid/create", body)
    }

    /// A patch of the one task.
    pub(crate) fn patch(&self, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.with_json(Method::PATCH, &format!("/vtid/{}", self.vtid), body)
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.service.request(Method::GET, path)
    }

    pub(crate) fn with_json(
        &self,
        method: Method,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> RequestBuilder {
        self.service.request(method, path).header("content-type", "application/json").body(body)
    }

    /// Asserts that the request is refused so, and that nothing is appended.
    pub(crate) async fn refuses(&self, request: RequestBuilder, refusal: &Refusal, what: &str) {
        let before = self.head().await;
        refusal.is(&self.service.send(request).await, what);
        assert_eq!(self.head().await, before, "something was appended: {what}");
    }

    /// Asserts that the body is refused so as a create and as a patch.
    pub(crate) async fn refuses_body(&self, body: &[u8], refusal: &Refusal) {
        let what = String::from_utf8_lossy(body);
        self.refuses(self.post(body.to_vec()), refusal, &what).await;
        self.refuses(self.patch(body.to_vec()), refusal, &what).await;
    }

    /// Asserts that the request is accepted, and appends one event.
    pub(crate) async fn takes(&self, request: RequestBuilder) -> Answer {
        let before = self.head().await;
        let answer = self.service.send(request).await.expect(200);
        assert_eq!(i64::try_from(answer.position()).unwrap(), before.1 + 1, "{answer:?}");
        assert_eq!(self.head().await.0, before.0 + 1);
        answer
    }

    /// As GET and the list give a task: the texts of both.
    pub(crate) async fn shown(&self, vtid: &str) -> [Answer; 2] {
        let got = self.service.get(&format!("/vtid/{vtid}")).await.expect(200);
        let listed = self.service.get("/vtid/list?limit=1000").await.expect(200);
        [got, listed]
    }
}

/// The row of a task in the answer of a write, of GET or of the list.
pub(crate) fn row<'a>(answer: &'a Answer, vtid: &str) -> &'a Value {
    match &answer.body["data"] {
        Value::Array(rows) => rows.iter().find(|row| row["vtid"] == vtid).expect("its row"),
        row => row,
    }
}
