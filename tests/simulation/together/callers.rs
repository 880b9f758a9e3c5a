//! Callers who ask again, under the same key, what they got no clear answer to; whichever replica it is.

use fastrand::Rng;
use vtid_ledger::writer::answer::{Accepted, WriteError};
use vtid_ledger::writer::machine::Ticket;

use crate::simulation::commands::{Ask, Key};

/// What was asked, by ticket from 1 on, and what is to be asked again.
#[derive(Default)]
pub(super) struct Callers {
    asked: Vec<(Ask, Key)>,
    again: Vec<(Ask, Key)>,
}

impl Callers {
    pub(super) fn ask(&mut self, ask: Ask, key: Key) {
        self.asked.push((ask, key));
    }

    /// Nobody will answer these any more.
    pub(super) fn unanswered(&mut self, tickets: Vec<Ticket>) {
        for ticket in tickets {
            self.repeat(ticket);
        }
    }

    /// Only a refusal and an acknowledgement say what became of it.
    pub(super) fn answered(&mut self, ticket: Ticket, answer: &Result<Accepted, WriteError>) {
        if !matches!(answer, Ok(_) | Err(WriteError::Refused(_) | WriteError::KeyReused)) {
            self.repeat(ticket);
        }
    }

    fn repeat(&mut self, ticket: Ticket) {
        let place = usize::try_from(ticket - 1).unwrap();
        self.again.extend(self.asked.get(place).filter(|(_, key)| key.is_some()));
    }

    /// One that waits for it, mostly.
    pub(super) fn ask_again(&mut self, rng: &mut Rng) -> Option<(Ask, Key)> {
        if self.again.is_empty() || rng.u8(..3) == 0 {
            return None;
        }
        Some(self.again.swap_remove(rng.usize(..self.again.len())))
    }
}
