//! The records of a seed, as the ledger prints them.

use std::sync::Arc;

use tokio::sync::mpsc;
use uuid::Uuid;
use vtid_ledger::clock::Clock;
use vtid_ledger::domain::command::{CreateTask, PatchTask};
use vtid_ledger::domain::event::{Event, EventData, IdSeed};
use vtid_ledger::domain::origin::{Actor, Origin, RequestId};
use vtid_ledger::domain::payload::{parse_create, parse_patch};
use vtid_ledger::domain::position::{Position, Version};
use vtid_ledger::domain::record::{LedgerId, Recorded};
use vtid_ledger::domain::status::Status;
use vtid_ledger::domain::text::Tenant;
use vtid_ledger::domain::time::Timestamp;
use vtid_ledger::domain::vtid::Vtid;

use crate::BenchError;
use crate::load::CREATE;
use crate::seed::{STATUSES, TENANTS, Tasks};

/// Rows of one transaction.
const CHUNK: u64 = 20_000;

/// A record as a create's, as large as every other.
pub(crate) fn sample_record() -> String {
    let now = Clock::system().now();
    let id = IdSeed(7).event_id(now, 0, 0);
    let Ok(create) = parse_create(CREATE.as_bytes()) else { return String::new() };
    let event = Event {
        position: Position::new(1_000_000),
        id,
        vtid: Vtid::first_of(now.year()),
        version: Version::new(1),
        tenant: create.tenant.clone(),
        recorded_at: now,
        origin: origin(id),
        data: EventData::Created(Arc::new(create)),
    };
    Recorded::print(event, LedgerId(Uuid::nil())).body.to_string()
}

fn origin(id: Uuid) -> Origin {
    Origin {
        actor: Actor::anonymous(),
        request_id: RequestId::from_uuid(id),
        traceparent: None,
        idempotency: None,
    }
}

/// Which events are appended.
pub(crate) struct Plan {
    pub(crate) ledger: LedgerId,
    pub(crate) head: u64,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) tasks: Tasks,
    pub(crate) first_version: u64,
    pub(crate) count: u64,
    pub(crate) creates: Arc<[CreateTask]>,
}

impl Plan {
    /// In `COPY`'s text form, chunk by chunk; ends early when nobody reads on.
    pub(crate) fn print(&self, chunks: &mpsc::Sender<Vec<u8>>) -> Result<(), BenchError> {
        let mut index = 0;
        let mut patch = (0, PatchTask::default(), PatchTask::default());
        while index < self.count {
            let end = (index + CHUNK).min(self.count);
            let mut chunk = String::with_capacity(1 << 20);
            for index in index..end {
                let version = self.first_version + index / self.tasks.count;
                if patch.0 != version {
                    patch = (version, patched(version, false)?, patched(version, true)?);
                }
                self.write_row(index, version, &patch, &mut chunk);
            }
            if chunks.blocking_send(chunk.into_bytes()).is_err() {
                return Ok(());
            }
            index = end;
        }
        Ok(())
    }

    /// All of them one after the other, as long as nobody minds.
    pub(crate) fn each(
        &self,
        mut take: impl FnMut(&Recorded) -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        let mut patch = (0, PatchTask::default(), PatchTask::default());
        for index in 0..self.count {
            let version = self.first_version + index / self.tasks.count;
            if patch.0 != version {
                patch = (version, patched(version, false)?, patched(version, true)?);
            }
            take(&self.record(index, version, &patch))?;
        }
        Ok(())
    }

    fn record(
        &self,
        index: u64,
        version: u64,
        (_, updating, completing): &(u64, PatchTask, PatchTask),
    ) -> Recorded {
        let number = self.tasks.first + index % self.tasks.count;
        let create = &self.creates[usize::try_from(number).unwrap_or(0) % self.creates.len()];
        let is_open = create.status != Some(Status::Cancelled);
        let data = match version {
            1 => EventData::Created(Arc::new(create.clone())),
            10 if is_open && number.is_multiple_of(5) => EventData::Completed(completing.clone()),
            _ => EventData::Updated(updating.clone()),
        };
        let time = self.time(index);
        let id = IdSeed(fastrand::u128(..)).event_id(time, 0, 0);
        let vtid = Vtid::parse_possible(&Tasks { first: number, ..self.tasks }.vtid(0));
        let event = Event {
            position: Position::new(self.head + 1 + index),
            id,
            vtid: vtid.unwrap_or_else(|_| Vtid::first_of(self.tasks.year)),
            version: Version::new(version),
            tenant: create.tenant.clone(),
            recorded_at: time,
            origin: origin(id),
            data,
        };
        Recorded::print(event, self.ledger)
    }

    fn write_row(&self, index: u64, version: u64, patch: &(u64, PatchTask, PatchTask), out: &mut String) {
        let Recorded { event, body } = self.record(index, version, patch);
        let (time, id) = (event.recorded_at, event.id);
        let Event { position, vtid, tenant, origin, data, .. } = &event;
        let actor = &origin.actor;
        crate::report::put(
            out,
            format_args!(
                "{position}\t{id}\t{vtid}\t{version}\t{}\t{}\t{}\t{}\t{time}\t{}\n",
                data.event_type().as_str(),
                Tenant::as_str(tenant),
                actor.id.as_str(),
                actor.role.as_str(),
                body.replace('\\', "\\\\")
            ),
        );
    }

    /// They come at equal distances.
    pub(crate) fn time(&self, index: u64) -> Timestamp {
        let span = i128::from(self.to.millis() - self.from.millis());
        let passed = span * i128::from(index + 1) / i128::from(self.count.max(1));
        Timestamp::from_millis(self.from.millis() + i64::try_from(passed).unwrap_or(0))
    }
}

/// A create of each tenant and status.
pub(crate) fn creates() -> Result<Vec<CreateTask>, BenchError> {
    let each = STATUSES.into_iter().flat_map(|status| TENANTS.map(move |tenant| (status, tenant)));
    each.map(|(status, tenant)| {
        let tenant = format!(r#""tenant":"tenant-{tenant}","status":"{}""#, status.as_str());
        let body = CREATE.replace(r#""tenant":"system""#, &tenant);
        parse_create(body.as_bytes()).map_err(|faults| BenchError::Refused(format!("{faults:?}")))
    })
    .collect()
}

/// A patch as the load's.
fn patched(version: u64, completes: bool) -> Result<PatchTask, BenchError> {
    let attempt = 100_000_000 + version;
    let status = if completes { r#""status":"complete","# } else { "" };
    let body = format!(r#"{{{status}"metadata":{{"attempt":{attempt}}}}}"#);
    parse_patch(body.as_bytes()).map_err(|faults| BenchError::Refused(format!("{faults:?}")))
}
