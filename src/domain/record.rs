//! An event's record: one line of JSON, a CloudEvents 1.0 event in structured form. Its bytes are what is
//! stored, published, exported and hashed, so they are printed once and never again.

use std::sync::Arc;

use uuid::Uuid;

use super::command::{Change, CreateTask, ParentRef, PatchTask};
use super::event::{Event, EventData, EventType};
use super::json::{Json, Object, ObjectWriter, ParseLimits};
use super::metadata::MAX_DEPTH;
use super::origin::{Actor, Idempotency, IdempotencyKey, Origin, RequestHash, RequestId, Role, TraceParent};
use super::payload::{create_from, patch_from};
use super::position::{Position, Version};
use super::text::{ActorId, Tenant};
use super::time::Timestamp;
use super::vtid::Vtid;

/// The bytes of a record at most, without a line feed. The limits of the contract keep every record below.
pub const MAX_BYTES: usize = 65_535;

/// A ledger's id follows it in its events' `source`.
const SOURCE_PREFIX: &str = "/vtid-ledger/";

/// Which ledger this is: a UUID made once, when the ledger is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LedgerId(pub Uuid);

impl LedgerId {
    /// The CloudEvents `source` of this ledger's events.
    #[must_use]
    pub fn source(self) -> String {
        format!("{SOURCE_PREFIX}{}", self.0)
    }

    /// Reads what [`Self::source`] gives; none for any other text.
    #[must_use]
    pub fn parse_source(text: &str) -> Option<Self> {
        let id = text.strip_prefix(SOURCE_PREFIX).filter(|id| id.len() == 36)?;
        Uuid::try_parse(id).ok().map(Self)
    }
}

/// An event together with its record's exact bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Recorded {
    /// What the record says.
    pub event: Event,
    /// The record.
    pub body: Arc<str>,
}

impl Recorded {
    /// Prints the record of a new event.
    #[must_use]
    pub fn print(event: Event, ledger: LedgerId) -> Self {
        let body = print(&event, ledger).into();
        Self { event, body }
    }

    /// Reads a stored record.
    ///
    /// # Errors
    /// [`RecordError`], naming what this program can't read.
    pub fn parse(body: Arc<str>) -> Result<Self, RecordError> {
        let event = read(&body).and_then(|(record, data)| parse(&record, data))?;
        Ok(Self { event, body })
    }

    /// As [`Self::parse`], for those who also ask which ledger recorded it: one that was cloned from another keeps the
    /// other's first records.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn parse_with_source(body: Arc<str>) -> Result<(Self, LedgerId), RecordError> {
        let (record, data) = read(&body)?;
        let source = Attributes(&record).read("source", LedgerId::parse_source)?;
        let event = parse(&record, data)?;
        Ok((Self { event, body }, source))
    }
}

/// This program can't read a record: it is from a later version, or damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// An event type of a later version: this program must not go on past it.
    #[error("an event type that this version does not know: {0}")]
    UnknownType(String),
    /// An attribute is missing, or has a form that this version does not know.
    #[error("the attribute {0} is missing or has a form that this version does not know")]
    Attribute(&'static str),
    /// Not JSON.
    #[error("not a JSON object")]
    NotAnObject,
    /// The data is not what its type asks for.
    #[error("the data has a form that this version does not know: {0}")]
    Data(String),
}

fn print(event: &Event, ledger: LedgerId) -> String {
    let origin = &event.origin;
    let mut line = String::with_capacity(1024);
    let mut record = ObjectWriter::new(&mut line);
    record.string("specversion", "1.0");
    record.plain("id", event.id);
    record.plain("source", format_args!("{SOURCE_PREFIX}{}", ledger.0));
    record.string("type", event.data.event_type().as_str());
    record.plain("subject", event.vtid);
    record.plain("time", event.recorded_at);
    record.string("datacontenttype", "application/json");
    record.plain("position", event.position);
    record.plain("streamversion", event.version);
    record.string("tenant", event.tenant.as_str());
    record.string("actor", origin.actor.id.as_str());
    record.string("actorrole", origin.actor.role.as_str());
    record.string_if_some("actortenant", origin.actor.tenant.as_ref().map(Tenant::as_str));
    record.string("correlationid", origin.request_id.as_str());
    record.string_if_some("traceparent", origin.traceparent.as_ref().map(TraceParent::as_str));
    if let Some(idempotency) = &origin.idempotency {
        record.string("idempotencykey", idempotency.key.as_str());
        record.plain("requesthash", idempotency.hash);
    }
    record.object("data", |data| match &event.data {
        EventData::Created(create) => write_create(data, create),
        EventData::Updated(patch) | EventData::Completed(patch) => write_patch(data, patch),
    });
    record.finish();
    line
}

fn write_create(data: &mut ObjectWriter, create: &CreateTask) {
    data.string("taskFamily", create.family.as_str());
    data.string("taskType", create.kind.as_str());
    data.string("description", create.description.as_str());
    data.string("tenant", create.tenant.as_str());
    data.string_if_some("status", create.status.map(super::status::Status::as_str));
    data.string_if_some("assignedTo", create.assigned_to.as_ref().map(super::text::Assignee::as_str));
    if let Some(metadata) = &create.metadata {
        data.value("metadata", metadata.object());
    }
    if let Some(ParentRef::Task(parent)) = create.parent {
        data.plain("parentVtid", parent);
    }
}

fn write_patch(data: &mut ObjectWriter, patch: &PatchTask) {
    data.string_if_some("status", patch.status.map(super::status::Status::as_str));
    match &patch.assigned_to {
        Change::Keep => {}
        Change::Clear => data.null("assignedTo"),
        Change::Set(assignee) => data.string("assignedTo", assignee.as_str()),
    }
    match &patch.metadata {
        Change::Keep => {}
        Change::Clear => data.null("metadata"),
        Change::Set(metadata) => data.value("metadata", metadata.object()),
    }
}

/// A record's levels: the record, its data, and metadata within that.
const LIMITS: ParseLimits = ParseLimits { max_depth: 2 + MAX_DEPTH };

/// The record's attributes, and its data.
fn read(body: &str) -> Result<(Object, Option<Json>), RecordError> {
    let parsed = Json::parse(body.as_bytes(), &LIMITS).map_err(|_| RecordError::NotAnObject)?;
    let Json::Object(mut object) = parsed.value else { return Err(RecordError::NotAnObject) };
    if let Some(fault) = parsed.faults.first() {
        return Err(RecordError::Data(format!("{} {}", fault.path.join("."), fault.kind)));
    }
    let data = object.take("data");
    Ok((object, data))
}

fn parse(record: &Object, data: Option<Json>) -> Result<Event, RecordError> {
    let record = Attributes(record);
    if record.text("specversion")? != "1.0" {
        return Err(RecordError::Attribute("specversion"));
    }
    let kind = record.text("type")?;
    let kind = EventType::parse(kind).ok_or_else(|| RecordError::UnknownType(kind.to_owned()))?;
    Ok(Event {
        position: Position::new(record.count("position")?),
        id: record.read("id", |text| Uuid::parse_str(text).ok())?,
        vtid: record.read("subject", |text| Vtid::parse_possible(text).ok())?,
        version: Version::new(record.count("streamversion")?),
        tenant: record.read("tenant", |text| Tenant::parse(text).ok())?,
        recorded_at: record.read("time", |text| Timestamp::parse(text).ok())?,
        origin: parse_origin(&record)?,
        data: parse_data(kind, data)?,
    })
}

fn parse_origin(record: &Attributes) -> Result<Origin, RecordError> {
    let key = record.read_if_some("idempotencykey", |text| IdempotencyKey::parse(text).ok())?;
    let hash = record.read_if_some("requesthash", RequestHash::parse)?;
    Ok(Origin {
        actor: Actor {
            id: record.read("actor", |text| ActorId::parse(text).ok())?,
            role: record.read("actorrole", Role::parse)?,
            tenant: record.read_if_some("actortenant", |text| Tenant::parse(text).ok())?,
        },
        request_id: record.read("correlationid", RequestId::parse)?,
        traceparent: record.read_if_some("traceparent", TraceParent::parse)?,
        idempotency: match (key, hash) {
            (Some(key), Some(hash)) => Some(Idempotency { key, hash }),
            (None, None) => None,
            _ => return Err(RecordError::Attribute("requesthash")),
        },
    })
}

fn parse_data(kind: EventType, data: Option<Json>) -> Result<EventData, RecordError> {
    let Some(Json::Object(data)) = data else { return Err(RecordError::Attribute("data")) };
    let unreadable = |faults: Vec<super::payload::Fault>| {
        let told: Vec<String> =
            faults.iter().map(|f| format!("{} {}", f.path.join("."), f.message)).collect();
        RecordError::Data(told.join("; "))
    };
    Ok(match kind {
        EventType::Created => {
            EventData::Created(Arc::new(create_from(data, Vec::new()).map_err(unreadable)?))
        }
        EventType::Updated => EventData::Updated(patch_from(data, Vec::new()).map_err(unreadable)?),
        EventType::Completed => EventData::Completed(patch_from(data, Vec::new()).map_err(unreadable)?),
    })
}

/// A record's attributes: strings all of them.
struct Attributes<'a>(&'a Object);

impl<'a> Attributes<'a> {
    fn text(&self, name: &'static str) -> Result<&'a str, RecordError> {
        match self.0.get(name) {
            Some(Json::String(text)) => Ok(text),
            _ => Err(RecordError::Attribute(name)),
        }
    }

    fn read<T>(&self, name: &'static str, read: impl Fn(&str) -> Option<T>) -> Result<T, RecordError> {
        read(self.text(name)?).ok_or(RecordError::Attribute(name))
    }

    fn read_if_some<T>(
        &self,
        name: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, RecordError> {
        self.0.get(name).map(|_| self.read(name, read)).transpose()
    }

    fn count(&self, name: &'static str) -> Result<u64, RecordError> {
        self.read(name, |text| {
            text.parse::<i64>()
                .ok()
                .and_then(|n| u64::try_from(n).ok())
                .filter(|n| *n > 0 && n.to_string() == text)
        })
    }
}
