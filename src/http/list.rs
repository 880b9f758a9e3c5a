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
use super::reading::min_position;
use super::{Api, answer};
use crate::domain::command::ParentRef;
use crate::domain::position::Position;
use crate::domain::status::Status;
use crate::domain::text::{Assignee, TaskFamily, TaskType, Tenant};
use crate::domain::vtid::Vtid;
use crate::projections::page::{Filters, ListQuery, PageCursor, PageLimit};
use crate::projections::read::Page;

pub(super) const PARAMETERS: &[&str] =
    &["taskFamily", "taskType", "status", "tenant", "assignedTo", "parentVtid", "limit", "cursor"];

/// Tasks, the newest first, in pages.
///
/// A walk by `next_cursor` shows every task that was there when it began, and whose filtered fields do not change
/// meanwhile, exactly once. An answer ends early, with `next_cursor`, at 4 MiB.
#[utoipa::path(
    get, path = "/vtid/list", operation_id = "listTasks", tag = TASKS,
    params(ListParameters, ReadHeaders), responses(Listed)
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (query, asked) = parse(uri.query(), &headers)?;
    let shown = api.reader.list(&query, asked).await?;
    let mut response = print(&shown.value, &query.filters);
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
    let limit = parameters.take("limit", |text| one(parse_limit(text))).unwrap_or_default();
    let position = min_position(headers, &mut parameters);
    // Where a filter is wrong, whether the cursor belongs to the filters is nobody's question.
    let cursor = if parameters.are_right() {
        parameters.take("cursor", |text| one(PageCursor::parse(text, &filters)))
    } else {
        None
    };
    parameters.finish()?;
    Ok((ListQuery { filters, limit, cursor }, position))
}

fn parse_limit(text: &str) -> Result<PageLimit, String> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let limit = text.parse().ok().filter(|_| is_number).and_then(PageLimit::new);
    limit.ok_or_else(|| format!("must be a whole number from 1 to {}", PageLimit::MAX.get()))
}

fn one<T, E>(result: Result<T, E>) -> Result<T, Vec<E>> {
    result.map_err(|fault| vec![fault])
}

fn print(page: &Page, filters: &Filters) -> Response {
    answer::ok(page.rows.len() + 256, |body| {
        body.number("count", u64::from(page.count));
        body.print("data", |body| body.extend(["[", &page.rows, "]"]));
        body.string_or_null("next_cursor", page.next.map(|cursor| cursor.print(filters)).as_deref());
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
        let told = |fault: Fault| fault.path.join(".");
        match parse(Some(query), &HeaderMap::new()) {
            Ok((query, _)) => Ok(query),
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
            let bytes =
                axum::body::to_bytes(print(&page, &Filters::default()).into_body(), 1 << 20).await.unwrap();
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
