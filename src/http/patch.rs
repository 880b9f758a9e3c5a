//! `PATCH /vtid/{vtid}`

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use utoipa::openapi::RefOr;
use utoipa::{IntoResponses, openapi as api};

use super::error::ApiError;
use super::openapi::{self, Answers, TASKS, WriteHeaders};
use super::origin::RequestOrigin;
use super::path::PathVtid;
use super::reading::NoParameters;
use super::{Api, answer, body};
use crate::domain::command::{Action, Command, PatchTask};
use crate::domain::payload::parse_patch;
use crate::domain::row::write_row;
use crate::domain::status::Status;
use crate::domain::vtid::{ParsedVtid, Vtid};

/// Changes a task.
///
/// A patch that changes nothing is recorded too.
#[utoipa::path(
    patch, path = "/vtid/{vtid}", operation_id = "patchTask", tag = TASKS,
    params(("vtid" = Vtid, Path, description = "Which task."), WriteHeaders),
    request_body(content = PatchTask, example = openapi::example::patch), responses(Patched)
)]
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
    let mut response = answer::ok(answer::ROW_BYTES, |body| {
        body.plain("vtid", vtid);
        body.print("data", |out| {
            out.push('[');
            write_row(&accepted.task, out);
            out.push(']');
        });
    });
    answer::show_position(&mut response, accepted.task.position);
    answer::show_version(&mut response, accepted.task.version);
    Ok(response)
}

/// The answers of this call.
struct Patched;

impl IntoResponses for Patched {
    fn responses() -> BTreeMap<String, RefOr<api::Response>> {
        Answers::ok(
            "The task as it is now, as a list of one",
            openapi::patched(),
            openapi::example::patched(),
        )
        .header(openapi::position_written())
        .header(openapi::etag())
        .link("get", "getTask", "$response.body#/vtid")
        .link("patch", "patchTask", "$response.body#/vtid")
        .errors([ApiError::InvalidVtid, ApiError::VtidNotFound(None)])
        .errors([ApiError::InvalidTransition { from: Status::Complete, to: Status::Active }])
        .errors(openapi::of_bodies())
        .errors(openapi::of_work())
        .errors(openapi::of_writes())
        .build()
    }
}
