//! `POST /vtid/create`

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::response::Response;

use super::error::ApiError;
use super::origin::RequestOrigin;
use super::reading::NoParameters;
use super::{Api, answer, body};
use crate::domain::command::{Action, Command};
use crate::domain::payload::parse_create;

pub(super) async fn create(
    State(api): State<Arc<Api>>,
    NoParameters: NoParameters,
    RequestOrigin(origin): RequestOrigin,
    request: Request,
) -> Result<Response, ApiError> {
    let (head, body) = request.into_parts();
    let bytes = body::read_json(&head.headers, body, api.limits.body_read_timeout).await?;
    let create = parse_create(&bytes).map_err(ApiError::InvalidPayload)?;
    let accepted = api.writer.submit(Command { action: Action::Create(Box::new(create)), origin }).await?;
    let vtid = accepted.task.vtid.to_string();
    let row = answer::row(&accepted.task);
    let mut response = answer::ok(row.len() + 64, |body| {
        body.string("vtid", &vtid);
        body.raw("data", &row);
    });
    if let Some(location) = answer::header_value(format!("/vtid/{vtid}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    answer::show_position(&mut response, accepted.task.position);
    answer::show_version(&mut response, accepted.task.version);
    Ok(response)
}
