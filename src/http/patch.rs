//! `PATCH /vtid/{vtid}`

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;

use super::error::ApiError;
use super::origin::RequestOrigin;
use super::path::PathVtid;
use super::reading::NoParameters;
use super::{Api, answer, body};
use crate::domain::command::{Action, Command};
use crate::domain::payload::parse_patch;
use crate::domain::vtid::ParsedVtid;

pub(super) async fn patch(
    State(api): State<Arc<Api>>,
    PathVtid(vtid): PathVtid,
    NoParameters: NoParameters,
    RequestOrigin(origin): RequestOrigin,
    request: Request,
) -> Result<Response, ApiError> {
    let (head, body) = request.into_parts();
    let bytes = body::read_json(&head.headers, body, api.limits.body_read_timeout).await?;
    let patch = parse_patch(&bytes).map_err(ApiError::InvalidPayload)?;
    let ParsedVtid::Possible(vtid) = vtid else {
        // No task ever has it, so there is nothing to ask the writer.
        return Err(ApiError::VtidNotFound(None));
    };
    let accepted = api.writer.submit(Command { action: Action::Patch(vtid, patch), origin }).await?;
    let row = answer::row(&accepted.task);
    let mut response = answer::ok(row.len() + 64, |body| {
        body.string("vtid", &vtid.to_string());
        body.raw("data", &format!("[{row}]"));
    });
    answer::show_position(&mut response, accepted.task.position);
    answer::show_version(&mut response, accepted.task.version);
    Ok(response)
}
