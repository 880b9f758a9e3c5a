//! `GET /vtid/{vtid}`

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use futures::stream;
use utoipa::openapi::RefOr;
use utoipa::{IntoResponses, openapi as api};

use super::error::ApiError;
use super::openapi::{self, Answers, MomentParameters, OneReadHeaders, TASKS};
use super::path::PathVtid;
use super::reading::ReadRequest;
use super::{Api, answer};
use crate::domain::command::ParentRef;
use crate::domain::moment::{Moment, Place};
use crate::domain::position::Position;
use crate::domain::task::Task;
use crate::domain::vtid::{ParsedVtid, Vtid};
use crate::projections::page::{Filters, ListQuery};
use crate::projections::read::{ReadFailure, Reader, Shown};

/// One task, as it is or as it was.
///
/// As it was: up to an event (`position`) or a time (`at`), from the log itself. `Ledger-Position` is that event's, and
/// the `ETag` the version then; a task that was not there yet is 404. What is yet to come is 400.
#[utoipa::path(
    get, path = "/vtid/{vtid}", operation_id = "getTask", tag = TASKS,
    params(("vtid" = Vtid, Path, description = "Which task."), MomentParameters, OneReadHeaders), responses(Got)
)]
pub(super) async fn get(
    State(api): State<Arc<Api>>,
    PathVtid(vtid): PathVtid,
    request: ReadRequest,
) -> Result<Response, ApiError> {
    let shown = match (vtid, request.moment) {
        (vtid, Some(moment)) => as_it_was(&api, vtid, moment, request.min_position).await?,
        (ParsedVtid::Possible(vtid), None) => api.reader.get(vtid, request.min_position).await?,
        (ParsedVtid::Impossible, None) => nothing(&api.reader, request.min_position).await?,
    };
    let Some(task) = shown.value else { return Err(ApiError::VtidNotFound(Some(shown.position))) };
    let known = request.known.is_some_and(|tags| tags.has(task.version));
    let mut response = if known { not_modified() } else { print(&task) };
    answer::show_position(&mut response, shown.position);
    answer::show_version(&mut response, task.version);
    Ok(response)
}

async fn as_it_was(
    api: &Api,
    vtid: ParsedVtid,
    moment: Moment,
    asked: Position,
) -> Result<Shown<Option<Arc<Task>>>, ApiError> {
    let Place { position, .. } = api.history.place(moment, asked, api.clock.now()).await?;
    let value = match vtid {
        ParsedVtid::Possible(vtid) => api.history.task_at(vtid, position).await?,
        ParsedVtid::Impossible => None,
    };
    Ok(Shown { value, position })
}

/// No task ever has the number; the answer still says at which position it has none, as every read does. The
/// position is that of a list which is always empty.
async fn nothing(reader: &Reader, asked: Position) -> Result<Shown<Option<Arc<Task>>>, ReadFailure> {
    let filters = Filters { parent: Some(ParentRef::NeverAssigned), ..Filters::default() };
    let shown = reader.list(&ListQuery { filters, ..ListQuery::default() }, asked).await?;
    Ok(Shown { value: None, position: shown.position })
}

fn print(task: &Task) -> Response {
    let row = answer::row(task);
    answer::ok(row.len() + 32, |body| body.raw("data", &row))
}

/// The caller has it already: an answer without a body. Of a body whose length is not known no `Content-Length` is told:
/// it would have to be that of the row (RFC 9110, 8.6).
fn not_modified() -> Response {
    let mut response = Response::new(Body::from_stream(stream::empty::<Result<Bytes, Infallible>>()));
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response
}

/// The answers of this call.
struct Got;

impl IntoResponses for Got {
    fn responses() -> BTreeMap<String, RefOr<api::Response>> {
        Answers::ok("The task", openapi::got(), openapi::example::got())
            .header(openapi::position_shown())
            .header(openapi::etag())
            .link("patch", "patchTask", "$response.body#/data/vtid")
            .further("304", openapi::not_modified())
            .errors([ApiError::InvalidVtid, ApiError::VtidNotFound(Some(Position::ZERO))])
            .errors(openapi::of_work())
            .errors(openapi::of_reads())
            .build()
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;
    use crate::http::tests::support::task;

    #[tokio::test]
    async fn a_task_is_printed_as_its_row() {
        let response = print(&task());
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let expected = format!(r#"{{"ok":true,"data":{}}}"#, answer::row(&task()));
        assert_eq!(String::from_utf8(bytes.to_vec()).unwrap(), expected);
    }

    #[test]
    fn a_task_that_is_not_there_is_told_with_a_position_too() {
        let response = ApiError::VtidNotFound(Some(Position::new(99))).into_response();
        assert_eq!(response.headers()["ledger-position"], "99");
        assert!(!response.headers().contains_key("etag"));
    }
}
