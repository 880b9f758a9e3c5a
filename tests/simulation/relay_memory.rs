//! What a relay must not take from the memory of its own process.

use vtid_ledger::domain::position::Position;
use vtid_ledger::oasis::published::Found;
use vtid_ledger::oasis::relay::machine::{Generation, Input, Known, Limits, Machine, Output, Seen};

use super::plain_log::id;

/// The database failed over without its last commit, which this process's writer has handed over and the stream has. It
/// must not be taken for proven because memory and stream say the same.
#[test]
fn an_event_past_the_head_of_the_primary_is_asked_for_there_even_if_memory_knows_it() {
    let (generation, follow, position) = (Generation(1), Generation(1), Position::new(1));
    let mut relay = Machine::new(Limits::default());
    assert_eq!(relay.handle(0, Input::Tick), [Output::Open { generation }]);
    let opened = Input::Opened { generation, last: position, head: Position::ZERO };
    let read = Output::Read { generation, position };
    assert_eq!(relay.handle(1, opened), [Output::Follow { follow, after: Position::ZERO }, read]);
    let entries = vec![Known { position, id: id(1), bytes: 1 }];
    assert_eq!(relay.handle(2, Input::Entries { follow, entries }), []);
    let found = Input::Read { generation, position, found: Found::Ours(id(1)) };
    assert_eq!(relay.handle(3, found), [Output::AskLog { generation, position, id: id(1) }]);
    assert_eq!(relay.proven(), Position::ZERO);
    let says = Input::LogSays { generation, position, holds: false };
    let hold = Output::SetHold { position, id: id(1), seen: Seen::InStream };
    assert_eq!(relay.handle(4, says), [hold]);
}
