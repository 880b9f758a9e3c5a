//! What happened: the ledger's events.

use std::sync::Arc;

use uuid::{Builder, Uuid};

use super::command::{CreateTask, PatchTask};
use super::origin::Origin;
use super::position::{Position, Version};
use super::text::Tenant;
use super::time::Timestamp;
use super::vtid::Vtid;

/// The type of an event, as the record and the OASIS subject name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// A task was made.
    Created,
    /// A patch that did not complete the task.
    Updated,
    /// The task's status changed to `complete`.
    Completed,
}

impl EventType {
    /// Every type that this program knows.
    pub const ALL: [Self; 3] = [Self::Created, Self::Updated, Self::Completed];

    /// The word in the record, in the log's `type` column and in the OASIS subject.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "vtid-created",
            Self::Updated => "vtid-updated",
            Self::Completed => "vtid-completed",
        }
    }

    /// Reads the word; none for a type that this program does not know.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// What the caller asked for, under the type that it became.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EventData {
    /// `vtid-created` with the request.
    Created(Arc<CreateTask>),
    /// `vtid-updated` with the patch.
    Updated(PatchTask),
    /// `vtid-completed` with the patch, which is empty where the task was created as complete.
    Completed(PatchTask),
}

impl EventData {
    /// The type.
    #[must_use]
    pub const fn event_type(&self) -> EventType {
        match self {
            Self::Created(_) => EventType::Created,
            Self::Updated(_) => EventType::Updated,
            Self::Completed(_) => EventType::Completed,
        }
    }
}

/// One event of the log.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Event {
    /// Its place in the ledger.
    pub position: Position,
    /// Its `UUIDv7`.
    pub id: Uuid,
    /// The task that it belongs to.
    pub vtid: Vtid,
    /// Its place in the task's stream.
    pub version: Version,
    /// The task's tenant.
    pub tenant: Tenant,
    /// When it was recorded; never before the event in front of it.
    pub recorded_at: Timestamp,
    /// The request behind it.
    pub origin: Origin,
    /// What was asked for.
    pub data: EventData,
}

/// Randomness that comes in with a command and from which its events' ids are made, so that deciding is pure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdSeed(pub u128);

impl IdSeed {
    /// The id of the command's `index`-th event in its `attempt`-th decision: a `UUIDv7` of `time`.
    ///
    /// Another attempt gives another id, so that an id found in the log tells which attempt went in.
    #[must_use]
    pub fn event_id(self, time: Timestamp, attempt: u64, index: u8) -> Uuid {
        let salt = (u128::from(attempt) << 1) | u128::from(index & 1);
        let random = self.0.wrapping_add(salt).to_be_bytes();
        let mut tail = [0; 10];
        tail.copy_from_slice(&random[6..]);
        // The version and variant bits overwrite six of the tail's first 24 bits; the salt counts in its last 62.
        Builder::from_unix_timestamp_millis(u64::try_from(time.millis()).unwrap_or(0), &tail).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn types_come_back() {
        for kind in EventType::ALL {
            assert_eq!(EventType::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(EventType::parse("vtid-deleted"), None);
    }

    #[test]
    fn ids_are_version_7_and_differ_by_attempt_and_index() {
        let time = Timestamp::from_millis(1_761_645_600_000);
        let mut seen = BTreeSet::new();
        for attempt in 0..100 {
            for index in 0..2 {
                let id = IdSeed(u128::MAX).event_id(time, attempt, index);
                assert_eq!(id.get_version_num(), 7);
                assert_eq!(id.get_timestamp().unwrap().to_unix(), (1_761_645_600, 0));
                assert!(seen.insert(id), "attempt {attempt}, index {index}");
            }
        }
    }
}
