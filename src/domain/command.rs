//! What a caller can ask for.

use std::sync::Arc;

use super::decide::Refusal;
use super::metadata::Metadata;
use super::origin::Origin;
use super::position::Version;
use super::status::Status;
use super::text::{Assignee, Description, TaskFamily, TaskType, Tenant};
use super::vtid::{ParsedVtid, Vtid};

/// Make a new task.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CreateTask {
    /// `taskFamily`
    pub family: TaskFamily,
    /// `taskType`
    pub kind: TaskType,
    /// `description`
    pub description: Description,
    /// `tenant`
    pub tenant: Tenant,
    /// `status`: absent means pending.
    pub status: Option<Status>,
    /// `assignedTo`
    pub assigned_to: Option<Assignee>,
    /// `metadata`, keys as they were sent.
    pub metadata: Option<Metadata>,
    /// `parentVtid`: must exist when the create is decided.
    pub parent: Option<ParentRef>,
}

/// The parent that a create names; a number that no task can have stays unknown for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParentRef {
    /// A number that a task can have.
    Task(Vtid),
    /// Well-formed, and never given out.
    NeverAssigned,
}

impl From<ParsedVtid> for ParentRef {
    fn from(parsed: ParsedVtid) -> Self {
        match parsed {
            ParsedVtid::Possible(vtid) => Self::Task(vtid),
            ParsedVtid::Impossible => Self::NeverAssigned,
        }
    }
}

/// What a patch does with a field that can be null.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Change<T> {
    /// The patch does not name the field.
    #[default]
    Keep,
    /// The patch sets it to null.
    Clear,
    /// The patch gives a value.
    Set(T),
}

/// Change a task.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct PatchTask {
    /// `status`
    pub status: Option<Status>,
    /// `assignedTo`: replaced.
    pub assigned_to: Change<Assignee>,
    /// `metadata`: merged (RFC 7396); null empties it.
    pub metadata: Change<Metadata>,
}

/// On which versions of a task its caller wants a patch to be decided.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Expected {
    /// Whichever the task is at.
    #[default]
    Any,
    /// One of these; there may be none.
    OneOf(Box<[Version]>),
}

impl Expected {
    /// Whether a task of this version may be patched.
    #[must_use]
    pub fn allows(&self, version: Version) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(versions) => versions.contains(&version),
        }
    }
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Action {
    /// Make a new task. Shared with the event that it becomes.
    Create(Arc<CreateTask>),
    /// Change the task of this number, if it is of an expected version.
    Patch(Vtid, PatchTask, Expected),
    /// What can't be done, for this reason. Only a request with an idempotency key comes so far: under a key that is
    /// known it is told of that instead.
    Refuse(Refusal),
}

/// An action, and the request that it came with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Command {
    /// What is asked for.
    pub action: Action,
    /// By whom.
    pub origin: Origin,
}

/// Bytes that an entry of a queue costs besides its texts: a rough upper bound for bounding memory.
const FIXED_BYTES: usize = 1024;

impl Command {
    /// About how many bytes the command holds in memory, for bounded queues.
    #[must_use]
    pub fn approximate_bytes(&self) -> usize {
        let metadata = |m: &Metadata| 4 * m.compact_len();
        FIXED_BYTES
            + match &self.action {
                Action::Create(create) => {
                    create.description.as_str().len() + create.metadata.as_ref().map_or(0, metadata)
                }
                Action::Patch(_, patch, expected) => {
                    let metadata = match &patch.metadata {
                        Change::Set(m) => metadata(m),
                        Change::Keep | Change::Clear => 0,
                    };
                    let versions = match expected {
                        Expected::Any => 0,
                        Expected::OneOf(versions) => size_of_val(&**versions),
                    };
                    metadata + versions
                }
                Action::Refuse(refusal) => refusal.approximate_bytes(),
            }
    }
}
