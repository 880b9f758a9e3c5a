//! `GET /vtid/{vtid}/proof` and `GET /events/{position}/proof`

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};
use axum::response::Response;
use utoipa::openapi::RefOr;
use utoipa::{IntoResponses, openapi as api};

use super::{TEXT, audit, kept, or_uncached};
use crate::domain::position::{Position, Version};
use crate::domain::vtid::{ParsedVtid, Vtid};
use crate::http::error::{ApiError, Unavailable};
use crate::http::openapi::{
    AUDIT, Answers, ProofParameters, ReadHeaders, cache_control, content_disposition, of_audits, plain,
    position_shown,
};
use crate::http::path::PathVtid;
use crate::http::query::Parameters;
use crate::http::reading::{min_position, parse_position};
use crate::http::{Api, answer};
use crate::sealer::reader::Sought;

pub(in crate::http) const PARAMETERS: &[&str] = &["version"];

/// One of later is as good, and may have more signatures; it holds a record, which is for those with a token.
const UNKEPT: &str = "private, no-cache";

/// That a task's event is in the ledger: one file, to be checked by anybody who has the ledger's verifier key.
///
/// A C2SP tlog-proof: the record, where it stands, the path to the tree's root, and a checkpoint: the newest, or one of the
/// last seconds that more witnesses have signed. `vtid-ledger audit verify-proof` checks it. An event that is not sealed yet is waited for, 2 seconds at most, then it is 503
/// `read_behind`. `Ledger-Position` is the size of the tree.
#[utoipa::path(
    get, path = "/vtid/{vtid}/proof", operation_id = "getProof", tag = AUDIT,
    params(("vtid" = Vtid, Path, description = "Which task."), ProofParameters, ReadHeaders), responses(OfTask)
)]
pub(in crate::http) async fn of_task(
    State(api): State<Arc<Api>>,
    PathVtid(vtid): PathVtid,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    or_uncached(task_proof(&api, vtid, uri.query(), &headers).await)
}

async fn task_proof(
    api: &Api,
    vtid: ParsedVtid,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let mut parameters = Parameters::read(query, PARAMETERS);
    let version = parameters.take("version", |text| {
        let version = parse_position(text).filter(|version| *version > Position::ZERO);
        version.map(|version| Version::new(version.get())).ok_or(vec!["must be a whole number from 1 on"])
    });
    let at_least = min_position(headers, &mut parameters);
    parameters.finish()?;
    let audit = audit(api)?;
    let ParsedVtid::Possible(vtid) = vtid else { return Err(ApiError::VtidNotFound(None)) };
    let proof = audit.proof(Sought::Of(vtid, version), at_least).await?;
    let name = version.map_or_else(|| vtid.to_string(), |version| format!("{vtid}-v{version}"));
    Ok(file(&name, proof.checkpoint.size, proof.to_string()))
}

/// That an event is in the ledger, by its position.
///
/// As `/vtid/{vtid}/proof`.
#[utoipa::path(
    get, path = "/events/{position}/proof", operation_id = "getEventProof", tag = AUDIT,
    params(("position" = Position, Path, description = "The event's position."), ReadHeaders), responses(OfEvent)
)]
pub(in crate::http) async fn of_event(
    State(api): State<Arc<Api>>,
    PathPosition(position): PathPosition,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    or_uncached(event_proof(&api, position, uri.query(), &headers).await)
}

async fn event_proof(
    api: &Api,
    position: Position,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let mut parameters = Parameters::read(query, &[]);
    let at_least = min_position(headers, &mut parameters);
    parameters.finish()?;
    let proof = audit(api)?.proof(Sought::At(position), at_least).await?;
    Ok(file(&format!("event-{position}"), proof.checkpoint.size, proof.to_string()))
}

fn file(name: &str, size: u64, proof: String) -> Response {
    let mut response = kept(TEXT, UNKEPT, proof);
    let disposition = format!("attachment; filename=\"{name}.tlog-proof\"");
    if let Some(disposition) = answer::header_value(disposition) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
    }
    answer::show_position(&mut response, Position::new(size));
    response
}

/// The `{position}` of a path.
pub(in crate::http) struct PathPosition(Position);

impl<S: Send + Sync> FromRequestParts<S> for PathPosition {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        const NO_EVENT: ApiError = ApiError::Absent("no event has this position: they are 1, 2, 3, …");
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| NO_EVENT)?;
        let text = params.iter().find_map(|(name, text)| (name == "position").then_some(text));
        let position = text.and_then(parse_position).filter(|position| *position > Position::ZERO);
        position.map(Self).ok_or(NO_EVENT)
    }
}

/// The answers of these calls.
struct OfTask;
struct OfEvent;

fn answers() -> Answers {
    Answers::of("The proof", TEXT, plain())
        .header(position_shown())
        .header(content_disposition())
        .header(cache_control())
        .errors(of_audits())
        .errors([ApiError::Unavailable(Unavailable::NotSealed)])
}

impl IntoResponses for OfTask {
    fn responses() -> BTreeMap<String, RefOr<api::Response>> {
        answers().errors([ApiError::InvalidVtid, ApiError::VtidNotFound(None)]).build()
    }
}

impl IntoResponses for OfEvent {
    fn responses() -> BTreeMap<String, RefOr<api::Response>> {
        answers().build()
    }
}
