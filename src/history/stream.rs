//! A task's stream, oldest first: who did what to it, and when.

use std::collections::BTreeSet;

use sqlx::PgConnection;

use super::{History, HistoryFailure};
use crate::domain::changes::{FieldChange, changes, write_changes};
use crate::domain::event::Event;
use crate::domain::evolve::evolve;
use crate::domain::json::ObjectWriter;
use crate::domain::opaque::{Binding, Named, numbers, pair};
use crate::domain::position::{Position, Version};
use crate::domain::task::Task;
use crate::domain::text::Tenant;
use crate::domain::vtid::Vtid;
use crate::log::load::load_past_tasks;
use crate::log::read::{ReadError, read_stream};
use crate::projections::page::{BadPageCursor, PageLimit};
use crate::projections::question::Question;
use crate::projections::read::{ReadFailure, Shown};

/// Bytes of printed events of a page at most, though always one event.
const PAGE_BYTES: usize = 4 << 20;
/// Events of one statement at most: some 6 MiB were each as large as can be.
const CHUNK: u32 = 100;

/// Where a page of a stream ended: its last event. Streams only grow, so a walk shows each event once, and those that
/// come meanwhile too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StreamCursor {
    version: Version,
    position: Position,
}

impl StreamCursor {
    /// The opaque text for callers: base64url, 32 characters.
    #[must_use]
    pub fn print(self, vtid: Vtid) -> String {
        binding(&asked(vtid)).seal(&pair(self.version.to_i64(), self.position.to_i64()))
    }

    /// Reads what [`Self::print`] printed for the same task.
    ///
    /// # Errors
    /// [`BadPageCursor`].
    pub fn parse(text: &str, vtid: Vtid) -> Result<Self, BadPageCursor> {
        let (version, position) = binding(&asked(vtid)).open(text).map(numbers).ok_or(BadPageCursor)?;
        Ok(Self { version: Version::from_i64(version), position: Position::from_i64(position) })
    }
}

fn asked(vtid: Vtid) -> [Named; 1] {
    [("vtid", Some(vtid.to_string()))]
}

fn binding(asked: &[Named]) -> Binding<'_> {
    Binding { label: "vtid-ledger stream cursor 1", asked }
}

/// A page of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct EventPage {
    /// How many events it has.
    pub count: u16,
    /// The events in JSON, oldest first, with commas between them.
    pub events: String,
    /// Where the next page begins; none when this one is the last.
    pub next: Option<StreamCursor>,
}

impl History {
    /// Events of a task after `cursor`, up to position `head`; none if there is no such task.
    ///
    /// # Errors
    /// [`HistoryFailure`]; [`HistoryFailure::NoSuchPlace`] where the log has another past than the cursor.
    pub async fn events(
        &self,
        vtid: Vtid,
        limit: PageLimit,
        cursor: Option<StreamCursor>,
        head: Position,
    ) -> Result<Option<EventPage>, HistoryFailure> {
        match self.look(&PageOf { vtid, limit, cursor, head }).await? {
            Found::Page(page) => Ok(Some(page)),
            Found::NoTask => Ok(None),
            Found::OtherPast => Err(HistoryFailure::NoSuchPlace),
        }
    }
}

struct PageOf {
    vtid: Vtid,
    limit: PageLimit,
    cursor: Option<StreamCursor>,
    head: Position,
}

enum Found {
    Page(EventPage),
    NoTask,
    OtherPast,
}

impl Question for PageOf {
    type Answer = Found;

    async fn ask(&self, connection: &mut PgConnection) -> Result<Shown<Found>, ReadFailure> {
        let shown = |value| Ok(Shown { value, position: self.head });
        let state = match self.cursor {
            None => None,
            Some(cursor) => match self.state_at(connection, cursor).await? {
                Some(state) => Some(state),
                None => return shown(Found::OtherPast),
            },
        };
        let page = self.read(connection, state).await?;
        shown(if page.count == 0 && self.cursor.is_none() { Found::NoTask } else { Found::Page(page) })
    }
}

impl PageOf {
    /// The state after the event at which the last page ended, if the log still has it so.
    async fn state_at(
        &self,
        connection: &mut PgConnection,
        cursor: StreamCursor,
    ) -> Result<Option<Task>, ReadFailure> {
        let mut tasks = load_past_tasks(connection, &BTreeSet::from([self.vtid]), cursor.position).await?;
        let state = tasks.remove(&self.vtid).filter(|task| {
            (task.version, task.position) == (cursor.version, cursor.position) && cursor.position <= self.head
        });
        Ok(state.map(|state| Task::clone(&state)))
    }

    async fn read(
        &self,
        connection: &mut PgConnection,
        mut state: Option<Task>,
    ) -> Result<EventPage, ReadFailure> {
        let limit = u32::from(self.limit.get());
        let mut page = EventPage::default();
        loop {
            // One event more than the page may have tells whether there is another page.
            let left = (limit + 1 - u32::from(page.count)).min(CHUNK);
            let version = state.as_ref().map_or(Version::ZERO, |task| task.version);
            let events = read_stream(connection, self.vtid, version, self.head, left).await?;
            for recorded in &events {
                let is_full = page.count == self.limit.get() || page.events.len() >= PAGE_BYTES;
                if let Some(task) = state.as_ref().filter(|_| is_full) {
                    page.next = Some(StreamCursor { version: task.version, position: task.position });
                    return Ok(page);
                }
                state = Some(step(state.as_ref(), &recorded.event, &mut page)?);
            }
            if events.len() < left as usize {
                return Ok(page);
            }
        }
    }
}

/// Folds an event, and adds what it did to the page.
fn step(before: Option<&Task>, event: &Event, page: &mut EventPage) -> Result<Task, ReadFailure> {
    let after = evolve(before.cloned(), event).map_err(|error| {
        tracing::error!(%error, "a stream does not fold");
        ReadError::Damaged(event.position)
    })?;
    if page.count > 0 {
        page.events.push(',');
    }
    print(event, &changes(before, &after), &mut page.events);
    page.count += 1;
    Ok(after)
}

/// Who did what, and when.
fn print(event: &Event, changes: &[FieldChange], out: &mut String) {
    let origin = &event.origin;
    let mut object = ObjectWriter::new(out);
    object.plain("id", event.id);
    object.number("position", event.position.get());
    object.number("version", event.version.get());
    object.string("type", event.data.event_type().as_str());
    object.plain("time", event.recorded_at);
    object.string("actor", origin.actor.id.as_str());
    object.string("actor_role", origin.actor.role.as_str());
    object.string_or_null("actor_tenant", origin.actor.tenant.as_ref().map(Tenant::as_str));
    object.string("request_id", origin.request_id.as_str());
    object.print("changes", |out| write_changes(changes, out));
    object.finish();
}
