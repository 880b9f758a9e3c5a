//! `GET /events`

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::Response;
use futures::stream;
use utoipa::openapi::RefOr;
use utoipa::{IntoResponses, openapi as api};

use super::accept::{NDJSON, wants_lines};
use super::error::ApiError;
use super::openapi::{self, Answers, EventParameters, HISTORY, ReadHeaders};
use super::query::Parameters;
use super::reading::{limit, min_position, one, parse_position};
use super::{Api, answer};
use crate::domain::event::EventType;
use crate::domain::position::Position;
use crate::domain::text::{ActorId, Tenant};
use crate::domain::time::GivenTime;
use crate::domain::vtid::{ParsedVtid, Vtid};
use crate::history::export::Export;
use crate::history::records::{RecordQuery, Records, Wanted};
use crate::log::records::RecordFilter;
use crate::projections::page::PageLimit;
use crate::projections::read::ReadFailure;

pub(super) const PARAMETERS: &[&str] =
    &["from", "limit", "tenant", "type", "vtid", "actor", "since", "until"];

/// The ledger's records in order, as they are stored.
///
/// As JSON: a page. It ends early, with `next`, at 4 MiB, or once it has looked at 50,000 positions for records that
/// match; it may then have fewer than `limit`, or none. With `Accept: application/x-ndjson`: the exact stored lines,
/// each with a line feed; without a `limit` all of them, to the ledger's end as it was when the answer began.
///
/// `Ledger-Position` is how far the answer goes: whoever has it whole goes on with the position after that as `from`,
/// whichever filters are given. Whoever has lost the rest of an answer goes on after the last whole line's `position`.
#[utoipa::path(
    get, path = "/events", operation_id = "getEvents", tag = HISTORY,
    params(EventParameters, ReadHeaders), responses(Read)
)]
pub(super) async fn events(
    State(api): State<Arc<Api>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Asked { query, limit, min_position } = parse(uri.query(), &headers)?;
    let lines = wants_lines(&headers);
    let mut response = match limit {
        None if lines => export(api.history.export(&query, min_position).await?).await?,
        limit => {
            let records = api.history.records(&query, limit.unwrap_or_default(), min_position).await?;
            page(&records, lines)
        }
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

/// What the parameters ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    query: RecordQuery,
    limit: Option<PageLimit>,
    min_position: Position,
}

fn parse(query: Option<&str>, headers: &HeaderMap) -> Result<Asked, ApiError> {
    let mut parameters = Parameters::read(query, PARAMETERS);
    let from = parameters.take("from", |text| {
        let from = parse_position(text).filter(|from| *from > Position::ZERO);
        from.ok_or(vec!["must be one position: a whole number from 1 on, below 2^63"])
    });
    let limit = limit(&mut parameters);
    let tenant = parameters.take("tenant", |text| one(Tenant::parse(text)));
    let kind = parameters.take("type", |text| EventType::parse(text).ok_or(vec![unknown_type()]));
    let vtid = parameters.take("vtid", |text| one(Vtid::parse(text)));
    let actor = parameters.take("actor", ActorId::parse);
    let since = parameters.take("since", |text| one(GivenTime::parse(text))).map(GivenTime::rounded_up);
    let until = parameters.take("until", |text| one(GivenTime::parse(text))).map(GivenTime::cut);
    let min_position = min_position(headers, &mut parameters);
    parameters.finish()?;
    let filter = match vtid {
        Some(ParsedVtid::Impossible) => Wanted::Nothing,
        Some(ParsedVtid::Possible(vtid)) => {
            Wanted::Of(RecordFilter { tenant, kind, vtid: Some(vtid), actor })
        }
        None => Wanted::Of(RecordFilter { tenant, kind, vtid: None, actor }),
    };
    let query = RecordQuery { from: from.unwrap_or(Position::new(1)), since, until, filter };
    Ok(Asked { query, limit, min_position })
}

fn unknown_type() -> String {
    format!("must be one of {}", EventType::ALL.map(EventType::as_str).join(", "))
}

/// The records as they are stored: their bytes are JSON already.
fn page(found: &Records, lines: bool) -> Response {
    let bodies = found.records.iter().map(|record| record.body.as_str());
    let bytes: usize = bodies.clone().map(|body| body.len() + 1).sum();
    let mut response = if lines {
        let mut text = String::with_capacity(bytes);
        for body in bodies {
            text.extend([body, "\n"]);
        }
        lines_of(text)
    } else {
        answer::ok(bytes + 128, |answer| {
            answer.number("count", found.records.len() as u64);
            answer.print("data", |out| {
                out.push('[');
                for (index, body) in bodies.enumerate() {
                    out.extend([if index > 0 { "," } else { "" }, body]);
                }
                out.push(']');
            });
            match found.next {
                Some(next) => answer.number("next", next.get()),
                None => answer.null("next"),
            }
        })
    };
    answer::show_position(&mut response, found.looked_to);
    response
}

/// The whole rest, piece by piece, as fast as the caller takes it. The first piece comes before the answer begins, so
/// that a database that is away is still told by the status.
async fn export(mut export: Export) -> Result<Response, ApiError> {
    let end = export.end();
    let first = export.next().await?;
    let pieces = stream::try_unfold((export, first), |(mut export, mut ready)| async move {
        loop {
            let piece = match ready.take() {
                Some(ready) => Some(ready),
                None => export.next().await.inspect_err(broken_off)?,
            };
            match piece {
                None => return Ok::<_, ReadFailure>(None),
                Some(lines) if lines.is_empty() => {}
                Some(lines) => return Ok(Some((Bytes::from(lines), (export, None)))),
            }
        }
    });
    let mut response = lines_of(Body::from_stream(pieces));
    answer::show_position(&mut response, end);
    Ok(response)
}

/// The caller sees an answer that breaks off.
fn broken_off(failure: &ReadFailure) {
    tracing::warn!(cause = %failure, "an export broke off");
}

fn lines_of(lines: impl Into<Body>) -> Response {
    let mut response = Response::new(lines.into());
    response.headers_mut().insert(header::CONTENT_TYPE, NDJSON);
    response
}

/// The answers of this call.
struct Read;

impl IntoResponses for Read {
    fn responses() -> BTreeMap<String, RefOr<api::Response>> {
        Answers::ok("Records", openapi::records(), openapi::example::records())
            .or("application/x-ndjson", openapi::record_lines())
            .header(openapi::position_looked_to())
            .errors(openapi::of_work())
            .errors(openapi::of_reads())
            .build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;
    use crate::log::records::Stored;

    fn parsed(query: &str) -> Result<Asked, Vec<String>> {
        match parse(Some(query), &HeaderMap::new()) {
            Ok(asked) => Ok(asked),
            Err(ApiError::InvalidQuery(faults)) => {
                Err(faults.into_iter().map(|fault| fault.path.join(".")).collect())
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_filter_is_read() {
        let asked = parsed(
            "from=7&limit=3&tenant=acme&type=vtid-updated&vtid=VTID-2026-0042&actor=ada%20l\
             &since=2026-01-01T00:00:00.0001Z&until=2026-01-01T00:00:00.0001Z",
        )
        .unwrap();
        assert_eq!((asked.query.from, asked.limit.unwrap().get()), (Position::new(7), 3));
        let filter = RecordFilter {
            tenant: Some(Tenant::parse("acme").unwrap()),
            kind: Some(EventType::Updated),
            vtid: Some(Vtid::parse_possible("VTID-2026-0042").unwrap()),
            actor: Some(ActorId::parse("ada l").unwrap()),
        };
        assert_eq!(asked.query.filter, Wanted::Of(filter));
        let times = [asked.query.since, asked.query.until].map(|time| time.unwrap().to_string());
        assert_eq!(times, ["2026-01-01T00:00:00.001Z", "2026-01-01T00:00:00.000Z"]);
        let none = parsed("").unwrap();
        assert_eq!((none.query.from, none.limit), (Position::new(1), None));
        assert_eq!(parsed("vtid=VTID-2026-0000").unwrap().query.filter, Wanted::Nothing);
        assert_eq!(parsed("until=0000-01-01T00:00:00Z").unwrap().query.until, Some(Timestamp::MIN));
    }

    #[test]
    fn each_wrong_parameter_is_named() {
        for (query, named) in [
            ("from=0", &["from"][..]),
            ("from=-1", &["from"]),
            ("from=9223372036854775808", &["from"]),
            ("limit=0", &["limit"]),
            ("tenant=A*&type=created&vtid=foo", &["tenant", "type", "vtid"]),
            ("type=VTID-CREATED", &["type"]),
            ("actor=a%07", &["actor"]),
            ("since=today&until=1", &["since", "until"]),
            ("since=2026-01-01T00:00:00+02:00", &["since"]),
            ("cursor=x&from=1&from=2", &["cursor", "from"]),
        ] {
            assert_eq!(parsed(query).unwrap_err(), named, "{query}");
        }
    }

    #[tokio::test]
    async fn records_are_printed_as_they_are() {
        let stored = |at, body: &str| Stored { position: Position::new(at), body: body.to_owned() };
        let found = Records {
            records: vec![stored(5, r#"{ "a" : 1e3 }"#), stored(9, r#"{"b":"ü"}"#)],
            looked_to: Position::new(12),
            next: Some(Position::new(13)),
        };
        let text = |response: Response| async {
            let position = response.headers()["ledger-position"].clone();
            let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
            (position, String::from_utf8(bytes.to_vec()).unwrap())
        };
        let (position, json) = text(page(&found, false)).await;
        assert_eq!(json, r#"{"ok":true,"count":2,"data":[{ "a" : 1e3 },{"b":"ü"}],"next":13}"#);
        assert_eq!(position, "12");
        let (_, lines) = text(page(&found, true)).await;
        assert_eq!(lines, "{ \"a\" : 1e3 }\n{\"b\":\"ü\"}\n");
    }
}
