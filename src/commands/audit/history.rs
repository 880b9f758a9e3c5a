//! `vtid-ledger audit history`.

use std::io::{self, Write};

use super::AuditFailure;
use super::print::{JsonList, shown, who, write_event};
use crate::audit::story::{Step, tell_story};
use crate::domain::changes::write_changes;
use crate::domain::json::ObjectWriter;
use crate::domain::vtid::Vtid;
use crate::log::servers::Servers;

/// Tells what happened to a task.
pub(super) async fn run(
    servers: &Servers,
    vtid: Vtid,
    json: bool,
    out: &mut impl Write,
) -> Result<(), AuditFailure> {
    let mut list = None;
    let told = tell_story(servers, vtid, |step| {
        if !json {
            return tell(step, out);
        }
        if list.is_none() {
            list = Some(JsonList::begin(out, &format!(r#"{{"vtid":"{vtid}","events":["#))?);
        }
        list.as_mut().map_or(Ok(()), |list| list.item(out, &to_json(step)))
    })
    .await;
    if list.is_some() {
        writeln!(out, "]}}")?;
    }
    Ok(told?)
}

/// Whom the task was assigned to, if the actor is somebody else.
fn not_the_assignee(step: &Step) -> Option<&str> {
    let actor = step.recorded.event.origin.actor.id.as_str();
    step.assigned_before.as_deref().filter(|assigned| *assigned != actor)
}

fn tell(step: &Step, out: &mut impl Write) -> io::Result<()> {
    let event = &step.recorded.event;
    if event.version.get() == 1 {
        writeln!(out, "{}, of the tenant {}", event.vtid, event.tenant)?;
    }
    writeln!(out)?;
    writeln!(out, "{}  {} by {}", event.recorded_at, event.data.event_type().as_str(), who(event))?;
    let key = event.origin.idempotency.as_ref();
    let key = key.map_or(String::new(), |given| format!("  key {}", given.key.as_str()));
    let (request, position, version) = (&event.origin.request_id, event.position, event.version);
    writeln!(out, "    request {request}{key}  position {position}  version {version}")?;
    if let Some(assigned) = not_the_assignee(step) {
        writeln!(out, "    the task was not theirs: it was assigned to {}", shown(assigned))?;
    }
    if step.changes.is_empty() {
        writeln!(out, "    changed nothing")?;
    }
    for change in &step.changes {
        let (before, after) = (change.before.to_compact(), change.after.to_compact());
        writeln!(out, "    {:<12} {} → {}", change.field, shown(&before), shown(&after))?;
    }
    Ok(())
}

fn to_json(step: &Step) -> String {
    let mut text = String::new();
    let mut object = ObjectWriter::new(&mut text);
    write_event(&mut object, &step.recorded);
    object.string_or_null("assigned_before", step.assigned_before.as_deref());
    object.print("changes", |out| write_changes(&step.changes, out));
    object.finish();
    text
}
