//! `GET /vtid/{vtid}`

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::error::ApiError;
use super::path::PathVtid;
use super::reading::MinPosition;
use super::{Api, answer};

pub(super) async fn get(
    State(api): State<Arc<Api>>,
    PathVtid(vtid): PathVtid,
    MinPosition(asked): MinPosition,
) -> Result<Response, ApiError> {
    let at_least = api.writer.acknowledged().max(asked);
    let shown = api.reader.get(vtid, at_least).await?;
    let Some(task) = shown.value else { return Err(ApiError::VtidNotFound(Some(shown.position))) };
    let row = answer::row(&task);
    let mut response = answer::ok(row.len() + 32, |body| body.raw("data", &row));
    answer::show_position(&mut response, shown.position);
    answer::show_version(&mut response, task.version);
    Ok(response)
}
