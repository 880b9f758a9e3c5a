//! Holds what callers were told against the log, the read table and the stream. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use vtid_ledger::domain::record::Recorded;

use super::folded::Folded;
use super::history::{Asked, Call, Told};
use super::objection::Objection;
use super::order;

/// A row of the read table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Row {
    /// As the API shows it.
    pub(crate) shown: Value,
    pub(crate) version: u64,
    pub(crate) position: u64,
}

/// A message of the stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Message {
    pub(crate) sequence: u64,
    /// What it says itself.
    pub(crate) position: u64,
    pub(crate) record: Arc<str>,
}

/// All that is known once a round has ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    pub(crate) history: Vec<Call>,
    /// In order of position.
    pub(crate) log: Vec<Recorded>,
    pub(crate) table: BTreeMap<String, Row>,
    /// In the order in which the stream gives them.
    pub(crate) stream: Vec<Message>,
}

/// Which events each request has in the log.
pub(crate) type Written<'a> = BTreeMap<&'a str, Vec<&'a Recorded>>;

/// Everything that can't be; nothing, where all is well.
pub(crate) fn objections(evidence: &Evidence) -> Vec<Objection> {
    let mut found = Vec::new();
    let folded = Folded::fold(&evidence.log, &mut found);
    let mut written = Written::new();
    for recorded in &evidence.log {
        written.entry(recorded.event.origin.request_id.as_str()).or_default().push(recorded);
    }
    each_write_is_as_told(&evidence.history, &written, &mut found);
    nothing_is_unasked(&evidence.history, &written, &mut found);
    each_key_is_written_once(&evidence.history, &written, &mut found);
    order::check(&evidence.history, &written, &folded, &mut found);
    the_stream_is_the_log(&evidence.stream, &evidence.log, &mut found);
    the_table_is_the_fold(&evidence.table, &folded, &mut found);
    found
}

/// All of its events or none, once, as its caller was told.
fn each_write_is_as_told(history: &[Call], written: &Written, found: &mut Vec<Objection>) {
    for call in history {
        let name = || call.request.clone();
        if let Told::Failed(what) = &call.told {
            found.push(Objection::Failed(name(), what.clone()));
        }
        let events = written.get(call.request.as_str()).map_or(0, Vec::len);
        let whole = call.events();
        if events > whole && whole > 0 {
            found.push(Objection::Doubled(name()));
        } else if (1..whole).contains(&events) {
            found.push(Objection::Halved(name()));
        }
        match &call.told {
            // A replay's events are those of an earlier try.
            Told::Written { replayed: false, .. } if events == 0 => found.push(Objection::Lost(name())),
            Told::Refused { .. } | Told::NotWritten if events > 0 => {
                found.push(Objection::RefusedAndWritten(name()));
            }
            _ => {}
        }
    }
}

fn nothing_is_unasked(history: &[Call], written: &Written, found: &mut Vec<Objection>) {
    let asked: BTreeMap<&str, &Call> = history.iter().map(|call| (call.request.as_str(), call)).collect();
    for (request, events) in written {
        let fits = |vtid: &str| match asked.get(request).map(|call| &call.asked) {
            Some(Asked::Create { .. }) => true,
            Some(Asked::Patch { vtid: patched }) => patched == vtid,
            Some(Asked::Get { .. } | Asked::List { .. }) | None => false,
        };
        let unasked = events.iter().filter(|recorded| !fits(&recorded.event.vtid.to_string()));
        found.extend(unasked.map(|recorded| Objection::Unasked(recorded.event.position.get())));
    }
}

/// However often a write was tried with its key, it is in the log once; and a replay's answer is that of the first.
pub(super) fn each_key_is_written_once(history: &[Call], written: &Written, found: &mut Vec<Objection>) {
    let mut tries: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
    for call in history.iter().filter(|call| call.events() > 0) {
        tries.entry(&call.key).or_default().push(call);
    }
    for (key, calls) in tries {
        let went_in = calls.iter().filter(|call| written.contains_key(call.request.as_str())).count();
        if went_in > 1 {
            found.push(Objection::Doubled(key.to_owned()));
        }
        let acknowledged: BTreeSet<u64> = calls.iter().filter_map(|call| call.acknowledged()).collect();
        if acknowledged.len() > 1 {
            found.push(Objection::WrongAnswer(key.to_owned()));
        } else if went_in == 0 && !acknowledged.is_empty() {
            found.push(Objection::Lost(key.to_owned()));
        }
    }
}

/// Every event once, in order, at the sequence that is its position.
fn the_stream_is_the_log(stream: &[Message], log: &[Recorded], found: &mut Vec<Objection>) {
    let events: BTreeMap<u64, &Recorded> =
        log.iter().map(|recorded| (recorded.event.position.get(), recorded)).collect();
    let mut seen = BTreeSet::new();
    let mut last = 0;
    for message in stream {
        if !seen.insert(message.position) {
            found.push(Objection::StreamDoubles(message.position));
        } else if message.sequence != message.position || message.position < last {
            found.push(Objection::StreamReordered(message.sequence, message.position));
        }
        last = last.max(message.position);
        if events.get(&message.position).is_none_or(|recorded| recorded.body != message.record) {
            found.push(Objection::StreamDiffers(message.position));
        }
    }
    let lacking = events.into_keys().filter(|position| !seen.contains(position));
    found.extend(lacking.map(Objection::StreamLacks));
}

fn the_table_is_the_fold(table: &BTreeMap<String, Row>, folded: &Folded, found: &mut Vec<Objection>) {
    for (vtid, state) in folded.last() {
        match table.get(vtid) {
            None => found.push(Objection::RowMissing(vtid.clone())),
            Some(row) => {
                let is = (&row.shown, row.version, row.position);
                if is != (&state.row, state.version, state.position) {
                    found.push(Objection::RowDiffers(vtid.clone()));
                }
            }
        }
    }
    let unknown = table.keys().filter(|vtid| folded.states(vtid).is_empty());
    found.extend(unknown.cloned().map(Objection::RowUnknown));
}
