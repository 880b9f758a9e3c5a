//! `GET /vtid/list`

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;

use super::error::ApiError;
use super::query::Parameters;
use super::reading::min_position;
use super::{Api, answer};
use crate::domain::command::ParentRef;
use crate::domain::position::Position;
use crate::domain::row::write_row;
use crate::domain::status::Status;
use crate::domain::text::{Assignee, TaskFamily, TaskType, Tenant};
use crate::domain::vtid::Vtid;
use crate::projections::read::{Filters, ListQuery, Page, PageCursor};

const PARAMETERS: &[&str] =
    &["taskFamily", "taskType", "status", "tenant", "assignedTo", "parentVtid", "limit", "cursor"];
/// Rows of an answer at most, and without a `limit`.
const LIMIT_MAX: u16 = 1000;
const LIMIT_DEFAULT: u16 = 50;

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let acknowledged = api.writer.acknowledged();
    let (query, asked) = parse(uri.query(), &headers)?;
    let shown = api.reader.list(&query, acknowledged.max(asked)).await?;
    let mut response = print(&shown.value);
    answer::show_position(&mut response, shown.position);
    Ok(response)
}

/// Reads parameters and header.
fn parse(query: Option<&str>, headers: &HeaderMap) -> Result<(ListQuery, Position), ApiError> {
    let mut parameters = Parameters::read(query, PARAMETERS);
    let filters = Filters {
        family: parameters.take("taskFamily", TaskFamily::parse),
        kind: parameters.take("taskType", TaskType::parse),
        status: parameters.take("status", |text| one(Status::parse(text))),
        tenant: parameters.take("tenant", |text| one(Tenant::parse(text))),
        assigned_to: parameters.take("assignedTo", Assignee::parse),
        parent: parameters.take("parentVtid", |text| one(Vtid::parse(text))).map(ParentRef::from),
    };
    let limit = parameters.take("limit", |text| one(parse_limit(text))).unwrap_or(LIMIT_DEFAULT);
    let position = min_position(headers, &mut parameters);
    // Where a filter is wrong, whether the cursor belongs to the filters is nobody's question.
    let cursor = if parameters.are_right() {
        parameters.take("cursor", |text| one(PageCursor::parse(text, &filters)))
    } else {
        None
    };
    let faults = parameters.into_faults();
    if faults.is_empty() {
        Ok((ListQuery { filters, limit: usize::from(limit), cursor }, position))
    } else {
        Err(ApiError::InvalidQuery(faults))
    }
}

fn parse_limit(text: &str) -> Result<u16, String> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let limit = text.parse().ok().filter(|limit| is_number && (1..=LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| format!("must be a whole number from 1 to {LIMIT_MAX}"))
}

fn one<T, E>(result: Result<T, E>) -> Result<T, Vec<E>> {
    result.map_err(|fault| vec![fault])
}

fn print(page: &Page) -> Response {
    let mut rows = String::with_capacity(2 + answer::ROW_BYTES * page.tasks.len());
    rows.push('[');
    for (index, task) in page.tasks.iter().enumerate() {
        if index > 0 {
            rows.push(',');
        }
        write_row(task, &mut rows);
    }
    rows.push(']');
    answer::ok(rows.len() + 256, |body| {
        body.number("count", page.tasks.len() as u64);
        body.raw("data", &rows);
        body.string_or_null("next_cursor", page.next.as_ref().map(ToString::to_string).as_deref());
    })
}
