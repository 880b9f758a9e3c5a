//! Printing a record.

use super::{LedgerId, SOURCE_PREFIX};
use crate::domain::command::{Change, CreateTask, ParentRef, PatchTask};
use crate::domain::event::{Event, EventData};
use crate::domain::json::ObjectWriter;
use crate::domain::origin::TraceParent;
use crate::domain::status;
use crate::domain::text::{Assignee, Tenant};

pub(super) fn print(event: &Event, ledger: LedgerId) -> String {
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
    data.string_if_some("status", create.status.map(status::Status::as_str));
    data.string_if_some("assignedTo", create.assigned_to.as_ref().map(Assignee::as_str));
    if let Some(metadata) = &create.metadata {
        data.value("metadata", metadata.object());
    }
    if let Some(ParentRef::Task(parent)) = create.parent {
        data.plain("parentVtid", parent);
    }
}

fn write_patch(data: &mut ObjectWriter, patch: &PatchTask) {
    data.string_if_some("status", patch.status.map(status::Status::as_str));
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
