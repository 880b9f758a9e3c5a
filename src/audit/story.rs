//! What happened to one task, event by event: who changed what, when, by which request.

use crate::domain::changes::{FieldChange, changes};
use crate::domain::evolve::evolve;
use crate::domain::position::{Position, Version};
use crate::domain::record::Recorded;
use crate::domain::task::Task;
use crate::domain::vtid::Vtid;
use crate::log::connect::connect;
use crate::log::read::read_stream;
use crate::log::servers::Servers;

use super::error::AuditError;

/// Events read at a time.
const PAGE: u32 = 256;

/// An event, and what it changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The event.
    pub recorded: Recorded,
    /// Who the task was assigned to before it; none before it was created, or if nobody was.
    pub assigned_before: Option<String>,
    /// The fields that it changed.
    pub changes: Vec<FieldChange>,
}

/// Tells each event of a task, in order, up to the log's end as of each page.
///
/// # Errors
/// [`AuditError::NoSuchTask`], or whatever stands against reading it or against `tell`.
pub async fn tell_story(
    servers: &Servers,
    vtid: Vtid,
    mut tell: impl FnMut(&Step) -> std::io::Result<()>,
) -> Result<(), AuditError> {
    let mut connection = connect(servers).await?;
    let mut state: Option<Task> = None;
    loop {
        let version = state.as_ref().map_or(Version::ZERO, |task| task.version);
        let events = read_stream(&mut connection, vtid, version, Position::from_i64(i64::MAX), PAGE).await?;
        if events.is_empty() {
            return if state.is_some() { Ok(()) } else { Err(AuditError::NoSuchTask(vtid)) };
        }
        for recorded in events {
            let after = evolve(state.clone(), &recorded.event)?;
            let assigned_before = state
                .as_ref()
                .and_then(|task| task.assigned_to.as_ref())
                .map(|assignee| assignee.as_str().to_owned());
            let changes = changes(state.as_ref(), &after);
            tell(&Step { recorded, assigned_before, changes })?;
            state = Some(after);
        }
    }
}
