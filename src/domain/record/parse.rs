//! Reading a record as JSON.

use std::sync::Arc;

use uuid::Uuid;

use super::{LedgerId, RecordError};
use crate::domain::event::{Event, EventData, EventType};
use crate::domain::json::{Json, Object, ParseLimits};
use crate::domain::metadata::MAX_DEPTH;
use crate::domain::origin::{
    Actor, Idempotency, IdempotencyKey, Origin, RequestHash, RequestId, Role, TraceParent,
};
use crate::domain::payload::{self, create_from, patch_from};
use crate::domain::position::{Position, Version};
use crate::domain::text::{ActorId, Tenant};
use crate::domain::time::Timestamp;
use crate::domain::vtid::Vtid;

/// A record's levels: the record, its data, and metadata within that.
const LIMITS: ParseLimits = ParseLimits { max_depth: 2 + MAX_DEPTH };

/// Whatever order and spelling its JSON has: the event, and which ledger recorded it, if that can be read.
pub(super) fn read(body: &str) -> Result<(Event, Option<LedgerId>), RecordError> {
    let parsed = Json::parse(body.as_bytes(), &LIMITS).map_err(|_| RecordError::NotAnObject)?;
    let Json::Object(mut object) = parsed.value else { return Err(RecordError::NotAnObject) };
    if let Some(fault) = parsed.faults.first() {
        return Err(RecordError::Data(format!("{} {}", fault.path.join("."), fault.kind)));
    }
    let data = object.take("data");
    let source = Attributes(&object).read("source", LedgerId::parse_source).ok();
    Ok((event(&object, data)?, source))
}

fn event(record: &Object, data: Option<Json>) -> Result<Event, RecordError> {
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
    let unreadable = |faults: Vec<payload::Fault>| {
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
