//! `GET /vtid/list`

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use utoipa::openapi::RefOr;
use utoipa::{IntoResponses, openapi as api};

use super::error::ApiError;
use super::openapi::{self, Answers, ListParameters, ReadHeaders, TASKS};
use super::query::Parameters;
use super::reading::{limit, min_position, moment, one};
use super::{Api, answer};
use crate::domain::command::ParentRef;
use crate::domain::moment::Moment;
use crate::domain::position::Position;
use crate::domain::status::Status;
use crate::domain::text::{Assignee, TaskFamily, TaskType, Tenant};
use crate::domain::vtid::Vtid;
use crate::projections::page::{Filters, ListQuery, PageCursor, PageLimit, PastCursor};
use crate::projections::past::PastQuery;
use crate::projections::read::{Page, Shown};

pub(super) const PARAMETERS: &[&str] = &[
    "taskFamily",
    "taskType",
    "status",
    "tenant",
    "assignedTo",
    "parentVtid",
    "at",
    "position",
    "limit",
    "cursor",
];

/// Tasks, the newest first, in pages.
///
/// A walk by `next_cursor` shows every task that was there when it began, and whose filtered fields do not change
/// meanwhile, exactly once. An answer ends early, with `next_cursor`, at 4 MiB.
///
/// With `at` or `position`: as they were up to that time or event, filtered by what they were then. The walk stays on
/// the position on which it began, which is each answer's `Ledger-Position`, and an answer ends early, with fewer rows
/// than `limit` or none, once it has looked through enough; what is yet to come is 400.
#[utoipa::path(
    get, path = "/vtid/list", operation_id = "listTasks", tag = TASKS,
    params(ListParameters, ReadHeaders), responses(Listed)
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (asked, min_position) = parse(uri.query(), &headers)?;
    let (page, next, position) = match asked {
        Asked::Now(query) => {
            let Shown { value, position } = api.reader.list(&query, min_position).await?;
            let next = value.next.map(|next| next.print(&query.filters));
            (value, next, position)
        }
        Asked::Past(asked) => as_they_were(&api, asked, min_position).await?,
    };
    let mut response = print(&page, next.as_deref());
    answer::show_position(&mut response, position);
    Ok(response)
}

/// A page, the cursor after it, and the position that it shows.
async fn as_they_were(
    api: &Api,
    asked: AskedPast,
    min_position: Position,
) -> Result<(Page, Option<String>, Position), ApiError> {
    let AskedPast { filters, limit, moment, cursor } = asked;
    // A further page is looked up too: the log may have lost what the first one showed.
    let wanted = cursor.map_or(moment, |cursor| Moment::Position(cursor.position));
    let place = api.history.place(wanted, min_position, api.clock.now()).await?;
    let query = match cursor {
        None => PastQuery::first(filters, limit, place),
        Some(PastCursor { page, position }) => PastQuery::further(filters, limit, position, page),
    };
    let page = api.history.list_at(&query).await?;
    let cursor = |page| PastCursor { page, position: place.position }.print(&query.filters, moment);
    let next = page.next.map(cursor);
    Ok((page, next, place.position))
}

/// What the parameters ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    /// Tasks as they are.
    Now(ListQuery),
    /// Tasks as they were.
    Past(AskedPast),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct AskedPast {
    filters: Filters,
    limit: PageLimit,
    moment: Moment,
    cursor: Option<PastCursor>,
}

/// Reads parameters and header.
fn parse(query: Option<&str>, headers: &HeaderMap) -> Result<(Asked, Position), ApiError> {
    let mut parameters = Parameters::read(query, PARAMETERS);
    let filters = Filters {
        family: parameters.take("taskFamily", TaskFamily::parse),
        kind: parameters.take("taskType", TaskType::parse),
        status: parameters.take("status", |text| one(Status::parse(text))),
        tenant: parameters.take("tenant", |text| one(Tenant::parse(text))),
        assigned_to: parameters.take("assignedTo", Assignee::parse),
        parent: parameters.take("parentVtid", |text| one(Vtid::parse(text))).map(ParentRef::from),
    };
    let moment = moment(&mut parameters);
    let limit = limit(&mut parameters).unwrap_or_default();
    let min_position = min_position(headers, &mut parameters);
    // Where a filter is wrong, whether the cursor belongs to the filters is nobody's question.
    let has_cursor = parameters.are_right();
    let asked = match moment {
        None => {
            let parse = |text: &str| one(PageCursor::parse(text, &filters));
            let cursor = if has_cursor { parameters.take("cursor", parse) } else { None };
            Asked::Now(ListQuery { filters, limit, cursor })
        }
        Some(moment) => {
            let parse = |text: &str| one(PastCursor::parse(text, &filters, moment));
            let cursor = if has_cursor { parameters.take("cursor", parse) } else { None };
            Asked::Past(AskedPast { filters, limit, moment, cursor })
        }
    };
    parameters.finish()?;
    Ok((asked, min_position))
}

fn print(page: &Page, next: Option<&str>) -> Response {
    answer::ok(page.rows.len() + 256, |body| {
        body.number("count", u64::from(page.count));
        body.print("data", |body| body.extend(["[", &page.rows, "]"]));
        body.string_or_null("next_cursor", next);
    })
}

/// The answers of this call.
struct Listed;

impl IntoResponses for Listed {
    fn responses() -> BTreeMap<String, RefOr<api::Response>> {
        Answers::ok("A page", openapi::listed(), openapi::example::listed())
            .header(openapi::position_shown())
            .errors(openapi::of_work())
            .errors(openapi::of_reads())
            .build()
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;
    use crate::domain::payload::Fault;
    use crate::domain::task::Task;

    fn parsed(query: &str) -> Result<ListQuery, Vec<String>> {
        match asked(query)? {
            Asked::Now(query) => Ok(query),
            Asked::Past(past) => panic!("{past:?}"),
        }
    }

    fn asked(query: &str) -> Result<Asked, Vec<String>> {
        let told = |fault: Fault| fault.path.join(".");
        match parse(Some(query), &HeaderMap::new()) {
            Ok((asked, _)) => Ok(asked),
            Err(ApiError::InvalidQuery(faults)) => Err(faults.into_iter().map(told).collect()),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_parameters_the_newest_fifty_of_all() {
        let query = parsed("").unwrap();
        assert_eq!(query, ListQuery::default());
    }

    #[test]
    fn every_filter_is_read() {
        let query = parsed(
            "taskFamily=a+b&taskType=%C3%A4&status=blocked&tenant=t-1&assignedTo=x&parentVtid=VTID-2026-0001&limit=1000",
        )
        .unwrap();
        let filters = query.filters;
        assert_eq!(filters.family.unwrap().as_str(), "a b");
        assert_eq!(filters.kind.unwrap().as_str(), "ä");
        assert_eq!(filters.status, Some(Status::Blocked));
        assert_eq!(filters.tenant.unwrap().as_str(), "t-1");
        assert_eq!(filters.assigned_to.unwrap().as_str(), "x");
        let parent = Vtid::parse_possible("VTID-2026-0001").unwrap();
        assert_eq!(filters.parent, Some(ParentRef::Task(parent)));
        assert_eq!(query.limit.get(), 1000);
    }

    #[test]
    fn a_parent_that_no_task_can_be_is_well_formed() {
        for parent in ["VTID-2025-0000", "VTID-2025-9999999999999999999999"] {
            let filters = parsed(&format!("parentVtid={parent}")).unwrap().filters;
            assert_eq!(filters.parent, Some(ParentRef::NeverAssigned), "{parent}");
        }
    }

    #[test]
    fn each_wrong_parameter_is_named() {
        for (query, named) in [
            ("limit=0", &["limit"][..]),
            ("limit=1001", &["limit"]),
            ("limit=-1", &["limit"]),
            ("limit=+5", &["limit"]),
            ("limit=5.0", &["limit"]),
            ("limit=99999999999999999999", &["limit"]),
            ("limit=", &["limit"]),
            ("status=Pending", &["status"]),
            ("tenant=A*", &["tenant"]),
            ("parentVtid=foo", &["parentVtid"]),
            ("taskFamily=+", &["taskFamily"]),
            ("taskType=a%00", &["taskType"]),
            ("task_type=a", &["task_type"]),
            ("Status=active", &["Status"]),
            ("status=active&status=active", &["status"]),
            ("cursor=%20", &["cursor"]),
            ("cursor=AAAA", &["cursor"]),
            ("position=-1", &["position"]),
            ("at=yesterday", &["at"]),
            ("at=2026-01-01", &["at"]),
            ("at=2026-01-01T00:00:00Z&position=1", &["position"]),
            ("position=1&cursor=AAAA", &["cursor"]),
            ("x=1&limit=0&status=no&tenant=%ff", &["x", "tenant", "status", "limit"]),
        ] {
            assert_eq!(parsed(query).unwrap_err(), named, "{query}");
        }
        let long = format!("taskFamily={}", "x".repeat(101));
        assert_eq!(parsed(&long).unwrap_err(), ["taskFamily"]);
    }

    /// Cursors are the client tests' subject, which walk pages.
    #[tokio::test]
    async fn a_page_is_printed_whole() {
        let row = |number| Task { vtid: Vtid::first_of(number), ..crate::http::tests::support::task() };
        let text = |page: Page| async move {
            let bytes = axum::body::to_bytes(print(&page, None).into_body(), 1 << 20).await.unwrap();
            String::from_utf8(bytes.to_vec()).unwrap()
        };
        let empty = text(Page::default()).await;
        assert_eq!(empty, r#"{"ok":true,"count":0,"data":[],"next_cursor":null}"#);
        let rows = format!("{},{}", answer::row(&row(2)), answer::row(&row(1)));
        let printed = text(Page { count: 2, rows: rows.clone(), next: None }).await;
        let expected = format!(r#"{{"ok":true,"count":2,"data":[{rows}],"next_cursor":null}}"#);
        assert_eq!(printed, expected);
    }

    fn print_query(query: &ListQuery) -> String {
        let filters = &query.filters;
        let cursor = query.cursor.map(|cursor| cursor.print(filters));
        let parent = filters.parent.map(|parent| match parent {
            ParentRef::Task(vtid) => vtid.to_string(),
            ParentRef::NeverAssigned => "VTID-2026-0000".to_owned(),
        });
        [
            ("taskFamily", filters.family.as_ref().map(ToString::to_string)),
            ("taskType", filters.kind.as_ref().map(ToString::to_string)),
            ("status", filters.status.map(|status| status.to_string())),
            ("tenant", filters.tenant.as_ref().map(ToString::to_string)),
            ("assignedTo", filters.assigned_to.as_ref().map(ToString::to_string)),
            ("parentVtid", parent),
            ("limit", Some(query.limit.get().to_string())),
            ("cursor", cursor),
        ]
        .into_iter()
        .filter_map(|(name, value)| {
            Some(format!("{name}={}", utf8_percent_encode(&value?, NON_ALPHANUMERIC)))
        })
        .collect::<Vec<_>>()
        .join("&")
    }

    /// Good parameters, and others.
    fn lists() -> impl Strategy<Value = String> {
        let good = prop_oneof![
            "limit=[1-9][0-9]{0,3}",
            "status=(pending|active|blocked|complete|cancelled|done)",
            "tenant=[a-z0-9][a-z0-9_.-]{0,5}",
            "parentVtid=VTID-2026-[0-9]{3,6}",
            "(taskFamily|taskType|assignedTo)=([a-z]|%F0%9F%9A%80|%2[0-9]|\\+){0,5}",
            "cursor=[A-Za-z0-9_-]{31,32}",
        ];
        let pair = prop_oneof![8 => good, 1 => crate::http::query::tests::queries()];
        proptest::collection::vec(pair, 0..4).prop_map(|pairs| pairs.join("&"))
    }

    proptest! {
        #![proptest_config(crate::http::tests::support::fuzz_cases())]

        #[test]
        fn fuzz_lists(query in lists()) {
            match parsed(&query) {
                Ok(read) => prop_assert_eq!(parsed(&print_query(&read)), Ok(read)),
                Err(faults) => prop_assert!(!faults.is_empty()),
            }
        }
    }
}
