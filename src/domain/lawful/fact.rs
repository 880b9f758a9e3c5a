//! What the rules of the log need to know of an event, and nothing else of it.

use uuid::Uuid;

use crate::domain::command::ParentRef;
use crate::domain::event::EventData;
use crate::domain::origin::Role;
use crate::domain::position::{Position, Version};
use crate::domain::record::{LedgerId, Recorded};
use crate::domain::status::Status;
use crate::domain::time::Timestamp;
use crate::domain::vtid::Vtid;

/// A text that was found to be what its type allows. As bytes: they are compared millions of times a second, and shown
/// once, if at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<'a>(pub &'a [u8]);

impl<'a> Text<'a> {
    /// To be shown.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        // Invariant: whatever its type allows is UTF-8.
        str::from_utf8(self.0).unwrap_or_default()
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(text.as_bytes())
    }
}

/// An event as the rules see it. It borrows its texts, which have been found to be what their types allow: millions of
/// events a second are looked at, and a copy of each text would cost more than the rules do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fact<'a> {
    /// Its place in the ledger.
    pub position: Position,
    /// Its id.
    pub id: Uuid,
    /// The ledger that recorded it.
    pub source: LedgerId,
    /// Its task.
    pub vtid: Vtid,
    /// Its place in the task's stream.
    pub version: Version,
    /// When it was recorded.
    pub time: Timestamp,
    /// The tenant that it bears.
    pub tenant: Text<'a>,
    /// Who asked.
    pub actor: Text<'a>,
    /// What they may do.
    pub role: Role,
    /// Their own tenant.
    pub actor_tenant: Option<Text<'a>>,
    /// Their request.
    pub request: Text<'a>,
    /// Whether it bears an idempotency key.
    pub has_key: bool,
    /// What they asked for.
    pub asked: Asked<'a>,
}

/// What was asked for, by the event's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked<'a> {
    /// `vtid-created`
    Create {
        /// The new task's tenant.
        tenant: Text<'a>,
        /// Its first status.
        status: Status,
        /// The task that it is a part of.
        parent: Option<ParentRef>,
    },
    /// `vtid-updated`, or `vtid-completed` where it `completes`.
    Patch {
        /// Whether the event says that it completed the task.
        completes: bool,
        /// The status asked for.
        status: Option<Status>,
        /// Whether nothing at all is asked for.
        is_empty: bool,
    },
}

impl<'a> Fact<'a> {
    /// What the rules need of a record that was read in full. `source`: see [`Recorded::parse_with_source`].
    #[must_use]
    pub fn of(recorded: &'a Recorded, source: LedgerId) -> Self {
        let event = &recorded.event;
        let actor = &event.origin.actor;
        let asked = match &event.data {
            EventData::Created(create) => Asked::Create {
                tenant: create.tenant.as_str().into(),
                status: create.status.unwrap_or_default(),
                parent: create.parent,
            },
            EventData::Updated(patch) | EventData::Completed(patch) => Asked::Patch {
                completes: matches!(event.data, EventData::Completed(_)),
                status: patch.status,
                is_empty: *patch == crate::domain::command::PatchTask::default(),
            },
        };
        Self {
            position: event.position,
            id: event.id,
            source,
            vtid: event.vtid,
            version: event.version,
            time: event.recorded_at,
            tenant: event.tenant.as_str().into(),
            actor: actor.id.as_str().into(),
            role: actor.role,
            actor_tenant: actor.tenant.as_ref().map(|tenant| tenant.as_str().into()),
            request: event.origin.request_id.as_str().into(),
            has_key: event.origin.idempotency.is_some(),
            asked,
        }
    }
}
