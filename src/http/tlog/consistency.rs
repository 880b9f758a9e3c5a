//! `GET /tlog/consistency`

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use utoipa::openapi::RefOr;
use utoipa::{IntoResponses, openapi as api};

use super::{audit, or_uncached};
use crate::domain::json::Json;
use crate::domain::position::Position;
use crate::http::error::ApiError;
use crate::http::openapi::{self, AUDIT, Answers, AnyHeaders, ConsistencyParameters, of_audits};
use crate::http::query::Parameters;
use crate::http::reading::parse_position;
use crate::http::{Api, answer};

pub(in crate::http) const PARAMETERS: &[&str] = &["from", "to"];

/// That one tree goes on where a smaller one ended.
///
/// A consistency proof of RFC 6962 between the trees of `from` and of `to` events: with it, whoever has a checkpoint of
/// each sees that nothing before was changed. Empty where `from` is 0 or equals `to`.
#[utoipa::path(
    get, path = "/tlog/consistency", operation_id = "getConsistency", tag = AUDIT,
    params(ConsistencyParameters, AnyHeaders), responses(Consistent)
)]
pub(in crate::http) async fn consistency(State(api): State<Arc<Api>>, uri: Uri) -> Response {
    or_uncached(prove(&api, uri.query()).await)
}

async fn prove(api: &Api, query: Option<&str>) -> Result<Response, ApiError> {
    let (from, to) = parse(query)?;
    let path = audit(api)?.consistency(from.get(), to.get()).await?;
    Ok(answer::ok(64 + 48 * path.len(), |body| {
        body.number("from", from.get());
        body.number("to", to.get());
        body.json("path", &Json::Array(path.iter().map(|hash| Json::String(hash.to_string())).collect()));
    }))
}

fn parse(query: Option<&str>) -> Result<(Position, Position), ApiError> {
    let mut parameters = Parameters::read(query, PARAMETERS);
    let size = |text: &str| parse_position(text).ok_or(vec!["must be a whole number below 2^63"]);
    let [from, to] = ["from", "to"].map(|name| {
        if !parameters.has(name) {
            parameters.fault(name, "is required");
        }
        parameters.take(name, size)
    });
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        parameters.fault("from", "must not be larger than `to`");
    }
    parameters.finish()?;
    Ok((from.unwrap_or_default(), to.unwrap_or_default()))
}

/// The answers of this call.
struct Consistent;

impl IntoResponses for Consistent {
    fn responses() -> BTreeMap<String, RefOr<api::Response>> {
        Answers::ok("The proof", openapi::consistent(), openapi::example::consistent())
            .errors(of_audits())
            .build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::payload::Fault;

    fn faults(query: &str) -> Vec<String> {
        match parse(Some(query)) {
            Ok(_) => Vec::new(),
            Err(ApiError::InvalidQuery(faults)) => {
                faults.iter().map(|Fault { path, message }| format!("{} {message}", path.join("."))).collect()
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn both_sizes_are_asked_for_and_the_smaller_first() {
        assert_eq!(parse(Some("from=3&to=3")), Ok((Position::new(3), Position::new(3))));
        assert_eq!(parse(Some("to=9&from=0")), Ok((Position::ZERO, Position::new(9))));
        assert_eq!(faults("from=4&to=3"), ["from must not be larger than `to`"]);
        assert_eq!(faults("to=3"), ["from is required"]);
        assert_eq!(faults("from=3"), ["to is required"]);
        assert_eq!(faults(""), ["from is required", "to is required"]);
        assert_eq!(faults("from=-1&to=3"), ["from must be a whole number below 2^63"]);
        assert_eq!(faults("from=1&to=9223372036854775808").len(), 1);
        assert_eq!(faults("from=1&to=3&x=1"), ["x is not a known parameter"]);
    }
}
