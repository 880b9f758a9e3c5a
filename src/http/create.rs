//! `POST /vtid/create`

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::Response;
use utoipa::openapi::RefOr;
use utoipa::{IntoResponses, openapi as api};

use super::error::ApiError;
use super::openapi::{self, Answers, CreateHeaders, TASKS};
use super::writing::{self, WriteRequest};
use super::{Api, answer};
use crate::domain::command::{Action, CreateTask};
use crate::domain::decide::Refusal;
use crate::domain::payload::parse_create;
use crate::domain::row::write_row;

/// Records a task and gives it the next VTID.
///
/// A task that is created as `complete` is recorded as created and then as completed.
#[utoipa::path(
    post, path = "/vtid/create", operation_id = "createTask", tag = TASKS,
    params(CreateHeaders), request_body(content = CreateTask, example = openapi::example::create), responses(Created)
)]
pub(super) async fn create(State(api): State<Arc<Api>>, request: WriteRequest) -> Result<Response, ApiError> {
    let action = match parse_create(&request.body) {
        Ok(create) => Action::Create(Arc::new(create)),
        Err(faults) => Action::Refuse(Refusal::Payload(faults)),
    };
    let accepted = request.submit(&api, action).await?;
    let mut response = writing::answer(&accepted, |body| {
        body.print("data", |out| write_row(&accepted.task, out));
    });
    if let Some(location) = answer::header_value(format!("/vtid/{}", accepted.task.vtid)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
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
        .header(openapi::replayed())
        .link("get", "getTask", "$response.body#/vtid")
        .link("patch", "patchTask", "$response.body#/vtid")
        .errors(openapi::of_bodies())
        .errors(openapi::of_work())
        .errors(openapi::of_writes())
        .build()
    }
}
