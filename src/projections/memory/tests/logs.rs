//! Small logs and their folds.

use std::sync::Arc;

use uuid::Uuid;

use crate::domain::command::{Change, PatchTask};
use crate::domain::cursor::Cursor;
use crate::domain::event::{Event, EventData};
use crate::domain::evolve::evolve;
use crate::domain::origin::{Actor, Origin, RequestId};
use crate::domain::payload::parse_create;
use crate::domain::position::Version;
use crate::domain::record::{LedgerId, Recorded};
use crate::domain::task::Task;
use crate::domain::text::{Assignee, Tenant};
use crate::domain::time::Timestamp;
use crate::domain::vtid::Vtid;
use crate::log::entry::{Entry, Transition};

pub(super) type Log = Vec<Arc<Entry>>;

pub(super) fn vtid(task: u8) -> Vtid {
    (0..task).fold(Vtid::first_of(2026), |vtid, _| vtid.next())
}

pub(super) fn end(log: &[Arc<Entry>]) -> Cursor {
    log.last().map_or(Cursor::Start, |last| Cursor::at(&last.recorded.event))
}

pub(super) fn fold(log: &[Arc<Entry>], vtid: Vtid) -> Option<Task> {
    let events = log.iter().map(|entry| &entry.recorded.event).filter(|event| event.vtid == vtid);
    events.fold(None, |state, event| Some(evolve(state, event).unwrap()))
}

/// The next event of `log`, as its writer hands it over: the task's first one, or a patch.
pub(super) fn next(log: &[Arc<Entry>], id: u128, task: u8) -> Arc<Entry> {
    let vtid = vtid(task);
    let before = fold(log, vtid);
    // Another in each past, so that states of two pasts differ.
    let assignee = Change::Set(Assignee::parse(&format!("caller {id}")).unwrap());
    let data = if before.is_some() {
        EventData::Updated(PatchTask { assigned_to: assignee, ..PatchTask::default() })
    } else {
        let body = br#"{"taskFamily":"f","taskType":"t","description":"d","tenant":"t"}"#;
        EventData::Created(Arc::new(parse_create(body).unwrap()))
    };
    let event = Event {
        position: end(log).position().next(),
        id: Uuid::from_u128(id),
        vtid,
        version: before.as_ref().map_or(Version::ZERO, |task| task.version).next(),
        tenant: Tenant::parse("t").unwrap(),
        recorded_at: Timestamp::from_millis(0),
        origin: Origin {
            actor: Actor::anonymous(),
            request_id: RequestId::parse("r").unwrap(),
            traceparent: None,
            idempotency: None,
        },
        data,
    };
    let after = Arc::new(evolve(before.clone(), &event).unwrap());
    let transition = Transition { before: before.map(Arc::new), after };
    let recorded = Recorded::print(event, LedgerId(Uuid::nil()));
    Arc::new(Entry { recorded, transition: Some(transition) })
}

pub(super) fn as_read(entry: &Arc<Entry>) -> Arc<Entry> {
    Arc::new(Entry::read(entry.recorded.clone()))
}
