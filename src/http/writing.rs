//! What every write has: a key under which it may be repeated, the versions that it expects, its body, and its way to
//! the writer.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::response::Response;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::entity_tag::{TagHeader, TagList};
use super::error::ApiError;
use super::headers::single;
use super::origin::RequestOrigin;
use super::query::Parameters;
use super::trace::Traced;
use super::{Api, answer, body};
use crate::domain::command::{Action, Command, Expected};
use crate::domain::json::ObjectWriter;
use crate::domain::origin::{Idempotency, IdempotencyKey, Origin, RequestHash};
use crate::domain::text::TextFault;
use crate::telemetry::traces::Below;
use crate::writer::answer::Accepted;

pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(super) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// As the contract spells it, for the list of faults.
const IDEMPOTENCY_KEY_NAME: &str = "Idempotency-Key";
const IF_MATCH: TagHeader = TagHeader { name: header::IF_MATCH, spelled: "If-Match" };

/// A write, of a route that takes no parameters; its body is read, and not looked at yet.
pub(super) struct WriteRequest {
    /// What the task's version must be.
    pub(super) expected: Expected,
    /// The body.
    pub(super) body: Bytes,
    origin: Origin,
    below: Option<Below>,
}

impl FromRequest<Arc<Api>> for WriteRequest {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, ApiError> {
        let (mut head, body) = request.into_parts();
        let mut parameters = Parameters::read(head.uri.query(), &[]);
        let key = key(&head.headers, &mut parameters);
        let expected = expected(&head, &mut parameters);
        parameters.finish()?;
        let RequestOrigin(mut origin) = RequestOrigin::from_request_parts(&mut head, api).await?;
        let body = body::read_json(&head.headers, body, api.limits.body_read_timeout).await?;
        origin.idempotency = key.map(|key| Idempotency { key, hash: hash(&head, &body) });
        let below = head.extensions.remove::<Traced>().and_then(|traced| traced.below);
        Ok(Self { expected, body, origin, below })
    }
}

/// The key in the header, none without one; a malformed one is told with the faults of the query.
fn key(headers: &HeaderMap, parameters: &mut Parameters) -> Option<IdempotencyKey> {
    let parsed = match single(headers, &IDEMPOTENCY_KEY) {
        Ok(None) => return None,
        Ok(Some(value)) => value.to_str().ok().and_then(|text| IdempotencyKey::parse(text).ok()),
        Err(_) => None,
    };
    if parsed.is_none() {
        parameters.fault(IDEMPOTENCY_KEY_NAME, TextFault::NotVisibleAscii);
    }
    parsed
}

/// Of a create there is no version that could be expected.
fn expected(head: &Parts, parameters: &mut Parameters) -> Expected {
    let is_patch = head.method == Method::PATCH;
    let tags = is_patch.then(|| TagList::take(&head.headers, &IF_MATCH, parameters)).flatten();
    tags.map(TagList::expected).unwrap_or_default()
}

/// No method or path has a space in it, so that no two requests look the same here.
fn hash(head: &Parts, body: &[u8]) -> RequestHash {
    let mut hash = Sha256::new();
    for part in [head.method.as_str(), " ", head.uri.path(), " "] {
        hash.update(part.as_bytes());
    }
    hash.update(body);
    RequestHash(hash.finalize().into())
}

impl WriteRequest {
    /// Has the writer do what is asked for; what can't be done is refused at once, unless the writer must look whether
    /// its key is known.
    pub(super) async fn submit(self, api: &Api, action: Action) -> Result<Accepted, ApiError> {
        match action {
            Action::Refuse(refusal) if self.origin.idempotency.is_none() => Err(refusal.into()),
            action => {
                let command = Command { action, origin: self.origin };
                Ok(api.writer.submit_below(self.below, command).await?)
            }
        }
    }
}

/// The answer to a write, now or again; `write_data` adds the task's row.
pub(super) fn answer(accepted: &Accepted, write_data: impl FnOnce(&mut ObjectWriter)) -> Response {
    let mut response = answer::ok(answer::ROW_BYTES, |body| {
        body.plain("vtid", accepted.task.vtid);
        write_data(body);
    });
    answer::show_position(&mut response, accepted.task.position);
    answer::show_version(&mut response, accepted.task.version);
    if accepted.replayed {
        response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(values: &[&[u8]]) -> Result<Option<String>, usize> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(value).unwrap());
        }
        let mut parameters = Parameters::read(None, &[]);
        let key = key(&headers, &mut parameters).map(|key| key.as_str().to_owned());
        let faults = parameters.into_faults().len();
        if faults == 0 { Ok(key) } else { Err(faults) }
    }

    #[test]
    fn a_key_is_one_word_of_visible_ascii() {
        assert_eq!(read(&[]), Ok(None));
        for good in ["k", "\"8e03978e-40d5\"", "!~,;", &"x".repeat(255)] {
            assert_eq!(read(&[good.as_bytes()]), Ok(Some(good.to_owned())), "{good}");
        }
        for wrong in ["", "a b", "a\tb", "ä", &"x".repeat(256)] {
            assert_eq!(read(&[wrong.as_bytes()]), Err(1), "{wrong}");
        }
        assert_eq!(read(&[b"k", b"k"]), Err(1), "two of them");
        assert_eq!(read(&[b"\xff"]), Err(1));
    }

    fn hash_of(method: &str, path: &str, body: &str) -> String {
        let request = axum::http::Request::builder().method(method).uri(path).body(()).unwrap();
        hash(&request.into_parts().0, body.as_bytes()).to_string()
    }

    /// Kept in the log for good: another version of the program must come to the same.
    #[test]
    fn the_hash_is_that_of_method_path_and_body() {
        let known = "adcbd2452c59f9c1a548fa29490327dc21879cacc5b2f12885eedef29e5b4c77";
        assert_eq!(hash_of("PATCH", "/vtid/VTID-2026-0042", "{\"status\":\"active\"}"), known);
    }

    proptest! {
        #[test]
        fn other_requests_have_other_hashes(
            a in ("POST|PATCH", "/[a-z]{0,3}", "[ a-z/]{0,4}"), b in ("POST|PATCH", "/[a-z]{0,3}", "[ a-z/]{0,4}")
        ) {
            prop_assert_eq!(a == b, hash_of(&a.0, &a.1, &a.2) == hash_of(&b.0, &b.1, &b.2));
        }
    }
}
