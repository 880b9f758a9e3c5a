use uuid::Uuid;

use super::pauses::{FIRST_PAUSE, LONGEST_PAUSE, LOOK_AGAIN};
use super::*;

fn at(position: u64) -> Cursor {
    Cursor::At { position: Position::new(position), id: Uuid::from_u128(u128::from(position)) }
}

fn read(after: u64, sealed: u64) -> Output {
    Output::Read { after: at(after), sealed: Position::new(sealed) }
}

fn finding() -> Finding {
    Finding { first: Position::new(3), last: Position::new(3), what: "changed".to_owned() }
}

fn failed() -> Input {
    Input::Failed { reason: "away".to_owned() }
}

/// A machine that has sealed up to `size`, where outside a tree of `floor` was seen.
fn begun(size: u64, floor: u64) -> Machine {
    let mut machine = Machine::default();
    assert_eq!(machine.handle(Input::Recheck), [Output::Forget, Output::Check]);
    let fits = Input::Fits { sealed: at(size), floor: Position::new(floor) };
    assert_eq!(machine.handle(fits), [Output::Settle]);
    assert_eq!(machine.handle(Input::Settled), [read(size, size)]);
    machine
}

#[test]
fn what_comes_within_a_second_is_sealed_at_once() {
    let mut machine = begun(3, 3);
    assert_eq!(machine.handle(Input::Read { to: at(5), due: false }), [read(5, 3)]);
    assert_eq!(machine.handle(Input::Read { to: at(9), due: false }), [read(9, 3)]);
    assert_eq!(machine.handle(Input::Idle { due: true }), [Output::Keep { to: at(9) }]);
    let seal = Output::Seal { previous: Position::new(3), to: at(9) };
    assert_eq!(machine.handle(Input::Kept), [seal]);
    assert_eq!(machine.status().position, Position::new(3));
    assert_eq!(machine.handle(Input::Sealed), [read(9, 9)]);
    let status = SealerStatus { position: Position::new(9), state: SealerState::Following };
    assert_eq!(machine.status(), &status);
}

#[test]
fn far_behind_tiles_are_put_in_on_the_way() {
    let mut machine = begun(3, 3);
    let to = at(3 + KEEP_EVENTS);
    assert_eq!(machine.handle(Input::Read { to, due: false }), [Output::Keep { to }]);
    assert_eq!(machine.handle(Input::Kept), [read(3 + KEEP_EVENTS, 3)]);
    assert_eq!(
        machine.handle(Input::Read { to: at(4 + KEEP_EVENTS), due: false }),
        [read(4 + KEEP_EVENTS, 3)]
    );
}

#[test]
fn nothing_smaller_is_sealed_than_somebody_has_seen() {
    let mut machine = begun(3, 7);
    assert_eq!(machine.handle(Input::Read { to: at(6), due: true }), [read(6, 3)]);
    assert_eq!(machine.handle(Input::Read { to: at(7), due: true }), [Output::Keep { to: at(7) }]);
}

#[test]
fn an_idle_one_looks_whether_its_checkpoint_still_stands() {
    let mut machine = begun(3, 3);
    assert_eq!(machine.handle(Input::Idle { due: true }), [Output::Look { sealed: Position::new(3) }]);
    assert_eq!(machine.handle(Input::Standing), [read(3, 3)]);
    machine.handle(Input::Idle { due: true });
    assert_eq!(machine.handle(Input::Overtaken), [Output::Forget, Output::Check]);
}

#[test]
fn a_past_that_does_not_fit_is_told_and_looked_at_again() {
    let mut machine = Machine::default();
    machine.handle(Input::Recheck);
    let report = [Output::Forget, Output::Report(finding())];
    assert_eq!(machine.handle(Input::Misfit(finding())), report);
    assert_eq!(machine.status().state, SealerState::Tampered(finding()));
    for answer in [Input::Reported, failed()] {
        assert_eq!(machine.handle(answer), [Output::Wait { pause: LOOK_AGAIN }]);
        assert_eq!(machine.handle(Input::Recheck), [Output::Forget, Output::Check]);
        assert_eq!(machine.handle(Input::Misfit(finding())), report);
    }
    machine.handle(Input::Reported);
    machine.handle(Input::Recheck);
    // A database that is away does not make it good.
    machine.handle(failed());
    assert_eq!(machine.status().state, SealerState::Tampered(finding()));
    machine.handle(Input::Recheck);
    assert_eq!(machine.handle(Input::Fits { sealed: at(3), floor: Position::new(3) }), [Output::Settle]);
    assert_eq!(machine.status().state, SealerState::Tampered(finding()), "not before the hold is lifted");
    machine.handle(Input::Settled);
    assert_eq!(machine.status().state, SealerState::Following);
}

#[test]
fn after_each_failure_it_waits_longer_and_begins_anew() {
    let mut machine = begun(3, 3);
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let [Output::Forget, Output::Wait { pause }] = machine.handle(failed())[..] else { panic!() };
        pauses.push(pause);
        assert_eq!(machine.handle(Input::Recheck), [Output::Forget, Output::Check]);
    }
    assert_eq!(pauses[0], FIRST_PAUSE);
    assert!(pauses.is_sorted());
    assert_eq!(pauses[7], LONGEST_PAUSE);
    assert!(!machine.status().is_able());
}

#[test]
fn a_lost_event_asks_for_the_hold_until_that_is_settled() {
    let mut machine = begun(3, 3);
    machine.handle(Input::Read { to: at(5), due: true });
    assert_eq!(machine.handle(Input::OtherPast(at(5))), [Output::Forget, Output::Hold(at(5))]);
    assert!(matches!(machine.handle(failed())[..], [Output::Forget, Output::Wait { .. }]));
    assert_eq!(machine.handle(Input::Recheck), [Output::Forget, Output::Hold(at(5))]);
    assert!(matches!(machine.handle(Input::HoldSettled)[..], [Output::Forget, Output::Wait { .. }]));
    assert_eq!(machine.handle(Input::Recheck), [Output::Forget, Output::Check]);
}

#[test]
fn a_long_look_is_followed_by_a_longer_pause() {
    let seconds = |took| look_again(Duration::from_millis(took)).as_secs();
    assert_eq!((seconds(0), seconds(400), seconds(10_000), seconds(600_000)), (2, 2, 40, 300));
}
