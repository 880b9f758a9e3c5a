//! An event of the ledger as an OASIS event: subject, headers and body. Pure.

use crate::domain::command::Change;
use crate::domain::event::{Event, EventData};
use crate::domain::json::{Json, ObjectWriter};
use crate::domain::metadata::Metadata;
use crate::domain::origin::TraceParent;
use crate::domain::record::{LedgerId, Recorded};
use crate::domain::status::Status;
use crate::log::entry::Transition;

/// The service's name, in the subject and in the body.
pub const SERVICE: &str = "vtid-ledger";

/// The header by which NATS tells a repeat within its duplicate window.
pub const MESSAGE_ID: &str = "Nats-Msg-Id";
/// CloudEvents' `id`: the event's id.
pub const CE_ID: &str = "ce-id";
/// CloudEvents' `source`: which ledger the event is of.
pub const CE_SOURCE: &str = "ce-source";
/// The event's position in the ledger, which is the message's sequence in the stream.
pub const CE_POSITION: &str = "ce-position";

/// OASIS's words for how something went, as far as this service says them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OasisStatus {
    Start,
    Success,
    Blocked,
    Warning,
    Info,
}

impl OasisStatus {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Success => "success",
            Self::Blocked => "blocked",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }

    /// It is the change of status that counts: a patch that sets the status a task already has is but an update.
    fn of(event: &Event, transition: &Transition) -> Self {
        match event.data {
            EventData::Created(_) | EventData::Completed(_) => Self::Success,
            EventData::Updated(_) => {
                let before = transition.before.as_ref().map(|task| task.status);
                let after = transition.after.status;
                match after {
                    _ if before == Some(after) => Self::Info,
                    Status::Active => Self::Start,
                    Status::Blocked => Self::Blocked,
                    Status::Cancelled => Self::Warning,
                    Status::Pending | Status::Complete => Self::Info,
                }
            }
        }
    }
}

/// An OASIS event, ready to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OasisMessage {
    /// `oasis.<tenant>.vtid-ledger.<event>`
    pub subject: String,
    /// Names and values; no name twice.
    pub headers: Vec<(&'static str, String)>,
    /// One line of JSON, the record's exact bytes within.
    pub body: String,
}

impl OasisMessage {
    /// The message of an event of `ledger`, given what it did to its task.
    #[must_use]
    pub fn new(ledger: LedgerId, recorded: &Recorded, transition: &Transition) -> Self {
        let event = &recorded.event;
        let kind = event.data.event_type().as_str();
        Self {
            subject: format!("oasis.{}.{SERVICE}.{kind}", event.tenant.as_str()),
            headers: headers(ledger, event),
            body: body(recorded, transition),
        }
    }
}

fn headers(ledger: LedgerId, event: &Event) -> Vec<(&'static str, String)> {
    let mut headers = vec![
        (MESSAGE_ID, event.id.to_string()),
        ("ce-specversion", "1.0".to_owned()),
        (CE_ID, event.id.to_string()),
        (CE_SOURCE, ledger.source()),
        ("ce-type", event.data.event_type().as_str().to_owned()),
        ("ce-subject", event.vtid.to_string()),
        ("ce-time", event.recorded_at.to_string()),
        ("ce-datacontenttype", "application/json".to_owned()),
        (CE_POSITION, event.position.to_string()),
    ];
    let trace = event.origin.traceparent.as_ref().map(TraceParent::as_str);
    headers.extend(trace.map(|trace| ("traceparent", trace.to_owned())));
    headers
}

fn body(recorded: &Recorded, transition: &Transition) -> String {
    let event = &recorded.event;
    let mut text = String::with_capacity(512 + recorded.body.len());
    let mut body = ObjectWriter::new(&mut text);
    body.string("service", SERVICE);
    body.string("event", event.data.event_type().as_str());
    body.string("tenant", event.tenant.as_str());
    body.string("status", OasisStatus::of(event, transition).as_str());
    body.plain("rid", event.id);
    body.plain("timestamp", event.recorded_at);
    for name in ["notes", "git_sha"] {
        body.string_if_some(name, own_metadata(event).and_then(|metadata| text_of(metadata, name)));
    }
    body.object("metadata", |metadata| {
        metadata.plain("vtid", event.vtid);
        metadata.number("position", event.position.get());
        metadata.number("version", event.version.get());
        if let EventData::Completed(_) = event.data {
            let hours = event.recorded_at.hours_since(transition.after.created_at);
            // A float prints without exponent, and a whole number without a point: both are JSON.
            metadata.raw("duration", &hours.to_string());
        }
        metadata.raw("record", &recorded.body);
    });
    body.finish();
    text
}

/// The metadata that this event's own request gave, not what the task has gathered.
fn own_metadata(event: &Event) -> Option<&Metadata> {
    match &event.data {
        EventData::Created(create) => create.metadata.as_ref(),
        EventData::Updated(patch) | EventData::Completed(patch) => match &patch.metadata {
            Change::Set(metadata) => Some(metadata),
            Change::Keep | Change::Clear => None,
        },
    }
}

fn text_of<'a>(metadata: &'a Metadata, name: &str) -> Option<&'a str> {
    match metadata.object().get(name) {
        Some(Json::String(text)) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
#[path = "tests/message.rs"]
mod tests;
