//! What an event did to its task, field by field: the state before beside the state after.

use super::json::{Json, ObjectWriter};
use super::metadata::Metadata;
use super::task::Task;

/// A field of the row with another value than before.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldChange {
    /// The row's column.
    pub field: &'static str,
    /// Its value until then; null before the task was there.
    pub before: Json,
    /// Its value from then on.
    pub after: Json,
}

/// The fields in which `after` differs from `before`, in the row's order; of a task that was not there, every field
/// that is set. The afters, put in the place of the befores, make the one state into the other.
///
/// Metadata is one field and changes as a whole: a key that is null and one that is not there are not the same, which a
/// before and an after for each key could not tell. Left out is what follows from the event itself: `id`, `vtid`,
/// `created_at` and `updated_at`.
#[must_use]
pub fn changes(before: Option<&Task>, after: &Task) -> Vec<FieldChange> {
    let mut changed = Vec::new();
    for (field, of) in FIELDS {
        let (before, after) = (before.map_or(Json::Null, of), of(after));
        if before != after {
            changed.push(FieldChange { field, before, after });
        }
    }
    changed
}

/// Appends changes as the API and the commands print them: a JSON array.
pub fn write_changes(changes: &[FieldChange], out: &mut String) {
    out.push('[');
    for (index, change) in changes.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        let mut object = ObjectWriter::new(out);
        object.string("field", change.field);
        object.json("before", &change.before);
        object.json("after", &change.after);
        object.finish();
    }
    out.push(']');
}

type Field = (&'static str, fn(&Task) -> Json);

const FIELDS: [Field; 8] = [
    ("task_family", |task| text(task.family.as_str())),
    ("task_type", |task| text(task.kind.as_str())),
    ("description", |task| text(task.description.as_str())),
    ("status", |task| text(task.status.as_str())),
    ("assigned_to", |task| task.assigned_to.as_ref().map_or(Json::Null, |assignee| text(assignee.as_str()))),
    ("tenant", |task| text(task.tenant.as_str())),
    ("metadata", |task| task.metadata.as_ref().map_or(Json::Null, object)),
    ("parent_vtid", |task| task.parent.map_or(Json::Null, |parent| Json::String(parent.to_string()))),
];

fn text(text: &str) -> Json {
    Json::String(text.to_owned())
}

fn object(metadata: &Metadata) -> Json {
    Json::Object(metadata.object().clone())
}
