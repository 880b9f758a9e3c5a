//! What reads have: the position that they must show at least, what the caller has already, and how their failures are
//! told.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};

use super::entity_tag::{TagHeader, TagList};
use super::error::{ApiError, Unavailable};
use super::headers::single;
use super::query::Parameters;
use crate::domain::position::Position;
use crate::projections::read::ReadFailure;

pub(super) const LEDGER_MIN_POSITION: HeaderName = HeaderName::from_static("ledger-min-position");
/// As the contract spells it, for the list of faults.
const LEDGER_MIN_POSITION_NAME: &str = "Ledger-Min-Position";
const IF_NONE_MATCH: TagHeader = TagHeader { name: header::IF_NONE_MATCH, spelled: "If-None-Match" };

/// The route takes no parameters, and the request has none.
pub(super) struct NoParameters;

impl<S: Sync> FromRequestParts<S> for NoParameters {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(query) = parts.uri.query() else { return Ok(Self) };
        Parameters::read(Some(query), &[]).finish().map(|()| Self)
    }
}

/// A read of one thing, which takes no parameters.
pub(super) struct ReadRequest {
    /// The position that the caller wants to see at least (`Ledger-Min-Position`).
    pub(super) min_position: Position,
    /// What the caller has already (`If-None-Match`).
    pub(super) known: Option<TagList>,
}

impl<S: Sync> FromRequestParts<S> for ReadRequest {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let mut parameters = Parameters::read(parts.uri.query(), &[]);
        let min_position = min_position(&parts.headers, &mut parameters);
        let known = TagList::take(&parts.headers, &IF_NONE_MATCH, &mut parameters);
        parameters.finish()?;
        Ok(Self { min_position, known })
    }
}

/// The position in the header, zero without one; a malformed one is told with the faults of the query.
pub(super) fn min_position(headers: &HeaderMap, parameters: &mut Parameters) -> Position {
    let parsed = match single(headers, &LEDGER_MIN_POSITION) {
        Ok(None) => return Position::ZERO,
        Ok(Some(value)) => value.to_str().ok().and_then(parse_position),
        Err(_) => None,
    };
    parsed.unwrap_or_else(|| {
        parameters.fault(LEDGER_MIN_POSITION_NAME, "must be one position: a whole number below 2^63");
        Position::ZERO
    })
}

/// A whole number below 2⁶³, as digits alone.
pub(super) fn parse_position(text: &str) -> Option<Position> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse::<i64>().ok().filter(|_| is_number)?;
    Some(Position::from_i64(number))
}

impl From<ReadFailure> for ApiError {
    fn from(failure: ReadFailure) -> Self {
        match failure {
            ReadFailure::Behind => Self::Unavailable(Unavailable::ReadBehind),
            ReadFailure::Unavailable(_) => {
                tracing::warn!(cause = %failure, "a read failed");
                Self::Unavailable(Unavailable::NoAnswer)
            }
            ReadFailure::Damaged(_) => {
                tracing::error!(cause = %failure, "a read failed");
                Self::Internal
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn read(sent: &[&'static str]) -> Result<u64, usize> {
        let mut headers = HeaderMap::new();
        for value in sent {
            headers.append(LEDGER_MIN_POSITION, HeaderValue::from_static(value));
        }
        let mut parameters = Parameters::read(None, &[]);
        let position = min_position(&headers, &mut parameters);
        let faults = parameters.into_faults().len();
        if faults == 0 { Ok(position.get()) } else { Err(faults) }
    }

    #[test]
    fn positions_are_plain_numbers() {
        assert_eq!(read(&[]), Ok(0));
        assert_eq!(read(&["0"]), Ok(0));
        assert_eq!(read(&["97"]), Ok(97));
        assert_eq!(read(&["9223372036854775807"]), Ok(9_223_372_036_854_775_807));
        for wrong in ["", "-1", "+1", "1.0", "0x10", "abc", "1 2", "9223372036854775808", "1,2"] {
            assert_eq!(read(&[wrong]), Err(1), "{wrong:?}");
        }
        assert_eq!(read(&["1", "1"]), Err(1));
    }

    proptest! {
        #![proptest_config(crate::http::tests::support::fuzz_cases())]

        #[test]
        fn fuzz_positions(bytes in prop_oneof![
            "[0-9]{0,21}".prop_map(String::into_bytes),
            "[0-9 +.,ex_-]{0,6}".prop_map(String::into_bytes),
            proptest::collection::vec(any::<u8>(), 0..10),
        ]) {
            let Ok(value) = HeaderValue::from_bytes(&bytes) else { return Ok(()) };
            let headers = HeaderMap::from_iter([(LEDGER_MIN_POSITION, value)]);
            let mut parameters = Parameters::read(None, &[]);
            let position = min_position(&headers, &mut parameters);
            let text = String::from_utf8_lossy(&bytes);
            if parameters.into_faults().is_empty() {
                let plain = text.trim_start_matches('0');
                prop_assert_eq!(position.to_string(), if plain.is_empty() { "0" } else { plain });
            } else {
                prop_assert_eq!(position, Position::ZERO);
                let is_number = !text.is_empty() && text.len() < 19 && text.bytes().all(|byte| byte.is_ascii_digit());
                prop_assert!(!is_number, "{}", text);
            }
        }
    }
}
