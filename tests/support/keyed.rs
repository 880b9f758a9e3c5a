//! Writes under a key, and what their answers must have in common.

use reqwest::{Method, RequestBuilder};
use sqlx::PgConnection;

use super::service::{Answer, Service};

/// A write that can be sent again and again.
#[derive(Debug, Clone)]
pub(crate) struct Keyed {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) key: String,
    pub(crate) body: String,
}

impl Keyed {
    pub(crate) fn create(key: &str, body: impl Into<String>) -> Self {
        Self { method: Method::POST, path: "/vtid/create".to_owned(), key: key.to_owned(), body: body.into() }
    }

    pub(crate) fn patch(key: &str, vtid: &str, body: impl Into<String>) -> Self {
        let path = format!("/vtid/{vtid}");
        Self { method: Method::PATCH, path, key: key.to_owned(), body: body.into() }
    }

    /// The same, with another body.
    pub(crate) fn with_body(&self, body: impl Into<String>) -> Self {
        Self { body: body.into(), ..self.clone() }
    }

    /// To be sent to a process.
    pub(crate) fn request(&self, service: &Service) -> RequestBuilder {
        let request = service.with_body(self.method.clone(), &self.path, self.body.clone());
        request.header("idempotency-key", &self.key)
    }

    pub(crate) async fn send(&self, service: &Service) -> Answer {
        service.send(self.request(service)).await
    }

    /// Sends it again; it must be answered as `first` was.
    pub(crate) async fn replays(&self, service: &Service, first: &Answer) {
        assert_replayed(&self.send(service).await, first);
    }

    /// It must be refused because of its key, and nothing else be said.
    pub(crate) async fn is_another(&self, service: &Service) {
        assert_reused(&self.send(service).await);
    }
}

/// Whether the answer says that its request had been accepted before.
pub(crate) fn is_replay(answer: &Answer) -> bool {
    answer.headers.get("idempotency-replayed").is_some_and(|value| value == "true")
}

/// To the byte, and in every header but those that tell one answer from another.
pub(crate) fn assert_replayed(again: &Answer, first: &Answer) {
    assert!(is_replay(again), "{again:?}");
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    let kept = |answer: &Answer| {
        let mut headers = answer.headers.clone();
        for own in ["date", "x-request-id", "idempotency-replayed"] {
            headers.remove(own);
        }
        headers
    };
    assert_eq!(kept(again), kept(first));
}

pub(crate) fn assert_reused(answer: &Answer) {
    assert_eq!(answer.status, 422, "{answer:?}");
    assert_eq!(answer.body["error"], "Idempotency key reused", "{answer:?}");
    assert_eq!(answer.body["code"], "idempotency_key_reused", "{answer:?}");
    assert!(!is_replay(answer), "{answer:?}");
}

/// How many events the log holds.
pub(crate) async fn events(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar("select count(*) from ledger.event").fetch_one(connection).await.unwrap()
}
