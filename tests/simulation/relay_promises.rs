//! What must never be seen around relays, and how they must stand in the end.

use uuid::Uuid;
use vtid_ledger::domain::position::Position;
use vtid_ledger::oasis::published::Found;
use vtid_ledger::oasis::relay::machine::State;

use super::plain_log::at;
use super::relay::Relay;
use super::relay_world::{Promise, RelayWorld};

impl RelayWorld {
    /// What is proven stands in the stream, or did.
    pub(super) fn check_proven(&self, position: Position) -> Promise {
        let is_ours = |found: Found| match found {
            Found::Ours(id) => self.log.ever_held(position, id),
            Found::Nothing | Found::Foreign => false,
        };
        let lost = self.lost.range((position, Found::Nothing)..=(position, Found::Foreign));
        if is_ours(self.stream.read(position)) || lost.into_iter().any(|(_, found)| is_ours(*found)) {
            return Ok(());
        }
        let found = self.stream.read(position);
        Err(format!("a relay passes position {position}, where the stream holds {found:?}"))
    }

    /// Whoever publishes has seen that all which stood in the stream comes before it.
    pub(super) fn check_publish(&self, index: usize, position: Position, id: Uuid) -> Promise {
        let forebears = self.log.forebears(id);
        let opened = &self.relays[index].opened;
        let strange = opened.iter().zip(&forebears).position(|(found, id)| *found != Found::Ours(*id));
        match strange {
            Some(index) => {
                Err(format!("publishes {position} over {:?} at sequence {}", opened[index], index + 1))
            }
            None if opened.len() >= forebears.len() => Err(format!("publishes {position} once more")),
            None => Ok(()),
        }
    }

    /// The stream holds nothing but foreign messages and events of the log, now or once, each at its place.
    pub(super) fn check_stream(&self) -> Promise {
        for (found, position) in self.stream.messages.iter().zip(1..) {
            let right = match found {
                Found::Ours(id) => self.log.ever_held(at(position), *id),
                Found::Foreign => true,
                Found::Nothing => false,
            };
            if !right {
                return Err(format!("{found:?} stands at sequence {position}"));
            }
        }
        Ok(())
    }

    /// How every relay must stand once it has looked at stream and log as they are now.
    pub(super) fn verdict(&self) -> State {
        for (found, position) in self.stream.messages.iter().zip((1..).map(at)) {
            match found {
                Found::Ours(id) if self.log.holds(position, *id) => {}
                Found::Ours(_) => return State::LedgerBehind { position },
                Found::Foreign | Found::Nothing => return self.lost_behind(position),
            }
        }
        State::Following
    }

    /// A foreign message stops them there, unless the last event behind it is one that the log no longer has.
    fn lost_behind(&self, foreign: Position) -> State {
        let behind =
            (1..).map(at).zip(&self.stream.messages).skip_while(|(position, _)| *position <= foreign);
        let last = behind.filter(|(_, found)| matches!(found, Found::Ours(_))).last();
        match last {
            Some((position, Found::Ours(id))) if !self.log.holds(position, *id) => {
                State::LedgerBehind { position }
            }
            _ => State::Stopped { sequence: foreign },
        }
    }

    /// Stream and log are the same, and every relay knows it.
    pub(super) fn caught_up(&self) -> bool {
        let head = at(self.log.head());
        let follows =
            |relay: &Relay| relay.machine.proven() == head && relay.machine.state() == State::Following;
        at(self.stream.last()) == head
            && self.verdict() == State::Following
            && self.relays.iter().all(follows)
    }
}
