//! A task as JSON: the row that every endpoint returns, and the form in which snapshots keep it.

use uuid::Uuid;

use super::json::{Json, Object, ObjectWriter, ParseLimits};
use super::metadata::{MAX_DEPTH, Metadata};
use super::position::{Position, Version};
use super::status::Status;
use super::task::Task;
use super::text::{Assignee, Description, TaskFamily, TaskType, Tenant};
use super::time::Timestamp;
use super::vtid::Vtid;

/// Appends the task's row.
pub fn write_row(task: &Task, out: &mut String) {
    let mut row = ObjectWriter::new(out);
    write_fields(task, &mut row);
    row.finish();
}

fn write_fields(task: &Task, row: &mut ObjectWriter) {
    row.plain("id", task.id);
    row.plain("vtid", task.vtid);
    row.string("task_family", task.family.as_str());
    row.string("task_type", task.kind.as_str());
    row.string("description", task.description.as_str());
    row.string("status", task.status.as_str());
    row.string_or_null("assigned_to", task.assigned_to.as_ref().map(Assignee::as_str));
    row.string("tenant", task.tenant.as_str());
    match &task.metadata {
        Some(metadata) => row.value("metadata", metadata.object()),
        None => row.null("metadata"),
    }
    match task.parent {
        Some(parent) => row.plain("parent_vtid", parent),
        None => row.null("parent_vtid"),
    }
    row.plain("created_at", task.created_at);
    row.plain("updated_at", task.updated_at);
}

/// The task's state as a snapshot keeps it: the row, and where it stands in the log.
#[must_use]
pub fn print_snapshot(task: &Task) -> String {
    let mut text = String::with_capacity(512);
    let mut state = ObjectWriter::new(&mut text);
    write_fields(task, &mut state);
    state.plain("version", task.version);
    state.plain("created_position", task.created_position);
    state.plain("position", task.position);
    state.finish();
    text
}

/// The snapshot is not one that this program writes: it is a cache, so fold the stream instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a snapshot that this version can't read: {0}")]
pub struct UnreadableSnapshot(&'static str);

/// Reads what [`print_snapshot`] wrote.
///
/// # Errors
/// [`UnreadableSnapshot`], naming the field.
pub fn parse_snapshot(text: &str) -> Result<Task, UnreadableSnapshot> {
    let limits = ParseLimits { max_depth: 1 + MAX_DEPTH };
    let parsed = Json::parse(text.as_bytes(), &limits).map_err(|_| UnreadableSnapshot("not JSON"))?;
    let (Json::Object(object), true) = (parsed.value, parsed.faults.is_empty()) else {
        return Err(UnreadableSnapshot("not a plain object"));
    };
    let state = Columns(&object);
    Ok(Task {
        id: state.read("id", |text| Uuid::parse_str(text).ok())?,
        vtid: state.read("vtid", |text| Vtid::parse_possible(text).ok())?,
        family: state.read("task_family", |text| TaskFamily::parse(text).ok())?,
        kind: state.read("task_type", |text| TaskType::parse(text).ok())?,
        description: state.read("description", |text| Description::parse(text).ok())?,
        status: state.read("status", |text| Status::parse(text).ok())?,
        assigned_to: state.read_or_null("assigned_to", |text| Assignee::parse(text).ok())?,
        tenant: state.read("tenant", |text| Tenant::parse(text).ok())?,
        metadata: match object.get("metadata") {
            Some(Json::Null) => None,
            Some(Json::Object(object)) => {
                Some(Metadata::new(object.clone()).map_err(|_| UnreadableSnapshot("metadata"))?)
            }
            _ => return Err(UnreadableSnapshot("metadata")),
        },
        parent: state.read_or_null("parent_vtid", |text| Vtid::parse_possible(text).ok())?,
        created_at: state.read("created_at", |text| Timestamp::parse(text).ok())?,
        updated_at: state.read("updated_at", |text| Timestamp::parse(text).ok())?,
        version: state.read("version", |text| text.parse().ok()).map(Version::new)?,
        created_position: state.read("created_position", |text| text.parse().ok()).map(Position::new)?,
        position: state.read("position", |text| text.parse().ok()).map(Position::new)?,
    })
}

struct Columns<'a>(&'a Object);

impl Columns<'_> {
    fn read<T>(&self, name: &'static str, read: impl Fn(&str) -> Option<T>) -> Result<T, UnreadableSnapshot> {
        match self.0.get(name) {
            Some(Json::String(text)) => read(text).ok_or(UnreadableSnapshot(name)),
            _ => Err(UnreadableSnapshot(name)),
        }
    }

    fn read_or_null<T>(
        &self,
        name: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, UnreadableSnapshot> {
        if self.0.get(name) == Some(&Json::Null) { Ok(None) } else { self.read(name, read).map(Some) }
    }
}
