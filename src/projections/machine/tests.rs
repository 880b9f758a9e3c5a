use std::collections::BTreeSet;

use super::world::World;
use super::*;
use uuid::Uuid;

fn at(position: u64) -> Cursor {
    Cursor::At { position: Position::new(position), id: Uuid::from_u128(u128::from(position)) }
}

fn read_after(after: Cursor) -> Output {
    Output::Read { after, max_events: MAX_BATCH }
}

const NOW: Duration = Duration::from_secs(7);

/// A machine that has read `events` events after position 3.
fn has_read(events: u32) -> CursorMachine {
    let mut machine = CursorMachine::default();
    assert_eq!(machine.handle(NOW, Input::Started), [Output::Forget, Output::Load]);
    assert_eq!(machine.handle(NOW, Input::Loaded(at(3))), [read_after(at(3))]);
    let to = at(3 + u64::from(events));
    assert_eq!(machine.handle(NOW, Input::Read { to, events }), [Output::Apply { from: at(3), to }]);
    machine
}

fn failed() -> Input {
    Input::Failed { reason: "away".to_owned() }
}

fn pause(outputs: &[Output]) -> Duration {
    match outputs {
        [Output::Wait { until }] => until.checked_sub(NOW).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn it_follows() {
    let mut machine = has_read(2);
    assert_eq!(machine.status().position, Position::new(3));
    assert_eq!(machine.handle(NOW, Input::Applied), [read_after(at(5))]);
    assert_eq!(
        machine.status(),
        &ProjectorStatus { position: Position::new(5), state: ProjectorState::Following }
    );
}

#[test]
fn an_idle_one_notices_that_the_database_went_back() {
    let mut machine = has_read(2);
    machine.handle(NOW, Input::Applied);
    assert_eq!(machine.handle(NOW, Input::Idle), [Output::Load]);
    assert_eq!(
        machine.handle(NOW, Input::Loaded(at(5))),
        [read_after(at(5))],
        "what is in memory is still good"
    );
    machine.handle(NOW, Input::Idle);
    assert_eq!(machine.handle(NOW, Input::Loaded(at(3))), [Output::Forget, read_after(at(3))]);
    assert_eq!(machine.status().position, Position::new(3));
}

#[test]
fn a_lost_race_loads_the_cursor_again_and_is_no_failure() {
    let mut machine = has_read(2);
    assert_eq!(machine.handle(NOW, Input::LostRace), [Output::Forget, Output::Load]);
    assert_eq!(machine.handle(NOW, Input::Loaded(at(9))), [read_after(at(9))]);
    assert_eq!(machine.status().position, Position::new(9), "the other projector's progress is told");
    assert_eq!(machine.status().state, ProjectorState::Following);
}

#[test]
fn an_unknown_outcome_loads_the_cursor_again_after_a_pause_that_grows() {
    let mut machine = has_read(1);
    let mut pauses = Vec::new();
    for _ in 0..9 {
        pauses.push(pause(&machine.handle(NOW, failed())).as_millis());
        assert_eq!(machine.handle(NOW, Input::Woken), [Output::Forget, Output::Load]);
    }
    assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
    assert_eq!(machine.status().state, ProjectorState::Unavailable { reason: "away".to_owned() });
    assert_eq!(machine.handle(NOW, Input::Loaded(at(4))), [read_after(at(4))]);
    assert_eq!(machine.status().state, ProjectorState::Following, "the batch had gone in");
}

#[test]
fn an_event_that_the_log_has_lost_asks_for_the_hold_until_that_is_settled() {
    let mut machine = has_read(2);
    let lost = at(5);
    assert_eq!(machine.handle(NOW, Input::OtherPast(lost)), [Output::Forget, Output::Hold(lost)]);
    assert_eq!(machine.status().state, ProjectorState::OtherPast { position: Position::new(5) });
    pause(&machine.handle(NOW, failed()));
    assert_eq!(machine.handle(NOW, Input::Woken), [Output::Forget, Output::Hold(lost)]);
    pause(&machine.handle(NOW, Input::HoldSettled));
    assert_eq!(machine.handle(NOW, Input::Woken), [Output::Forget, Output::Load]);
    assert_eq!(machine.handle(NOW, Input::Loaded(at(2))), [read_after(at(2))]);
}

#[test]
fn a_lost_event_is_no_trouble_any_more_once_another_projector_goes_on() {
    let mut machine = has_read(2);
    machine.handle(NOW, Input::OtherPast(at(5)));
    machine.handle(NOW, Input::HoldSettled);
    machine.handle(NOW, Input::Woken);
    machine.handle(NOW, Input::Loaded(at(2)));
    assert_eq!(machine.status().state, ProjectorState::OtherPast { position: Position::new(5) });
    assert_eq!(machine.handle(NOW, Input::Idle), [Output::Load]);
    machine.handle(NOW, Input::Loaded(at(3)));
    assert_eq!(machine.status().state, ProjectorState::Following);
}

#[test]
fn an_unreadable_event_stops_it_once_those_before_are_in() {
    let mut machine = has_read(4);
    let unreadable = || Input::Unreadable { position: Position::new(6), reason: "odd".to_owned() };
    let narrowed = Output::Read { after: at(3), max_events: 2 };
    assert_eq!(machine.handle(NOW, unreadable()), [Output::Forget, narrowed]);
    machine.handle(NOW, Input::Read { to: at(5), events: 2 });
    machine.handle(NOW, Input::Applied);
    pause(&machine.handle(NOW, unreadable()));
    let stopped =
        ProjectorState::Stopped { position: Position::new(6), reason: "odd".to_owned(), unreadable: true };
    assert_eq!(machine.status(), &ProjectorStatus { position: Position::new(5), state: stopped.clone() });
    machine.handle(NOW, Input::Woken);
    let alone = Output::Read { after: at(5), max_events: 1 };
    assert_eq!(machine.handle(NOW, Input::Loaded(at(5))), [alone]);
    assert_eq!(machine.status().state, stopped, "it stays named until it is in");
    machine.handle(NOW, Input::Read { to: at(6), events: 1 });
    machine.handle(NOW, Input::Applied);
    assert_eq!(machine.status().state, ProjectorState::Following);
}

#[test]
fn a_refused_batch_is_halved_until_the_culprit_stands_alone() {
    let mut machine = has_read(8);
    let refused = || Input::Refused { reason: "no".to_owned() };
    for half in [4, 2, 1] {
        let outputs = machine.handle(NOW, refused());
        assert_eq!(outputs, [Output::Forget, Output::Read { after: at(3), max_events: half }]);
        machine.handle(NOW, Input::Read { to: at(3 + u64::from(half)), events: half });
    }
    pause(&machine.handle(NOW, refused()));
    let stopped =
        ProjectorState::Stopped { position: Position::new(4), reason: "no".to_owned(), unreadable: false };
    assert_eq!(machine.status().state, stopped);
}

#[test]
fn later_code_makes_it_watch_alone() {
    let mut machine = CursorMachine::default();
    machine.handle(NOW, Input::Started);
    let superseded = Input::Superseded { revision: 2, cursor: at(8) };
    pause(&machine.handle(NOW, superseded));
    let state = ProjectorState::Superseded { revision: 2 };
    assert_eq!(machine.status(), &ProjectorStatus { position: Position::new(8), state });
    assert_eq!(machine.handle(NOW, Input::Woken), [Output::Forget, Output::Load]);
}

#[test]
fn where_another_leads_it_only_watches() {
    let mut machine = has_read(2);
    machine.handle(NOW, Input::Applied);
    assert_eq!(machine.handle(NOW, Input::Idle), [Output::Load]);
    assert_eq!(machine.handle(NOW, Input::Followed(at(9))), [Output::Watch]);
    let following =
        |position| ProjectorStatus { position: Position::new(position), state: ProjectorState::Following };
    assert_eq!(machine.status(), &following(9));
    // What it has in memory is older than what the other has written since.
    assert_eq!(machine.handle(NOW, Input::Woken), [Output::Forget, Output::Load]);
    assert_eq!(machine.handle(NOW, Input::Loaded(at(9))), [read_after(at(9))]);
}

#[test]
fn what_this_version_can_not_read_stays_told_until_another_has_passed_it() {
    let mut machine = has_read(1);
    let unreadable = Input::Unreadable { position: Position::new(4), reason: "vtid-moved".to_owned() };
    machine.handle(NOW, unreadable);
    assert!(!machine.status().is_able());
    machine.handle(NOW, Input::Woken);
    machine.handle(NOW, Input::Followed(at(3)));
    assert!(!machine.status().is_able(), "nobody has passed it");
    machine.handle(NOW, Input::Woken);
    machine.handle(NOW, Input::Followed(at(4)));
    assert!(machine.status().is_able());
}

#[test]
fn two_projectors_and_every_fault() {
    let mut fired = BTreeSet::new();
    for seed in 0..2000 {
        let run = std::panic::catch_unwind(|| {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut world = World::start();
            (0..300).for_each(|_| world.step(&mut rng));
            world.settle();
            world.fired
        });
        match run {
            Ok(seen) => fired.extend(seen.into_keys()),
            Err(cause) => {
                eprintln!("seed {seed}");
                std::panic::resume_unwind(cause);
            }
        }
    }
    let faults = [
        "another leads",
        "apply comes late",
        "apply lost after",
        "apply lost before",
        "crash",
        "hold",
        "late commit went in",
        "log tail lost",
        "lost race",
        "no answer",
        "not in the log",
        "refused",
        "unreadable",
    ];
    assert_eq!(fired, BTreeSet::from(faults), "each fault has come up");
}
