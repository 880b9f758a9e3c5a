//! Reading the whole stream again and again, slowly, while nothing else is to be done.
//!
//! What was proven once may differ later: a file of the server's is damaged, or its newest message is lost without any
//! connection breaking and another's takes the sequence before the next publish, which then expects just that one. So the
//! stream is read from its first message to what was proven, some messages at a time, and once that is through from the first
//! again; and soon after each publish that found nothing in flight, the message that it stands on. What it takes is that there is
//! a message of this ledger's at its own sequence; whether it is the log's to the byte, `oasis check` tells.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use super::{Found, Machine, Millis, Output, Position};

/// How far the stream was read again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Scrub {
    /// The next sequence to read.
    next: Position,
    /// The last messages of the stream at the times when something was published after a pause, not read since.
    stood_on: BTreeSet<Position>,
    /// Asked for and not answered yet.
    asked: BTreeSet<Position>,
    /// When the next reads are due.
    due: Millis,
    /// When the stream may be read from the first message again.
    again_at: Millis,
    /// A message that was found not to be the ledger's; looked at in each attempt until it is.
    pub(super) suspect: Option<Position>,
}

impl Default for Scrub {
    fn default() -> Self {
        Self {
            next: FIRST,
            stood_on: BTreeSet::new(),
            asked: BTreeSet::new(),
            due: 0,
            again_at: 0,
            suspect: None,
        }
    }
}

impl Machine {
    /// Up to which position the stream has been read again in the present pass.
    #[must_use]
    pub fn scrubbed(&self) -> Position {
        let asked = self.scrub.asked.first().copied().unwrap_or(self.scrub.next);
        Position::new(asked.min(self.scrub.next).get() - 1)
    }

    /// When messages are to be read again; never, while there is no use in it.
    pub(super) fn scrub_due(&self) -> Millis {
        let Scrub { next, due, again_at, stood_on, asked, .. } = &self.scrub;
        if !self.leads || self.limits.scrub_reads == 0 || self.proven.position == Position::ZERO {
            return Millis::MAX;
        }
        let left = *next <= self.proven.position || !stood_on.is_empty() || !asked.is_empty();
        if left { *due } else { *again_at }
    }

    /// An attempt begins to follow: what an earlier one asked for is not answered any more.
    pub(super) fn scrub_on(&mut self) {
        let asked = std::mem::take(&mut self.scrub.asked);
        let first = asked.first().copied().unwrap_or(self.scrub.next);
        // Behind what was proven, messages may have been lost and published anew.
        self.scrub.next = self.scrub.next.min(first).min(self.proven.position.next());
    }

    /// The server may have come back with another store: once this pass is through, the next one begins at once.
    pub(super) fn scrub_again(&mut self, now: Millis) {
        self.scrub.again_at = now;
    }

    /// Something is about to be published after the last message of a stream that stood still.
    pub(super) fn scrub_below(&mut self, last: Position) {
        if last > Position::ZERO && self.scrub.stood_on.len() < self.limits.scrub_reads {
            self.scrub.stood_on.insert(last);
        }
    }

    /// Asks for the next messages to read again, and once more for those that were not answered in time.
    pub(super) fn scrub(&mut self, now: Millis, out: &mut Vec<Output>) {
        let (generation, proven) = (self.generation, self.proven.position);
        self.scrub_on();
        let scrub = &mut self.scrub;
        if scrub.next > proven && now >= scrub.again_at {
            scrub.next = FIRST;
        }
        if scrub.next == FIRST {
            scrub.again_at = now + self.limits.scrub_pass_ms;
        }
        // What was published after these is stored by now; what was after the others need not be.
        (scrub.asked, scrub.stood_on) = scrub.stood_on.iter().partition(|position| **position < proven);
        while scrub.asked.len() < self.limits.scrub_reads && scrub.next <= proven {
            scrub.asked.insert(scrub.next);
            scrub.next = scrub.next.next();
        }
        let wait = if scrub.asked.is_empty() { self.limits.scrub_every_ms } else { self.limits.answer_ms };
        scrub.due = now + wait;
        out.extend(scrub.asked.iter().map(|position| Output::Read { generation, position: *position }));
    }

    /// A message was read again.
    pub(super) fn scrubbed_one(
        &mut self,
        now: Millis,
        position: Position,
        found: Found,
        out: &mut Vec<Output>,
    ) {
        if !self.scrub.asked.remove(&position) {
            return;
        }
        if !matches!(found, Found::Ours(_)) {
            self.scrub.suspect = Some(position);
            return self.open(now, out);
        }
        if self.scrub.asked.is_empty() {
            self.scrub.due = now + self.limits.scrub_every_ms;
        }
    }

    /// Which message has to be looked at before stream and log are compared: one that was found not to be the ledger's and
    /// that stands before what will be compared from `base` on, or published anew.
    pub(super) fn suspect(&mut self, last: Position, base: Position) -> Option<Position> {
        self.scrub.suspect = self.scrub.suspect.filter(|suspect| *suspect <= last.min(base));
        self.scrub.suspect
    }

    /// What stands there now.
    pub(super) fn suspect_read(
        &mut self,
        now: Millis,
        suspect: Position,
        found: Found,
        out: &mut Vec<Output>,
    ) {
        if !matches!(found, Found::Ours(_)) {
            return self.look_behind(now, suspect, out);
        }
        self.scrub.suspect = None;
        self.compare(now, out);
    }
}

const FIRST: Position = Position::new(1);
