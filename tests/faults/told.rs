//! What an answer tells its caller.

use reqwest::header::HeaderMap;
use serde_json::Value;

use super::history::{Asked, Seen, Told};

/// An answer that came whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// Reads the answer; none where there is none.
pub(crate) fn told(asked: &Asked, answer: Option<Answer>) -> Told {
    let reads = asked.is_read();
    let Some(answer) = answer else { return Told::Silence };
    let code = answer.body["code"].as_str().unwrap_or_default();
    match (answer.status, code) {
        (200, _) if matches!(asked, Asked::List { .. }) => match listed(&answer) {
            Some((position, rows)) => Told::Listed { position, rows },
            None => Told::Failed(format!("200 without position or rows: {}", answer.body)),
        },
        (200, _) => match seen(asked, &answer) {
            Some(seen) if reads => Told::Shown(seen),
            Some(seen) => Told::Written { seen, replayed: header(&answer, "idempotency-replayed") == "true" },
            None => Told::Failed(format!("200 without position, version or row: {}", answer.body)),
        },
        (503 | 429, _) if answer.headers.get("retry-after").is_none() => {
            Told::Failed(format!("{} without Retry-After: {}", answer.status, answer.body))
        }
        (503 | 429, _) if reads => Told::NotShown,
        (503, "outcome_unknown") => Told::Unknown,
        (503 | 429, _) => Told::NotWritten,
        (status @ (400 | 404 | 409 | 422), _) => {
            let from = answer.body["detail"]["from"].as_str().map(str::to_owned);
            Told::Refused { status, from }
        }
        (status, _) => Told::Failed(format!("{status}: {}", answer.body)),
    }
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn listed(answer: &Answer) -> Option<(u64, Vec<Value>)> {
    Some((header(answer, "ledger-position").parse().ok()?, answer.body["data"].as_array()?.clone()))
}

fn seen(asked: &Asked, answer: &Answer) -> Option<Seen> {
    let data = &answer.body["data"];
    let row = if matches!(asked, Asked::Patch { .. }) { &data[0] } else { data };
    Some(Seen {
        position: header(answer, "ledger-position").parse().ok()?,
        version: header(answer, "etag").strip_prefix("\"v")?.strip_suffix('"')?.parse().ok()?,
        row: row.is_object().then(|| row.clone())?,
    })
}
