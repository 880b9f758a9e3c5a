//! Beginning an attempt, and giving one up.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{
    Generation, Look, Machine, Millis, OpenFault, Output, Phase, Position, Proven, Reading, Seen, State,
};

impl Machine {
    /// Begins a new attempt.
    pub(super) fn open(&mut self, now: Millis, out: &mut Vec<Output>) {
        self.generation = Generation(self.generation.0 + 1);
        self.phase = Phase::Opening { deadline: now + self.limits.answer_ms };
        out.push(Output::Open { generation: self.generation });
    }

    /// Looks at all that a start looks at: the connection is new, and what was proven on the old one may be gone; or
    /// somebody asks for it.
    pub(super) fn reopen(&mut self, now: Millis, out: &mut Vec<Output>) {
        self.look_back();
        self.open(now, out);
    }

    pub(super) fn disconnected(&mut self, now: Millis) {
        self.look_back();
        self.state = State::Connecting;
        self.phase = Phase::Waiting { until: now + self.limits.retry_most_ms };
    }

    pub(super) fn look_back(&mut self) {
        if self.look == Look::Further {
            self.look = Look::Back;
        }
    }

    /// Gives this attempt up and waits before the next: a little longer each time, within bounds.
    pub(super) fn failed(&mut self, now: Millis) {
        let doubled = self.limits.retry_first_ms.saturating_mul(1 << self.failures.min(20));
        self.failures = self.failures.saturating_add(1);
        self.phase = Phase::Waiting { until: now + doubled.min(self.limits.retry_most_ms) };
    }

    pub(super) fn open_failed(&mut self, now: Millis, generation: Generation, fault: OpenFault) {
        if generation != self.generation || !matches!(self.phase, Phase::Opening { .. }) {
            return;
        }
        self.state = match fault {
            OpenFault::Unreachable => State::Connecting,
            OpenFault::StreamDiffers => State::StreamDiffers,
        };
        self.failed(now);
    }

    /// The message at `sequence` is not the ledger's event. Looks again after a while, from further back: a rebuild
    /// of the stream is noticed so.
    pub(super) fn stop(&mut self, now: Millis, sequence: Position) {
        self.state = State::Stopped { sequence };
        self.look_again(now);
    }

    /// The ledger does not hold an event that was seen.
    pub(super) fn behind(
        &mut self,
        now: Millis,
        position: Position,
        id: Uuid,
        seen: Seen,
        out: &mut Vec<Output>,
    ) {
        self.state = State::LedgerBehind { position };
        out.push(Output::SetHold { position, id, seen });
        self.look_again(now);
    }

    fn look_again(&mut self, now: Millis) {
        self.compared = Some(self.generation);
        self.look_back();
        self.phase = Phase::Waiting { until: now + self.limits.look_again_ms };
    }

    /// Stream and log are there: decides from where on they are compared.
    pub(super) fn opened(
        &mut self,
        now: Millis,
        generation: Generation,
        last: Position,
        head: Position,
        out: &mut Vec<Output>,
    ) {
        if generation != self.generation || !matches!(self.phase, Phase::Opening { .. }) {
            return;
        }
        let end = last.min(head);
        if end < self.proven.position {
            // One of them has lost what was proven.
            self.look_back();
        }
        let back = |from: Position| Position::new(from.get().saturating_sub(self.limits.read_back));
        let base = match self.look {
            Look::Start => back(end),
            Look::Back => back(end.min(self.high)),
            // Others may have relayed a good deal meanwhile: no need to read more of it than on a start.
            Look::Further if self.leads => self.proven.position.max(back(end)),
            // What others relayed is theirs to read back.
            Look::Further => Position::new(end.get().saturating_sub(1)),
        };
        let known = self.proven.id.is_some() || base == Position::ZERO;
        if self.look == Look::Further && !self.leads {
            self.glance_at(base, out);
        } else if self.look != Look::Further
            || base != self.proven.position
            || !known
            || self.follow.is_none()
        {
            self.restart_at(base, out);
        }
        // What is proven by its id is read once more: there the stream shows whether it lost its end.
        let cursor = if self.proven.id.is_some() { base } else { base.next() };
        let suspect = self.suspect(last, base);
        out.extend(suspect.map(|position| Output::Read { generation, position }));
        self.phase = Phase::Reading(Reading {
            last,
            head,
            cursor,
            ask: cursor,
            found: BTreeMap::new(),
            log_asked: false,
            suspect,
            foreign: None,
            deadline: now + self.limits.answer_ms,
        });
        self.compare(now, out);
    }

    /// Takes everything up to `base` on trust, and the log's entries from there on.
    fn restart_at(&mut self, base: Position, out: &mut Vec<Output>) {
        self.trust(base);
        self.follow = Some(self.generation);
        self.look = Look::Back;
        out.push(Output::Follow { follow: self.generation, after: base });
    }

    /// Takes everything up to `base` on trust; the few messages after it are held against the log one by one.
    fn glance_at(&mut self, base: Position, out: &mut Vec<Output>) {
        self.trust(base);
        self.unfollow(out);
    }

    fn trust(&mut self, base: Position) {
        self.proven = Proven { position: base, id: None };
        self.high = self.high.max(base);
        self.known.clear();
        self.known_bytes = 0;
    }

    fn unfollow(&mut self, out: &mut Vec<Output>) {
        self.known.clear();
        self.known_bytes = 0;
        if self.follow.take().is_some() {
            out.push(Output::Unfollow);
        }
    }

    /// This relay is the one that publishes, or no longer is.
    pub(super) fn led(&mut self, now: Millis, leads: bool, out: &mut Vec<Output>) {
        if leads == self.leads {
            return;
        }
        self.leads = leads;
        match self.phase {
            Phase::Following(_) if !leads => self.follow_on(now, out),
            // It looks at all that a start looks at: whoever led before may have left something half done.
            _ if leads && self.follow.is_none() => {
                self.look_back();
                if !matches!(self.phase, Phase::Waiting { .. }) {
                    self.open(now, out);
                }
            }
            _ => {}
        }
    }

    /// Nothing is published: the log need not be followed, until stream and log are to be compared again.
    pub(super) fn stand_by(&mut self, out: &mut Vec<Output>) {
        if !self.leads {
            self.unfollow(out);
        }
    }
}
