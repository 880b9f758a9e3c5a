//! The operator: `oasis recover`, `oasis rebuild`, `oasis rebuild --accept-loss`, step by step.

use std::sync::Arc;

use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::domain::position::Position;
use vtid_ledger::domain::time::Timestamp;
use vtid_ledger::log::entry::Entry;
use vtid_ledger::log::hold::{Hold, Losses};
use vtid_ledger::oasis::published::Found;
use vtid_ledger::oasis::relay::machine::State;

use super::world::World;
use crate::simulation::faults::Fault;
use crate::simulation::log_model::LatestTime;
use crate::simulation::promises::Promise;

/// What an operator is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    Recover,
    /// Making the stream anew; whether a loss is given up with it.
    Remake {
        accept: bool,
    },
    /// The stream is made anew: the loss goes on record, the hold goes.
    Accept,
}

impl World {
    /// Whether somebody is called.
    pub(super) fn needs_operator(&self) -> bool {
        let stopped = |state: State| matches!(state, State::Stopped { .. } | State::LedgerBehind { .. });
        self.database.log.hold.is_some()
            || self.replicas.iter().any(|replica| stopped(replica.relay.relay.machine.state()))
    }

    /// The operator goes on, or looks what is to be done.
    pub(super) fn operate(&mut self) -> Promise {
        if self.database_is_away() || self.nats_is_away() || self.database.lock.is_some() {
            return Ok(());
        }
        match self.task.take() {
            Some(Task::Recover) => self.recover(),
            Some(Task::Remake { accept }) => {
                self.remake(accept);
                Ok(())
            }
            Some(Task::Accept) => {
                self.fire(Fault::LossAccepted);
                self.database.decide(None, Losses(self.database.log.losses.0 + 1));
                Ok(())
            }
            None => {
                self.choose();
                Ok(())
            }
        }
    }

    fn choose(&mut self) {
        if !self.needs_operator() {
            return;
        }
        let lost = self.database.log.hold.is_some() || self.stream_has_lost_events();
        self.task = match lost {
            true if self.rng.bool() => Some(Task::Recover),
            true => {
                let position = Position::new(self.database.log.len() as u64 + 1);
                self.database.set_hold(Hold::at(position, "the operator gives it up".to_owned()));
                Some(Task::Remake { accept: true })
            }
            false => Some(Task::Remake { accept: false }),
        };
        self.say(|| format!("the operator: {:?}", self.task));
    }

    fn stream_has_lost_events(&self) -> bool {
        let rows = self.database.log.rows();
        self.stream.messages.iter().enumerate().any(|(index, found)| match found {
            Found::Ours(id) => rows.get(index).is_none_or(|row| row.event().id != *id),
            _ => false,
        })
    }

    /// The records that the stream has after the log's head, byte for byte.
    fn recover(&mut self) -> Promise {
        let before = self.database.log.len();
        let rows = self.database.log.rows().iter().zip(&self.stream.messages);
        let replaced = rows.into_iter().any(|(row, found)| match found {
            Found::Ours(id) => row.event().id != *id,
            _ => false,
        });
        let beyond = self.stream.messages.get(before..).unwrap_or_default();
        let lost: Vec<Arc<Entry>> = beyond.iter().map_while(|found| self.message(*found)).collect();
        self.over = self.is_of_two_pasts(&lost);
        if self.over {
            self.fire(Fault::RecoveredFromTwoPasts);
            return Ok(());
        }
        let (total, put_back) = (beyond.len(), lost.len());
        if replaced || lost.is_empty() {
            self.fire(Fault::RecoveryRefused);
            return Ok(());
        }
        let through = Position::new((before + put_back) as u64);
        let standing = self.database.log.hold.clone();
        let stays = standing.clone().filter(|hold| hold.last > through);
        let stays = stays.or_else(|| {
            let reason = "not all of it can be put back".to_owned();
            (total > put_back).then(|| Hold::at(through.next(), reason))
        });
        self.database.decide(None, self.database.log.losses);
        let latest = std::mem::replace(&mut self.database.latest, LatestTime(Timestamp::MAX));
        let appended = self.database.append(self.database.log.head().cursor, self.database.log.losses, &lost);
        self.database.latest = latest;
        let hold = if appended.is_ok() { stays } else { standing };
        self.database.decide(hold, self.database.log.losses);
        self.fire(if appended.is_ok() { Fault::Recovered } else { Fault::RecoveryRefused });
        self.committed(before)
    }

    /// Whether one of these did not follow, when it was appended, on what it would follow on now.
    fn is_of_two_pasts(&self, lost: &[Arc<Entry>]) -> bool {
        let mut before = self.database.log.head().cursor;
        lost.iter().any(|entry| {
            let event = &entry.recorded.event;
            let follows = self.archive.get(&event.id).is_some_and(|(_, previous)| *previous == before);
            before = Cursor::at(event);
            !follows
        })
    }

    fn message(&self, found: Found) -> Option<Arc<Entry>> {
        match found {
            Found::Ours(id) => {
                let recorded = self.archive.get(&id)?.0.recorded.clone();
                Some(Arc::new(Entry::read(recorded)))
            }
            Found::Nothing | Found::Foreign => None,
        }
    }

    fn remake(&mut self, accept: bool) {
        self.fire(Fault::Rebuilt);
        self.cut_stream(0);
        self.task = accept.then_some(Task::Accept);
    }
}
