//! `GET /vtid/{vtid}/events`

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use utoipa::openapi::RefOr;
use utoipa::{IntoResponses, openapi as api};

use super::error::ApiError;
use super::openapi::{self, Answers, HISTORY, PageParameters, ReadHeaders};
use super::path::PathVtid;
use super::query::Parameters;
use super::reading::{limit, min_position, one};
use super::{Api, answer};
use crate::domain::position::Position;
use crate::domain::vtid::{ParsedVtid, Vtid};
use crate::history::stream::{EventPage, StreamCursor};
use crate::projections::page::{BadPageCursor, PageLimit};

pub(super) const PARAMETERS: &[&str] = &["limit", "cursor"];

/// What happened to one task, the oldest first, in pages.
///
/// Who asked for what, when, and what it changed: each field of the task that has another value after the event, with
/// its value before and after; metadata as a whole. A new task's fields were null before. A patch that changed nothing
/// has no changes. The records themselves are those of `GET /events?vtid=…`. A walk by `next_cursor` shows each event
/// once, those too that come meanwhile; an answer ends early, with `next_cursor`, at 4 MiB.
#[utoipa::path(
    get, path = "/vtid/{vtid}/events", operation_id = "getTaskEvents", tag = HISTORY,
    params(("vtid" = Vtid, Path, description = "Which task."), PageParameters, ReadHeaders), responses(Told)
)]
pub(super) async fn task_events(
    State(api): State<Arc<Api>>,
    PathVtid(vtid): PathVtid,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let asked = parse(vtid, uri.query(), &headers)?;
    let head = api.history.head(asked.min_position).await?.position;
    let not_there = ApiError::VtidNotFound(Some(head));
    let ParsedVtid::Possible(vtid) = vtid else { return Err(not_there) };
    let page = api.history.events(vtid, asked.limit, asked.cursor, head).await?.ok_or(not_there)?;
    let mut response = print(&page, vtid);
    answer::show_position(&mut response, head);
    Ok(response)
}

/// What the parameters ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    limit: PageLimit,
    cursor: Option<StreamCursor>,
    min_position: Position,
}

fn parse(vtid: ParsedVtid, query: Option<&str>, headers: &HeaderMap) -> Result<Asked, ApiError> {
    let mut parameters = Parameters::read(query, PARAMETERS);
    let limit = limit(&mut parameters).unwrap_or_default();
    let cursor = parameters.take("cursor", |text| match vtid {
        ParsedVtid::Possible(vtid) => one(StreamCursor::parse(text, vtid)),
        ParsedVtid::Impossible => Err(vec![BadPageCursor]),
    });
    let min_position = min_position(headers, &mut parameters);
    parameters.finish()?;
    Ok(Asked { limit, cursor, min_position })
}

fn print(page: &EventPage, vtid: Vtid) -> Response {
    answer::ok(page.events.len() + 256, |body| {
        body.number("count", u64::from(page.count));
        body.print("data", |body| body.extend(["[", &page.events, "]"]));
        body.string_or_null("next_cursor", page.next.map(|cursor| cursor.print(vtid)).as_deref());
    })
}

/// The answers of this call.
struct Told;

impl IntoResponses for Told {
    fn responses() -> BTreeMap<String, RefOr<api::Response>> {
        Answers::ok("A page", openapi::history(), openapi::example::history())
            .header(openapi::position_shown())
            .errors([ApiError::InvalidVtid, ApiError::VtidNotFound(Some(Position::ZERO))])
            .errors(openapi::of_work())
            .errors(openapi::of_reads())
            .build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_parameter_is_named() {
        for (query, named) in [
            ("limit=0", &["limit"][..]),
            ("limit=1001&cursor=x", &["limit", "cursor"]),
            ("cursor=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &["cursor"]),
            ("at=2026-01-01T00:00:00Z", &["at"]),
            ("from=1", &["from"]),
        ] {
            let vtid = ParsedVtid::Possible(Vtid::first_of(2026));
            let faults = match parse(vtid, Some(query), &HeaderMap::new()) {
                Err(ApiError::InvalidQuery(faults)) => faults,
                other => panic!("{other:?}"),
            };
            let paths: Vec<String> = faults.into_iter().map(|fault| fault.path.join(".")).collect();
            assert_eq!(paths, named, "{query}");
        }
    }
}
