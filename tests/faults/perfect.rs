//! A ledger without faults, whose evidence the checker's own tests spoil.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use uuid::Uuid;
use vtid_ledger::domain::event::{Event, EventData, IdSeed};
use vtid_ledger::domain::evolve::evolve;
use vtid_ledger::domain::numbering::Numbering;
use vtid_ledger::domain::payload::{parse_create, parse_patch};
use vtid_ledger::domain::position::{Position, Version};
use vtid_ledger::domain::record::{LedgerId, Recorded};
use vtid_ledger::domain::task::Task;
use vtid_ledger::domain::text::Tenant;
use vtid_ledger::domain::time::Timestamp;
use vtid_ledger::domain::vtid::Vtid;

use super::checker::{Evidence, Message, Row};
use super::folded::row_of;
use super::history::{Asked, Call, Moment, Seen, Told};
use crate::support::commands::origin;
use crate::support::service::some_task;

/// Whose records they are.
pub(crate) const LEDGER: LedgerId = LedgerId(Uuid::from_u128(1));
/// When the first request is sent.
const BEGIN_MS: i64 = 1_800_000_000_000;

/// A ledger without faults, on which one request after another is carried out, each taking 10 ms.
pub(crate) struct Perfect {
    pub(crate) evidence: Evidence,
    tasks: BTreeMap<Vtid, Task>,
    numbering: Numbering,
    now: Moment,
}

/// From each request to its answer, and on to the next.
pub(crate) const TAKES: Duration = Duration::from_millis(10);

impl Perfect {
    pub(crate) fn new() -> Self {
        let (evidence, tasks) = (Evidence::default(), BTreeMap::new());
        Self { evidence, tasks, numbering: Numbering::after(None), now: Moment::ZERO }
    }

    fn append(&mut self, request: &str, vtid: Vtid, time: i64, data: EventData) {
        let before = self.tasks.remove(&vtid);
        let position = self.evidence.log.len() as u64 + 1;
        let recorded_at = Timestamp::from_millis(time);
        let event = Event {
            position: Position::new(position),
            id: IdSeed(u128::from(position)).event_id(recorded_at, 1, 0),
            vtid,
            version: before.as_ref().map_or(Version::ZERO, |task| task.version).next(),
            tenant: Tenant::parse("system").unwrap(),
            recorded_at,
            origin: origin(request),
            data,
        };
        let task = evolve(before, &event).unwrap();
        let recorded = Recorded::print(event, LEDGER);
        let (version, shown) = (task.version.get(), row_of(&task));
        self.evidence.table.insert(vtid.to_string(), Row { shown, version, position });
        let record = Arc::clone(&recorded.body);
        self.evidence.stream.push(Message { sequence: position, position, record });
        self.evidence.log.push(recorded);
        self.tasks.insert(vtid, task);
    }

    fn seen(&self, vtid: Vtid) -> Seen {
        let position = self.evidence.log.len() as u64;
        let row = &self.evidence.table[&vtid.to_string()];
        Seen { position, version: row.version, row: row.shown.clone() }
    }

    fn call(&mut self, request: &str, asked: Asked, told: Told) {
        let (sent, request) = (self.now, request.to_owned());
        self.now += TAKES;
        let answered = self.now;
        self.now += TAKES;
        let key = request.clone();
        self.evidence.history.push(Call { request, key, asked, process: 1, sent, answered, told });
    }

    pub(crate) fn create(&mut self, request: &str) -> Vtid {
        let time = BEGIN_MS + i64::try_from(self.now.as_millis()).unwrap();
        let vtid = self.numbering.give_out(Timestamp::from_millis(time));
        let create = parse_create(some_task(request).as_bytes()).unwrap();
        self.append(request, vtid, time, EventData::Created(Arc::new(create)));
        let told = Told::Written { seen: self.seen(vtid), replayed: false };
        self.call(request, Asked::Create { events: 1 }, told);
        vtid
    }

    pub(crate) fn patch(&mut self, request: &str, vtid: Vtid, status: &str) {
        let time = BEGIN_MS + i64::try_from(self.now.as_millis()).unwrap();
        let patch = parse_patch(json!({"status": status}).to_string().as_bytes()).unwrap();
        self.append(request, vtid, time, EventData::Updated(patch));
        let told = Told::Written { seen: self.seen(vtid), replayed: false };
        self.call(request, Asked::Patch { vtid: vtid.to_string() }, told);
    }

    pub(crate) fn get(&mut self, request: &str, vtid: Vtid) {
        let told = Told::Shown(self.seen(vtid));
        self.call(request, Asked::Get { vtid: vtid.to_string(), at_least: 0 }, told);
    }

    /// All tasks, of which there are few.
    pub(crate) fn list(&mut self, request: &str) {
        let rows = self.evidence.table.values().rev().map(|row| row.shown.clone()).collect();
        let told = Told::Listed { position: self.evidence.log.len() as u64, rows };
        self.call(request, Asked::List { status: None, limit: 100, at_least: 0 }, told);
    }

    pub(crate) fn refuse(&mut self, request: &str, vtid: Vtid, from: &str) {
        let told = Told::Refused { status: 409, from: Some(from.to_owned()) };
        self.call(request, Asked::Patch { vtid: vtid.to_string() }, told);
    }
}
