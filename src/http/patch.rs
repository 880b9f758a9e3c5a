//! `PATCH /vtid/{vtid}`

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use utoipa::openapi::RefOr;
use utoipa::{IntoResponses, openapi as api};

use super::Api;
use super::error::ApiError;
use super::openapi::{self, Answers, PatchHeaders, TASKS};
use super::path::PathVtid;
use super::writing::{self, WriteRequest};
use crate::domain::command::{Action, PatchTask};
use crate::domain::decide::Refusal;
use crate::domain::payload::parse_patch;
use crate::domain::position::Version;
use crate::domain::row::write_row;
use crate::domain::status::Status;
use crate::domain::vtid::{ParsedVtid, Vtid};

/// Changes a task.
///
/// A patch that changes nothing is recorded too.
#[utoipa::path(
    patch, path = "/vtid/{vtid}", operation_id = "patchTask", tag = TASKS,
    params(("vtid" = Vtid, Path, description = "Which task."), PatchHeaders),
    request_body(content = PatchTask, example = openapi::example::patch), responses(Patched)
)]
pub(super) async fn patch(
    State(api): State<Arc<Api>>,
    PathVtid(vtid): PathVtid,
    mut request: WriteRequest,
) -> Result<Response, ApiError> {
    let expected = std::mem::take(&mut request.expected);
    let action = match (parse_patch(&request.body), vtid) {
        (Err(faults), _) => Action::Refuse(Refusal::Payload(faults)),
        (Ok(patch), ParsedVtid::Possible(vtid)) => Action::Patch(vtid, patch, expected),
        // No task ever has it.
        (Ok(_), ParsedVtid::Impossible) => Action::Refuse(Refusal::TaskNotFound),
    };
    let accepted = request.submit(&api, action).await?;
    Ok(writing::answer(&accepted, |body| {
        body.print("data", |out| {
            out.push('[');
            write_row(&accepted.task, out);
            out.push(']');
        });
    }))
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
        .header(openapi::replayed())
        .link("get", "getTask", "$response.body#/vtid")
        .link("patch", "patchTask", "$response.body#/vtid")
        .errors([ApiError::InvalidVtid, ApiError::VtidNotFound(None)])
        .errors([ApiError::VersionMismatch { current: Version::new(3) }])
        .errors([ApiError::InvalidTransition { from: Status::Complete, to: Status::Active }])
        .errors(openapi::of_bodies())
        .errors(openapi::of_work())
        .errors(openapi::of_writes())
        .build()
    }
}
