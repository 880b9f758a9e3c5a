//! The rules as a whole, without any I/O: for any sequence of requests, the fold of the records is what was answered.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use vtid_ledger::domain::changes::changes;
use vtid_ledger::domain::command::{Action, Command, Expected};
use vtid_ledger::domain::decide::{Known, decide};
use vtid_ledger::domain::event::{Event, EventType, IdSeed};
use vtid_ledger::domain::evolve::evolve;
use vtid_ledger::domain::json::{Json, ParseLimits};
use vtid_ledger::domain::numbering::Numbering;
use vtid_ledger::domain::origin::{
    Actor, Idempotency, IdempotencyKey, Origin, RequestHash, RequestId, Role, TraceParent,
};
use vtid_ledger::domain::payload::{parse_create, parse_patch};
use vtid_ledger::domain::position::{Position, Version};
use vtid_ledger::domain::record::{LedgerId, MAX_BYTES, Recorded};
use vtid_ledger::domain::row::{parse_snapshot, print_snapshot, write_row};
use vtid_ledger::domain::status::Status;
use vtid_ledger::domain::task::Task;
use vtid_ledger::domain::text::{ActorId, Tenant};
use vtid_ledger::domain::time::Timestamp;
use vtid_ledger::domain::vtid::Vtid;

use crate::support::generate::{Request, requests};

/// Everything about a request that is as long as it can be.
fn longest_origin() -> Origin {
    Origin {
        actor: Actor {
            id: ActorId::parse(&"🚀".repeat(255)).unwrap(),
            role: Role::Authenticated,
            tenant: Some(Tenant::parse(&"t".repeat(63)).unwrap()),
        },
        request_id: RequestId::parse(&"r".repeat(128)).unwrap(),
        traceparent: TraceParent::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        idempotency: Some(Idempotency {
            key: IdempotencyKey::parse(&"\"".repeat(255)).unwrap(),
            hash: RequestHash([255; 32]),
        }),
    }
}

fn command(request: &Request, made: &[Vtid]) -> Option<Command> {
    let action = match request {
        Request::Create(body) => Action::Create(Arc::new(parse_create(body.as_bytes()).ok()?)),
        Request::Patch(index, body) => {
            let vtid = made.get(*index).copied().unwrap_or(Vtid::first_of(1999));
            Action::Patch(vtid, parse_patch(body.as_bytes()).ok()?, Expected::Any)
        }
    };
    Some(Command { action, origin: longest_origin() })
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

/// Decides and folds; gives the records.
fn run(requests: &[Request]) -> (Vec<Recorded>, States) {
    let (mut log, mut states, mut numbering, mut made) =
        (Vec::new(), States::default(), Numbering::default(), Vec::new());
    for (n, request) in (0u64..).zip(requests) {
        let Some(command) = command(request, &made) else { continue };
        let Ok(events) = decide(&states, &command.origin.actor, &command.action) else { continue };
        let time = Timestamp::from_millis(1_767_225_600_000 + i64::try_from(n).unwrap() * 777);
        let vtid = match command.action {
            Action::Create(_) => numbering.give_out(time),
            Action::Patch(vtid, ..) => vtid,
            Action::Refuse(_) => unreachable!("what is refused has no events"),
        };
        for (index, data) in (0u8..).zip(events) {
            let before = states.0.remove(&vtid);
            let tenant = match &command.action {
                Action::Create(create) => create.tenant.clone(),
                Action::Patch(..) | Action::Refuse(_) => before.as_ref().unwrap().tenant.clone(),
            };
            let event = Event {
                position: Position::new(log.len() as u64 + 1),
                id: IdSeed(u128::from(n) << 16).event_id(time, 1, index),
                vtid,
                version: before.as_ref().map_or(Version::ZERO, |task| task.version).next(),
                tenant,
                recorded_at: time,
                origin: command.origin.clone(),
                data,
            };
            states.0.insert(vtid, evolve(before, &event).expect("what was decided can be folded"));
            log.push(Recorded::print(event, LedgerId(uuid::Uuid::from_u128(u128::MAX))));
        }
        if matches!(command.action, Action::Create(_)) {
            made.push(vtid);
        }
    }
    (log, states)
}

fn row(task: &Task) -> String {
    let mut text = String::new();
    write_row(task, &mut text);
    text
}

/// The columns of the row that change, without those that follow from the event itself.
fn columns(task: &Task) -> BTreeMap<String, Json> {
    let parsed = Json::parse(row(task).as_bytes(), &ParseLimits { max_depth: 33 }).unwrap();
    let Json::Object(row) = parsed.value else { panic!("a row is an object") };
    let derived = ["id", "vtid", "created_at", "updated_at"];
    row.into_iter().filter(|(name, _)| !derived.contains(&name.as_str())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Put in the place of the befores, the afters make each state into the next one; and nothing is told twice, or
    /// without need.
    #[test]
    fn what_changed_makes_the_one_state_into_the_other(requests in requests(24)) {
        let (log, _) = run(&requests);
        let mut folded: BTreeMap<Vtid, Task> = BTreeMap::new();
        for Recorded { event, .. } in &log {
            let before = folded.remove(&event.vtid);
            let after = evolve(before.clone(), event).unwrap();
            let nothing = || columns(&after).into_keys().map(|name| (name, Json::Null)).collect();
            let mut shown: BTreeMap<String, Json> = before.as_ref().map_or_else(nothing, columns);
            for change in changes(before.as_ref(), &after) {
                prop_assert_ne!(&change.before, &change.after, "{}", change.field);
                let was = shown.insert(change.field.to_owned(), change.after);
                prop_assert_eq!(was, Some(change.before), "{}", change.field);
            }
            prop_assert_eq!(shown, columns(&after));
            folded.insert(event.vtid, after);
        }
    }

    #[test]
    fn the_fold_of_the_records_is_the_state(requests in requests(24)) {
        let (log, states) = run(&requests);
        let mut folded: BTreeMap<Vtid, Task> = BTreeMap::new();
        for recorded in &log {
            prop_assert!(recorded.body.len() <= MAX_BYTES, "{} bytes", recorded.body.len());
            prop_assert!(!recorded.body.contains('\n'));
            let read = Recorded::parse(Arc::clone(&recorded.body)).unwrap();
            prop_assert_eq!(&read, recorded, "what was printed is read back");
            let before = folded.remove(&read.event.vtid);
            let status_before = before.as_ref().map(|task| task.status);
            let after = evolve(before, &read.event).unwrap();
            if read.event.data.event_type() == EventType::Completed {
                prop_assert_eq!(after.status, Status::Complete);
                prop_assert!(status_before != Some(Status::Complete) || after.version == Version::new(2));
            } else if let Some(status) = status_before {
                prop_assert!(after.status == status || after.status != Status::Complete);
            }
            folded.insert(read.event.vtid, after);
        }
        prop_assert_eq!(&folded, &states.0);
        for task in folded.values() {
            prop_assert_eq!(&parse_snapshot(&print_snapshot(task)).unwrap(), task);
            let parsed = Json::parse(row(task).as_bytes(), &ParseLimits { max_depth: 33 }).unwrap();
            prop_assert!(parsed.faults.is_empty());
            prop_assert_eq!(parsed.value.to_compact(), row(task));
        }
    }
}

#[test]
fn the_largest_record_there_can_be_has_room() {
    let wide = "\\\"".repeat(50);
    let create = format!(
        r#"{{"taskFamily":"{f}","taskType":"{f}","description":"{d}","tenant":"{t}","status":"cancelled","assignedTo":"{a}","metadata":{{"m":"{m}"}}}}"#,
        f = "🚀".repeat(100),
        d = "🚀".repeat(2_128) + &"\\\"".repeat(7_872),
        t = "t".repeat(63),
        a = "🚀".repeat(200),
        m = "m".repeat(32 * 1024 - 8),
    );
    assert!(
        parse_create(
            format!(r#"{{"taskFamily":"{wide}","taskType":"x","description":"x","tenant":"t"}}"#).as_bytes()
        )
        .is_ok()
    );
    let (log, _) = run(&[Request::Create(create)]);
    let bytes = log[0].body.len();
    assert!((60_000..=MAX_BYTES).contains(&bytes), "{bytes}");
}
