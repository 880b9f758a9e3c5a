//! `POST /vtid/create`

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::response::Response;
use utoipa::openapi::RefOr;
use utoipa::{IntoResponses, openapi as api};

use super::error::ApiError;
use super::openapi::{self, Answers, TASKS, WriteHeaders};
use super::origin::RequestOrigin;
use super::reading::NoParameters;
use super::{Api, answer, body};
use crate::domain::command::{Action, Command, CreateTask};
use crate::domain::payload::parse_create;
use crate::domain::row::write_row;

/// Records a task and gives it the next VTID.
///
/// A task that is created as `complete` is recorded as created and then as completed.
#[utoipa::path(
    post, path = "/vtid/create", operation_id = "createTask", tag = TASKS,
    params(WriteHeaders), request_body(content = CreateTask, example = openapi::example::create), responses(Created)
)]
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    NoParameters: NoParameters,
    RequestOrigin(origin): RequestOrigin,
    request: Request,
) -> Result<Response, ApiError> {
    let (head, body) = request.into_parts();
    let bytes = body::read_json(&head.headers, body, api.limits.body_read_timeout).await?;
    let create = parse_create(&bytes).map_err(ApiError::InvalidPayload)?;
    let accepted = api.writer.submit(Command { action: Action::Create(Arc::new(create)), origin }).await?;
    let vtid = accepted.task.vtid;
    let mut response = answer::ok(answer::ROW_BYTES, |body| {
        body.plain("vtid", vtid);
        body.print("data", |out| write_row(&accepted.task, out));
    });
    if let Some(location) = answer::header_value(format!("/vtid/{vtid}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    answer::show_position(&mut response, accepted.task.position);
    answer::show_version(&mut response, accepted.task.version);
    Ok(response)
}

/// The answers of this call.
struct Created;

impl IntoResponses for Created {
    fn responses() -> BTreeMap<String, RefOr<api::Response>> {
        Answers::ok(
            "The task, pending unless said otherwise",
            openapi::created(),
            openapi::example::created(),
        )
        .header(openapi::location())
        .header(openapi::position_written())
        .header(openapi::etag())
        .link("get", "getTask", "$response.body#/vtid")
        .link("patch", "patchTask", "$response.body#/vtid")
        .errors(openapi::of_bodies())
        .errors(openapi::of_work())
        .errors(openapi::of_writes())
        .build()
    }
}
