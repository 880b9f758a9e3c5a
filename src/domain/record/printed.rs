//! Reading a record that has the form in which the ledger prints it, some five times as fast as JSON of any form.
//!
//! It gives none for every text that it does not know for sure to be a record which [`super::parse`] reads, to the same
//! event; that one decides then. A property test holds the two together.

use std::sync::Arc;

use super::LedgerId;
use super::attributes::Attributes;
use super::metadata;
use super::reader::Reader;
use crate::domain::command::{Change, CreateTask, ParentRef, PatchTask};
use crate::domain::event::{Event, EventData, EventType};
use crate::domain::metadata::Metadata;
use crate::domain::origin::{Actor, Idempotency, IdempotencyKey, Origin, RequestId, TraceParent};
use crate::domain::status::Status;
use crate::domain::text::{ActorId, Assignee, Description, TaskFamily, TaskType, Tenant};
use crate::domain::vtid::Vtid;

/// What ends the data and the record.
const END: &str = "}}";

/// The event, and which ledger recorded it.
pub(super) fn read(body: &str) -> Option<(Event, LedgerId)> {
    let mut reader = Reader::new(body);
    let found = Attributes::read(&mut reader)?;
    let source = LedgerId::parse_source(found.source)?;
    let data = match found.kind {
        EventType::Created => EventData::Created(Arc::new(create(&mut reader)?)),
        EventType::Updated => EventData::Updated(patch(&mut reader)?),
        EventType::Completed => EventData::Completed(patch(&mut reader)?),
    };
    if !reader.at_end() {
        return None;
    }
    let tenant = Tenant::parse(found.tenant.text).ok()?;
    let actor = Actor {
        id: ActorId::parse(found.actor.text).ok()?,
        role: found.role,
        tenant: found.actor_tenant.map(|piece| Tenant::parse(piece.text)).transpose().ok()?,
    };
    let idempotency = match found.idempotency {
        Some((key, hash)) => Some(Idempotency { key: IdempotencyKey::parse(key).ok()?, hash }),
        None => None,
    };
    let traceparent = match found.traceparent {
        Some(text) => Some(TraceParent::parse(text)?),
        None => None,
    };
    let origin =
        Origin { actor, request_id: RequestId::parse(found.request.text)?, traceparent, idempotency };
    let event = Event {
        position: found.position,
        id: found.id,
        vtid: found.vtid,
        version: found.version,
        tenant,
        recorded_at: found.time,
        origin,
        data,
    };
    Some((event, source))
}

fn create(reader: &mut Reader) -> Option<CreateTask> {
    reader.literal(r#""taskFamily":""#)?;
    let family = reader.text().and_then(|text| TaskFamily::parse(&text).ok())?;
    reader.literal(r#","taskType":""#)?;
    let kind = reader.text().and_then(|text| TaskType::parse(&text).ok())?;
    reader.literal(r#","description":""#)?;
    let description = reader.text().and_then(|text| Description::parse(&text).ok())?;
    reader.literal(r#","tenant":""#)?;
    let tenant = reader.read(|text| Tenant::parse(text).ok())?;
    let mut create = CreateTask {
        family,
        kind,
        description,
        tenant,
        status: None,
        assigned_to: None,
        metadata: None,
        parent: None,
    };
    if reader.skip(r#","status":""#) {
        create.status = Some(reader.read(|text| Status::parse(text).ok())?);
    }
    if reader.skip(r#","assignedTo":""#) {
        create.assigned_to = Some(assignee(reader)?);
    }
    if reader.skip(r#","metadata":"#) {
        create.metadata = Some(metadata(reader)?);
    }
    if reader.skip(r#","parentVtid":""#) {
        create.parent = Some(reader.read(|text| Vtid::parse(text).ok()).map(ParentRef::from)?);
    }
    reader.literal(END)?;
    Some(create)
}

fn patch(reader: &mut Reader) -> Option<PatchTask> {
    let mut patch = PatchTask::default();
    let mut is_first = true;
    // What is not the first field has a comma in front.
    let mut has = |reader: &mut Reader, first: &str, later: &str| {
        let has = reader.skip(if is_first { first } else { later });
        is_first &= !has;
        has
    };
    if has(reader, r#""status":""#, "") {
        patch.status = Some(reader.read(|text| Status::parse(text).ok())?);
    }
    if has(reader, r#""assignedTo":"#, r#","assignedTo":"#) {
        patch.assigned_to = if reader.skip("null") {
            Change::Clear
        } else {
            reader.literal("\"")?;
            Change::Set(assignee(reader)?)
        };
    }
    if has(reader, r#""metadata":"#, r#","metadata":"#) {
        patch.metadata = if reader.skip("null") { Change::Clear } else { Change::Set(metadata(reader)?) };
    }
    reader.literal(END)?;
    Some(patch)
}

fn assignee(reader: &mut Reader) -> Option<Assignee> {
    reader.text().and_then(|text| Assignee::parse(&text).ok())
}

fn metadata(reader: &mut Reader) -> Option<Metadata> {
    metadata::object(reader, &mut Vec::new()).map(Metadata::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::record::parse;

    fn record(kind: &str, rest: &str, data: &str) -> String {
        format!(
            r#"{{"specversion":"1.0","id":"0196f3a2-7b1c-7d5e-8f00-0123456789ab","source":"/vtid-ledger/0196f3a2-0000-4000-8000-000000000000","type":"{kind}","subject":"VTID-2025-0012","time":"2025-10-28T10:00:00.123Z","datacontenttype":"application/json","position":"12","streamversion":"3","tenant":"acme","actor":"alice","actorrole":"service_role"{rest},"data":{{{data}}}}}"#
        )
    }

    #[test]
    fn whatever_the_ledger_prints_is_read_here() {
        let all = r#","actortenant":"acme","correlationid":"r-1","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","idempotencykey":"k"#;
        let hash = format!(r#"{all}","requesthash":"{}""#, "0a".repeat(32));
        let plain = r#","correlationid":"r-1""#;
        let create = r#""taskFamily":"DEPLOY","taskType":"a\"b","description":"one\ntwo","tenant":"acme""#;
        let texts = [
            record("vtid-created", plain, create),
            record("vtid-created", &hash, &format!(r#"{create},"status":"active","assignedTo":"ü""#)),
            record("vtid-created", plain, &format!(r#"{create},"metadata":{{"a":[1.50,{{}}]}}"#)),
            record("vtid-created", plain, &format!(r#"{create},"metadata":{{"a":",\"parentVtid\":\""}}"#)),
            record(
                "vtid-created",
                plain,
                &format!(r#"{create},"metadata":{{}},"parentVtid":"VTID-2025-0001""#),
            ),
            record("vtid-created", plain, &format!(r#"{create},"parentVtid":"VTID-2025-0001""#)),
            record("vtid-updated", plain, r#""status":"active","assignedTo":null,"metadata":null"#),
            record("vtid-updated", &hash, r#""assignedTo":"bob","metadata":{"a":null}"#),
            record("vtid-updated", plain, r#""metadata":{"x":-1000.50}"#),
            record("vtid-completed", plain, r#""status":"complete""#),
            record("vtid-completed", plain, ""),
        ];
        for text in texts {
            let (event, source) = read(&text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(parse::read(&text), Ok((event, Some(source))), "{text}");
        }
    }

    #[test]
    fn whatever_it_does_not_print_is_left_to_the_parser() {
        let plain = r#","correlationid":"r-1""#;
        let good = record("vtid-updated", plain, r#""status":"active","metadata":{"a":1}"#);
        assert!(read(&good).is_some());
        for (from, to) in [
            (r#""active","#, r#""active", "#),
            (r#"{"a":1}"#, r#"{"a":1},"more":2"#),
            (r#"{"a":1}"#, r#"{"a":1,"a":2}"#),
            (r#"{"a":1}"#, r#"{"a":1e3}"#),
            (r#"{"a":1}"#, "[1]"),
            (r#"{"a":1}"#, r#"{"a":1}}"#),
            (r#""12""#, r#""012""#),
            ("10:00:00.123Z", "25:00:00.123Z"),
            (r#""status":"active","#, r#""status":null,"#),
            ("alice", "al\\u0000ice"),
        ] {
            let text = good.replacen(from, to, 1);
            assert_ne!(text, good, "{from}");
            assert_eq!(read(&text), None, "{text}");
        }
    }
}
