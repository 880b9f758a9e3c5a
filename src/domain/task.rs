//! A task as it stands after some event: what folding its stream gives.

use super::metadata::Metadata;
use super::position::{Position, Version};
use super::status::Status;
use super::text::{Assignee, Description, TaskFamily, TaskType, Tenant};
use super::time::Timestamp;
use super::vtid::Vtid;
use uuid::Uuid;

/// The state of a task.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Task {
    /// The primary key of the read table: the id of the task's `vtid-created` event.
    pub id: Uuid,
    /// The task's number.
    pub vtid: Vtid,
    /// Of which family it is.
    pub family: TaskFamily,
    /// Of which type it is.
    pub kind: TaskType,
    /// What it is about.
    pub description: Description,
    /// Where it stands.
    pub status: Status,
    /// Who works on it.
    pub assigned_to: Option<Assignee>,
    /// To whom it belongs.
    pub tenant: Tenant,
    /// Free data, keys in jsonb's order.
    pub metadata: Option<Metadata>,
    /// The task that it is a part of.
    pub parent: Option<Vtid>,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// When its last event was recorded.
    pub updated_at: Timestamp,
    /// How many events it has.
    pub version: Version,
    /// Where its first event stands in the log.
    pub created_position: Position,
    /// Where its last event stands in the log.
    pub position: Position,
}

impl Task {
    /// About how many bytes the state holds in memory, for bounded caches.
    #[must_use]
    pub fn approximate_bytes(&self) -> usize {
        let metadata = self.metadata.as_ref().map_or(0, |m| 4 * m.approximate_len());
        512 + self.description.as_str().len() + metadata
    }
}
