//! The rules of the log: whatever the writer decides keeps them, and each breach is named with its position.

use proptest::prelude::*;
use uuid::Uuid;
use vtid_ledger::domain::command::{ParentRef, PatchTask};
use vtid_ledger::domain::event::{Event, EventData, IdSeed};
use vtid_ledger::domain::lawful::{Breach, Fact, Lawful, Rule};
use vtid_ledger::domain::origin::{Idempotency, IdempotencyKey, RequestHash, Role};
use vtid_ledger::domain::position::{Position, Version};
use vtid_ledger::domain::record::{LedgerId, Recorded};
use vtid_ledger::domain::status::Status;
use vtid_ledger::domain::text::ActorId;
use vtid_ledger::domain::time::Timestamp;
use vtid_ledger::domain::vtid::Vtid;

use super::logs::{LEDGER, Maker, random_log, records, tenant};

fn judge<'a>(log: impl IntoIterator<Item = &'a Recorded>) -> Result<(), Breach> {
    let mut lawful = Lawful::new(LEDGER);
    for recorded in log {
        let (read, source) = Recorded::parse_with_source(recorded.body.clone()).unwrap();
        assert_eq!(&read, recorded);
        lawful.admit(&Fact::of(&read, source))?;
    }
    lawful.end()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_is_decided_is_lawful(log in random_log(30)) {
        prop_assert_eq!(judge(&records(&log)), Ok(()));
    }
}

/// Two tasks in six events: the second is created as complete.
fn log() -> Vec<Event> {
    let mut maker = Maker::new();
    let create = |more: &str| {
        format!(r#"{{"taskFamily":"DEPLOY","taskType":"step","description":"x","tenant":"acme"{more}}}"#)
    };
    maker.create(&create(""), "ann", Role::Authenticated);
    maker.create(
        &create(r#","status":"complete","parentVtid":"VTID-2026-0001""#),
        "ann",
        Role::Authenticated,
    );
    maker.patch(0, r#"{"status":"active","assignedTo":"dana"}"#, "ann", Role::Authenticated);
    maker.patch(0, r#"{"status":"complete"}"#, "dana", Role::Authenticated);
    maker.patch(0, r#"{"metadata":{"a":1}}"#, "worker", Role::ServiceRole);
    assert_eq!(maker.log.len(), 6);
    maker.log
}

fn renumbered(mut log: Vec<Event>) -> Vec<Event> {
    for (position, event) in (1..).zip(&mut log) {
        event.position = Position::new(position);
    }
    log
}

/// What breaks when the log is edited so.
fn broken(edit: impl FnOnce(&mut Vec<Event>)) -> (u64, Rule) {
    let mut log = log();
    edit(&mut log);
    let Breach { position, rule } = judge(&records(&log)).unwrap_err();
    (position.get(), rule)
}

fn vtid(text: &str) -> Vtid {
    Vtid::parse_possible(text).unwrap()
}

#[test]
fn positions() {
    assert_eq!(judge(&records(&log())), Ok(()));
    assert_eq!(broken(|log| drop(log.remove(4))), (5, Rule::Position(Position::new(6))));
    assert_eq!(broken(|log| drop(log.remove(0))), (1, Rule::Position(Position::new(2))));
    assert_eq!(broken(|log| log.swap(3, 4)), (4, Rule::Position(Position::new(5))));
    assert_eq!(
        broken(|log| {
            let again = log[3].clone();
            log.insert(3, again);
        }),
        (5, Rule::Position(Position::new(4)))
    );
}

#[test]
fn what_is_renumbered_after_it_was_removed_or_moved_or_doubled() {
    let (first, third, fourth) = (vtid("VTID-2026-0001"), Version::new(3), Version::new(4));
    let closed_up = |at: usize| {
        broken(|log| {
            log.remove(at);
            *log = renumbered(log.clone());
        })
    };
    assert_eq!(closed_up(4), (5, Rule::Version { vtid: first, expected: third, found: fourth }));
    assert_eq!(closed_up(0), (1, Rule::Number { expected: first, found: vtid("VTID-2026-0002") }));
    assert_eq!(closed_up(2), (3, Rule::CompletionMissing(vtid("VTID-2026-0002"))));
    let swapped = broken(|log| {
        log.swap(3, 4);
        *log = renumbered(log.clone());
    });
    assert!(matches!(swapped, (4, Rule::Version { .. })), "{swapped:?}");
    let doubled = broken(|log| {
        let again = log[3].clone();
        log.insert(3, again);
        *log = renumbered(log.clone());
    });
    assert_eq!(doubled, (5, Rule::IdAgain));
}

#[test]
fn times_and_ids() {
    let earlier = Timestamp::from_millis(1_767_225_600_500);
    let (position, rule) = broken(|log| log[4].recorded_at = earlier);
    assert!(position == 5 && matches!(rule, Rule::Time { found, .. } if found == earlier), "{rule:?}");
    assert_eq!(broken(|log| log[4].id = Uuid::nil()), (5, Rule::Id));
    let other = IdSeed(9).event_id(Timestamp::from_millis(1), 0, 0);
    assert_eq!(broken(|log| log[4].id = other), (5, Rule::Id));
    let random = Uuid::from_u128(log()[4].id.as_u128() & !(0xF << 76) | 4 << 76);
    assert_eq!(broken(|log| log[4].id = random), (5, Rule::Id));
    let again = broken(|log| {
        log[4].id = log[3].id;
        log[4].recorded_at = log[3].recorded_at;
    });
    assert_eq!(again, (5, Rule::IdAgain));
}

#[test]
fn sources() {
    let other = LedgerId(Uuid::from_u128(7));
    let printed = |foreign: &[usize]| {
        let print = |(index, event): (usize, Event)| {
            Recorded::print(event, if foreign.contains(&index) { other } else { LEDGER })
        };
        log().into_iter().enumerate().map(print).collect::<Vec<_>>()
    };
    // A clone of another ledger, which got an id of its own after three events.
    assert_eq!(judge(&printed(&[0, 1, 2])), Ok(()));
    let breach = judge(&printed(&[0, 4])).unwrap_err();
    assert_eq!((breach.position.get(), breach.rule), (5, Rule::Source));
}

#[test]
fn numbers_versions_and_first_events() {
    let (first, second) = (vtid("VTID-2026-0001"), vtid("VTID-2026-0002"));
    let skipped = broken(|log| log[1].vtid = second.next());
    assert_eq!(skipped, (2, Rule::Number { expected: second, found: second.next() }));
    let other_year = broken(|log| log[0].vtid = vtid("VTID-2025-0001"));
    assert_eq!(other_year, (1, Rule::Number { expected: first, found: vtid("VTID-2025-0001") }));
    assert_eq!(broken(|log| log[1].vtid = first), (2, Rule::CreatedAgain(first)));
    assert_eq!(broken(|log| log[3].vtid = second.next()), (4, Rule::NeverCreated(second.next())));
    let (expected, found) = (Version::new(2), Version::new(3));
    assert_eq!(broken(|log| log[3].version = found), (4, Rule::Version { vtid: first, expected, found }));
    let expected = Version::new(1);
    assert_eq!(broken(|log| log[0].version = found), (1, Rule::Version { vtid: first, expected, found }));
}

#[test]
fn tenants_parents_and_who_may() {
    let globex = tenant("globex");
    let (position, rule) = broken(|log| log[3].tenant = globex.clone());
    assert!(position == 4 && matches!(&rule, Rule::Tenant { found, .. } if found == "globex"), "{rule:?}");
    let (position, rule) = broken(|log| log[0].tenant = globex.clone());
    assert!(position == 1 && matches!(rule, Rule::Tenant { .. }), "{rule:?}");
    for actor_tenant in [Some(globex.clone()), None] {
        let (position, rule) = broken(|log| log[3].origin.actor.tenant.clone_from(&actor_tenant));
        assert!(position == 4 && matches!(&rule, Rule::Tenancy { actor, .. } if actor == "ann"), "{rule:?}");
    }
    // An admin may.
    let mut log = log();
    log[3].origin.actor.tenant = Some(globex);
    log[3].origin.actor.role = Role::Admin;
    assert_eq!(judge(&records(&log)), Ok(()));
    let parent = |parent| {
        broken(|log| {
            let EventData::Created(create) = &mut log[1].data else { panic!("{log:?}") };
            std::sync::Arc::make_mut(create).parent = Some(ParentRef::Task(parent));
        })
    };
    for missing in ["VTID-2026-0002", "VTID-2026-0003", "VTID-2025-0001"] {
        assert_eq!(parent(vtid(missing)), (2, Rule::Parent), "{missing}");
    }
}

#[test]
fn transitions_and_completions() {
    let (first, second) = (vtid("VTID-2026-0001"), vtid("VTID-2026-0002"));
    let to = |status| PatchTask { status: Some(status), ..PatchTask::default() };
    let undone = broken(|log| log[5].data = EventData::Updated(to(Status::Active)));
    assert_eq!(undone, (6, Rule::Transition { vtid: first, from: Status::Complete, to: Status::Active }));
    assert_eq!(
        broken(|log| log[3].data = EventData::Completed(to(Status::Active))),
        (4, Rule::CompletesNothing(first))
    );
    assert_eq!(
        broken(|log| log[5].data = EventData::Completed(to(Status::Complete))),
        (6, Rule::CompletesNothing(first))
    );
    assert_eq!(
        broken(|log| log[4].data = EventData::Updated(to(Status::Complete))),
        (5, Rule::CompletesUnsaid(first))
    );
    assert_eq!(broken(|log| log.truncate(2)), (3, Rule::CompletionMissing(second)));
    let bob = ActorId::parse("bob").unwrap();
    assert_eq!(broken(|log| log[2].origin.actor.id = bob), (3, Rule::CompletionMissing(second)));
    assert_eq!(
        broken(|log| log[2].data = EventData::Completed(to(Status::Complete))),
        (3, Rule::CompletionMissing(second))
    );
    let key = Idempotency { key: IdempotencyKey::parse("k").unwrap(), hash: RequestHash([1; 32]) };
    assert_eq!(broken(|log| log[1].origin.idempotency = Some(key)), (2, Rule::KeyTooEarly));
}
