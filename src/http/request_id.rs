//! The id under which a request's lines, events and answer can be found.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

use crate::domain::origin::RequestId;

/// Where callers send it, and where every answer bears it.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The caller's id, if it sent exactly one of the right form, else a new one. From here on the request bears it.
pub(super) fn assign(headers: &mut HeaderMap) -> HeaderValue {
    let sent = super::headers::single(headers, &X_REQUEST_ID).ok().flatten();
    if let Some(value) = sent.filter(|value| value.to_str().is_ok_and(|id| RequestId::parse(id).is_some())) {
        return value.clone();
    }
    let made = new_value();
    headers.insert(X_REQUEST_ID, made.clone());
    made
}

#[expect(clippy::expect_used, reason = "hexadecimal digits and hyphens are always a header's value")]
fn new_value() -> HeaderValue {
    let mut text = Uuid::encode_buffer();
    HeaderValue::from_str(Uuid::new_v4().hyphenated().encode_lower(&mut text)).expect("a UUID")
}

/// The id that [`assign`] saw to.
pub(super) fn of(headers: &HeaderMap) -> RequestId {
    headers
        .get(&X_REQUEST_ID)
        .and_then(|value| RequestId::parse(value.to_str().ok()?))
        .unwrap_or_else(|| RequestId::from_uuid(Uuid::new_v4()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(sent: &[&str]) -> (String, RequestId) {
        let mut headers = HeaderMap::new();
        for value in sent {
            headers.append(X_REQUEST_ID, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let value = assign(&mut headers);
        (value.to_str().unwrap().to_owned(), of(&headers))
    }

    #[test]
    fn a_callers_id_is_kept_if_it_is_of_the_form() {
        for id in ["a", "req_1-1.2:3/4", &"x".repeat(128)] {
            let (answered, recorded) = assigned(&[id]);
            assert_eq!((answered.as_str(), recorded.as_str()), (id, id));
        }
    }

    #[test]
    fn anything_else_gets_a_new_one_for_answer_and_record_alike() {
        for sent in [&[][..], &[""], &["a b"], &["ä"], &[&"x".repeat(129)], &["a", "b"]] {
            let (answered, recorded) = assigned(sent);
            assert!(Uuid::parse_str(&answered).is_ok(), "{sent:?} gave {answered}");
            assert_eq!(recorded.as_str(), answered);
        }
    }
}
