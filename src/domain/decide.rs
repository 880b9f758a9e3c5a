//! State and command give events, or a refusal. Pure.

use std::sync::Arc;

use super::command::{Action, Change, CreateTask, ParentRef, PatchTask};
use super::event::EventData;
use super::metadata::{Metadata, MetadataFault};
use super::origin::Actor;
use super::payload::Fault;
use super::position::Version;
use super::status::Status;
use super::task::Task;
use super::vtid::Vtid;

/// Why a well-formed command is refused; nothing is appended for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// The body is not what its call takes, with every fault of it. Told before anything is decided.
    #[error("the body has faults")]
    Payload(Vec<Fault>),
    /// There is no task of this number.
    #[error("no task has this VTID")]
    TaskNotFound,
    /// The parent that a create names does not exist.
    #[error("no task has this VTID")]
    UnknownParent,
    /// The task is of a tenant in which this actor may not patch.
    #[error("only tasks of your own tenant may be patched")]
    OtherTenant,
    /// The task is of another version than the caller expects.
    #[error("the task is at version {current}")]
    VersionMismatch {
        /// The task's version.
        current: Version,
    },
    /// The metadata would pass a limit after the merge.
    #[error("after the merge, {0}")]
    Metadata(MetadataFault),
    /// The status may not go there from where it is.
    #[error("a task that is {from} can't become {to}")]
    InvalidTransition {
        /// The task's status.
        from: Status,
        /// What the patch asked for.
        to: Status,
    },
}

/// Bytes that a fault costs besides its texts.
const FAULT_BYTES: usize = 64;

impl Refusal {
    /// About how many bytes it holds in memory besides its own.
    #[must_use]
    pub fn approximate_bytes(&self) -> usize {
        let Self::Payload(faults) = self else { return 0 };
        let of_path = |path: &[String]| path.iter().map(|key| key.len() + size_of::<String>()).sum::<usize>();
        faults.iter().map(|fault| FAULT_BYTES + of_path(&fault.path) + fault.message.len()).sum()
    }
}

/// What the log knows, at some head, of the tasks that a command names.
pub trait Known {
    /// The state of a task, none if it does not exist.
    fn task(&self, vtid: Vtid) -> Option<&Task>;
    /// Whether a task exists.
    fn exists(&self, vtid: Vtid) -> bool;
}

/// Decides what `actor` asks for on what is known: the events to append, in order, at least one.
///
/// # Errors
/// A [`Refusal`], which holds as long as the head does not move.
pub fn decide(known: &impl Known, actor: &Actor, action: &Action) -> Result<Vec<EventData>, Refusal> {
    match action {
        Action::Create(create) => decide_create(known, create),
        Action::Refuse(refusal) => Err(refusal.clone()),
        Action::Patch(vtid, patch, expected) => {
            let task = known.task(*vtid).ok_or(Refusal::TaskNotFound)?;
            // Before anything is told of the task's state.
            if !actor.may_patch_in(&task.tenant) {
                return Err(Refusal::OtherTenant);
            }
            // Before the patch is held to a state that its caller did not mean.
            if !expected.allows(task.version) {
                return Err(Refusal::VersionMismatch { current: task.version });
            }
            decide_patch(task, patch).map(|data| vec![data])
        }
    }
}

fn decide_create(known: &impl Known, create: &Arc<CreateTask>) -> Result<Vec<EventData>, Refusal> {
    match create.parent {
        Some(ParentRef::Task(parent)) if !known.exists(parent) => return Err(Refusal::UnknownParent),
        Some(ParentRef::NeverAssigned) => return Err(Refusal::UnknownParent),
        _ => {}
    }
    let mut events = vec![EventData::Created(Arc::clone(create))];
    if create.status == Some(Status::Complete) {
        events.push(EventData::Completed(PatchTask::default()));
    }
    Ok(events)
}

fn decide_patch(task: &Task, patch: &PatchTask) -> Result<EventData, Refusal> {
    if let Change::Set(metadata) = &patch.metadata {
        Metadata::merged(task.metadata.as_ref(), metadata).map_err(Refusal::Metadata)?;
    }
    if let Some(to) = patch.status.filter(|to| !task.status.may_become(*to)) {
        return Err(Refusal::InvalidTransition { from: task.status, to });
    }
    let completes = patch.status == Some(Status::Complete) && task.status != Status::Complete;
    let data = if completes { EventData::Completed } else { EventData::Updated };
    Ok(data(patch.clone()))
}
