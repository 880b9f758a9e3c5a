//! Logs made by the rules themselves, without a database: what a writer would have appended.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use uuid::Uuid;
use vtid_ledger::audit::file::{ExportWriter, Header};
use vtid_ledger::domain::command::{Action, Expected};
use vtid_ledger::domain::decide::{Known, decide};
use vtid_ledger::domain::event::{Event, IdSeed};
use vtid_ledger::domain::evolve::evolve;
use vtid_ledger::domain::numbering::Numbering;
use vtid_ledger::domain::origin::{
    Actor, Idempotency, IdempotencyKey, Origin, RequestHash, RequestId, Role, TraceParent,
};
use vtid_ledger::domain::payload::{parse_create, parse_patch};
use vtid_ledger::domain::position::{Position, Version};
use vtid_ledger::domain::record::{LedgerId, Recorded};
use vtid_ledger::domain::task::Task;
use vtid_ledger::domain::text::{ActorId, Tenant};
use vtid_ledger::domain::time::Timestamp;
use vtid_ledger::domain::vtid::Vtid;

use crate::support::generate::{Request, requests};

pub(super) const LEDGER: LedgerId = LedgerId(Uuid::from_u128(0x0123_4567_89ab_4cde_8f01_2345_6789_abcd));
const START: i64 = 1_767_225_600_000;

/// How a request comes: by whom, how long after the one before, with a key or not.
#[derive(Debug, Clone)]
pub(super) struct Circumstance {
    role: Role,
    own_tenant: bool,
    wait_ms: i64,
    with_key: bool,
    actor: String,
}

pub(super) fn circumstance() -> impl Strategy<Value = Circumstance> {
    let wait = prop_oneof![3 => Just(0i64), 3 => 1i64..5_000, 1 => Just(200 * 24 * 3_600_000)];
    let actor = prop_oneof![4 => "[a-z]{1,8}", 1 => Just("\"quoted\"".to_owned()), 1 => "[ü🚀 ]{1,3}x"];
    (0..3usize, any::<bool>(), wait, any::<bool>(), actor).prop_map(
        |(role, own_tenant, wait_ms, with_key, actor)| Circumstance {
            role: Role::ALL[role],
            own_tenant,
            wait_ms,
            with_key,
            actor,
        },
    )
}

#[derive(Default)]
struct States(BTreeMap<Vtid, Task>);

impl Known for States {
    fn task(&self, vtid: Vtid) -> Option<&Task> {
        self.0.get(&vtid)
    }

    fn exists(&self, vtid: Vtid) -> bool {
        self.0.contains_key(&vtid)
    }
}

/// A log that grows by what is decided.
pub(super) struct Maker {
    states: States,
    numbering: Numbering,
    now: i64,
    made: Vec<Vtid>,
    asked: u64,
    pub(super) log: Vec<Event>,
}

impl Maker {
    pub(super) fn new() -> Self {
        let (states, numbering) = (States::default(), Numbering::default());
        Self { states, numbering, now: START, made: Vec::new(), asked: 0, log: Vec::new() }
    }

    /// Asks for something; whether it was accepted.
    pub(super) fn ask(&mut self, request: &Request, how: &Circumstance) -> bool {
        self.asked += 1;
        let action = match request {
            Request::Create(body) => parse_create(body.as_bytes()).ok().map(|c| Action::Create(Arc::new(c))),
            Request::Patch(index, body) => {
                let vtid = self.made.get(*index).copied().unwrap_or(Vtid::first_of(1999));
                parse_patch(body.as_bytes()).ok().map(|p| Action::Patch(vtid, p, Expected::Any))
            }
        };
        let Some(action) = action else { return false };
        self.now += how.wait_ms;
        let time = Timestamp::from_millis(self.now);
        let tenant = match &action {
            Action::Patch(vtid, ..) => self.states.task(*vtid).map(|task| task.tenant.clone()),
            Action::Create(create) => Some(create.tenant.clone()),
            Action::Refuse(_) => None,
        };
        let own = how.own_tenant.then_some(tenant.clone()).flatten();
        let actor = Actor { id: ActorId::parse(&how.actor).unwrap(), role: how.role, tenant: own };
        let Ok(events) = decide(&self.states, &actor, &action) else { return false };
        let vtid = match &action {
            Action::Patch(vtid, ..) => *vtid,
            _ => self.numbering.give_out(time),
        };
        let count = events.len();
        for (index, data) in (0u8..).zip(events) {
            let before = self.states.0.remove(&vtid);
            let key = (how.with_key && usize::from(index) + 1 == count).then(|| Idempotency {
                key: IdempotencyKey::parse(&format!("key-{}", self.asked)).unwrap(),
                hash: RequestHash([7; 32]),
            });
            let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
            let event = Event {
                position: Position::new(self.log.len() as u64 + 1),
                id: IdSeed(u128::from(self.asked) << 16).event_id(time, 1, index),
                vtid,
                version: before.as_ref().map_or(Version::ZERO, |task| task.version).next(),
                tenant: tenant.clone().unwrap(),
                recorded_at: time,
                origin: Origin {
                    actor: actor.clone(),
                    request_id: RequestId::parse(&format!("request-{}", self.asked)).unwrap(),
                    traceparent: how.with_key.then(|| TraceParent::parse(trace).unwrap()),
                    idempotency: key,
                },
                data,
            };
            self.states.0.insert(vtid, evolve(before, &event).unwrap());
            self.log.push(event);
        }
        if matches!(action, Action::Create(_)) {
            self.made.push(vtid);
        }
        true
    }

    pub(super) fn create(&mut self, body: &str, actor: &str, role: Role) {
        let how = Circumstance::of(actor, role);
        assert!(self.ask(&Request::Create(body.to_owned()), &how), "{body}");
    }

    pub(super) fn patch(&mut self, task: usize, body: &str, actor: &str, role: Role) {
        let how = Circumstance::of(actor, role);
        assert!(self.ask(&Request::Patch(task, body.to_owned()), &how), "{body}");
    }
}

impl Circumstance {
    fn of(actor: &str, role: Role) -> Self {
        Self { role, own_tenant: true, wait_ms: 1000, with_key: false, actor: actor.to_owned() }
    }
}

/// A log of what was accepted of random requests.
pub(super) fn random_log(max: usize) -> impl Strategy<Value = Vec<Event>> {
    (requests(max), proptest::collection::vec(circumstance(), max)).prop_map(|(requests, how)| {
        let mut maker = Maker::new();
        for (request, how) in requests.iter().zip(&how) {
            maker.ask(request, how);
        }
        maker.log
    })
}

/// The records of a log.
pub(super) fn records(log: &[Event]) -> Vec<Recorded> {
    log.iter().map(|event| Recorded::print(event.clone(), LEDGER)).collect()
}

/// An export of these lines as records, whatever they are.
pub(super) fn export<T: AsRef<str>>(records: &[T]) -> Vec<u8> {
    let mut writer = ExportWriter::begin(Vec::new(), Header::new(LEDGER, records.len() as u64)).unwrap();
    for record in records {
        writer.record(record.as_ref()).unwrap();
    }
    writer.end().unwrap().0
}

pub(super) fn tenant(name: &str) -> Tenant {
    Tenant::parse(name).unwrap()
}
