//! State and event give the next state. Pure; the one fold that writer, projector, relay and auditor share.

use super::command::{Change, CreateTask, PatchTask};
use super::event::{Event, EventData};
use super::metadata::{Metadata, MetadataFault};
use super::position::Version;
use super::status::Status;
use super::task::Task;

/// The event does not fit the state: the log is damaged, or the fold began from a wrong state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvolveError {
    /// Its version does not follow the state's.
    #[error("event {position} is version {found} of {vtid}, where version {expected} should follow")]
    Version {
        /// The event's position.
        position: super::position::Position,
        /// The task.
        vtid: super::vtid::Vtid,
        /// The version that should follow.
        expected: Version,
        /// The version that the event bears.
        found: Version,
    },
    /// A first event that is no `vtid-created`, or a later one that is.
    #[error("event {0} has a type that can't stand at its version")]
    Type(super::position::Position),
    /// The event bears another tenant than its task.
    #[error("event {0} bears another tenant than its task")]
    Tenant(super::position::Position),
    /// Its metadata passes a limit once merged.
    #[error("the metadata of event {0}: after the merge, {1}")]
    Metadata(super::position::Position, MetadataFault),
}

/// Folds `event` onto `state` (none before the first event).
///
/// # Errors
/// [`EvolveError`]; the state is lost then, since no later event can be trusted.
pub fn evolve(state: Option<Task>, event: &Event) -> Result<Task, EvolveError> {
    let expected = state.as_ref().map_or(Version::ZERO, |task| task.version).next();
    if event.version != expected {
        let (position, vtid, found) = (event.position, event.vtid, event.version);
        return Err(EvolveError::Version { position, vtid, expected, found });
    }
    let mut task = match (state, &event.data) {
        (None, EventData::Created(create)) => return created(event, create),
        (Some(task), EventData::Updated(_) | EventData::Completed(_)) => task,
        _ => return Err(EvolveError::Type(event.position)),
    };
    if task.tenant != event.tenant {
        return Err(EvolveError::Tenant(event.position));
    }
    match &event.data {
        EventData::Completed(patch) => {
            apply(&mut task, patch, event)?;
            task.status = Status::Complete;
        }
        EventData::Updated(patch) => apply(&mut task, patch, event)?,
        EventData::Created(_) => return Err(EvolveError::Type(event.position)),
    }
    task.version = event.version;
    task.position = event.position;
    task.updated_at = event.recorded_at;
    Ok(task)
}

fn created(event: &Event, create: &CreateTask) -> Result<Task, EvolveError> {
    if event.tenant != create.tenant {
        return Err(EvolveError::Tenant(event.position));
    }
    let parent = match create.parent {
        None => None,
        Some(super::command::ParentRef::Task(vtid)) => Some(vtid),
        Some(super::command::ParentRef::NeverAssigned) => return Err(EvolveError::Type(event.position)),
    };
    Ok(Task {
        id: event.id,
        vtid: event.vtid,
        family: create.family.clone(),
        kind: create.kind.clone(),
        description: create.description.clone(),
        status: create.status.unwrap_or_default(),
        assigned_to: create.assigned_to.clone(),
        tenant: create.tenant.clone(),
        metadata: create.metadata.clone().map(Metadata::into_stored),
        parent,
        created_at: event.recorded_at,
        updated_at: event.recorded_at,
        version: event.version,
        created_position: event.position,
        position: event.position,
    })
}

fn apply(task: &mut Task, patch: &PatchTask, event: &Event) -> Result<(), EvolveError> {
    if let Some(status) = patch.status {
        task.status = status;
    }
    match &patch.assigned_to {
        Change::Keep => {}
        Change::Clear => task.assigned_to = None,
        Change::Set(assignee) => task.assigned_to = Some(assignee.clone()),
    }
    match &patch.metadata {
        Change::Keep => {}
        Change::Clear => task.metadata = None,
        Change::Set(metadata) => {
            let merged = Metadata::merged(task.metadata.as_ref(), metadata)
                .map_err(|fault| EvolveError::Metadata(event.position, fault))?;
            task.metadata = Some(merged);
        }
    }
    Ok(())
}
