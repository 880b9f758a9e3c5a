//! The relay as a pure state machine.
//!
//! ```text
//!            ┌──────────────── Waiting ◀──── refusal, time-out, duplicate, reconnect, foreign message
//!            ▼                                   ▲
//!         Opening ──▶ Reading ──▶ Following ─────┘
//!            ▲                        │ nothing to publish for a while
//!            └────────────────────────┘
//! ```
//!
//! A position is **proven** once its own publish was acknowledged with that very sequence, or once the message there
//! was read and bears its event's id. Everything up to the proven position is taken to be in the stream; everything
//! after it is published again, or read. Whatever surprises leads back through `Opening` and `Reading`: the one path
//! on which a start, a reconnect, a lost acknowledgement and another relay's messages are all settled.
//!
//! A relay that does not lead (another process holds the lease) publishes nothing. It compares stream and log as any
//! other where its process needs that: on start, on a new connection, and when it is asked to. Else it only looks now and
//! then whether the stream's last message is the log's event, without following the log.

mod behind;
mod following;
mod opening;
mod phase;
mod reading;
mod scrub;
#[cfg(test)]
mod tests;
mod types;

use std::collections::VecDeque;

use uuid::Uuid;

use crate::domain::position::Position;
use crate::oasis::published::Found;
use phase::{Following, Foreign, Look, Phase, Proven, Reading};
use scrub::Scrub;
pub use types::{Answer, Generation, Input, Known, Limits, Millis, OpenFault, Output, Seen, State};

/// The relay's machine: feed it what happened, do what it says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Machine {
    limits: Limits,
    generation: Generation,
    /// Whether it publishes.
    leads: bool,
    /// The generation in which the log was last followed anew; none while it is not followed.
    follow: Option<Generation>,
    proven: Proven,
    /// The highest position that was ever proven.
    high: Position,
    /// Events of the log from the one after `proven` on, without a gap.
    known: VecDeque<Known>,
    known_bytes: usize,
    /// Attempts that have failed since something was last proven for the first time.
    failures: u32,
    look: Look,
    state: State,
    phase: Phase,
    /// The last generation in which stream and log were compared to the end.
    compared: Option<Generation>,
    scrub: Scrub,
}

impl Machine {
    /// A relay that knows nothing, and leads until it is told otherwise. It begins with the first [`Input::Tick`].
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            generation: Generation::default(),
            leads: true,
            follow: None,
            proven: Proven { position: Position::ZERO, id: None },
            high: Position::ZERO,
            known: VecDeque::new(),
            known_bytes: 0,
            failures: 0,
            look: Look::Start,
            state: State::Connecting,
            phase: Phase::Waiting { until: 0 },
            compared: None,
            scrub: Scrub::default(),
        }
    }

    /// Takes in what happened, and tells what to do now, in this order.
    pub fn handle(&mut self, now: Millis, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        match input {
            Input::Tick => self.tick(now, &mut out),
            Input::Connected => {
                self.scrub_again(now);
                // What failed before failed for another reason: it is no sign of being unable now.
                self.failures = 0;
                self.reopen(now, &mut out);
            }
            Input::Recheck => self.reopen(now, &mut out),
            Input::Disconnected => self.disconnected(now),
            Input::Led(leads) => self.led(now, leads, &mut out),
            Input::Opened { generation, last, head } => self.opened(now, generation, last, head, &mut out),
            Input::OpenFailed { generation, fault } => self.open_failed(now, generation, fault),
            Input::Entries { follow, entries } => self.entries(now, follow, &entries, &mut out),
            Input::LogLost { follow, position, id } if Some(follow) == self.follow => {
                self.behind(now, position, id, Seen::InLog, &mut out);
            }
            Input::Read { generation, position, found } => {
                self.read(now, generation, position, found, &mut out);
            }
            Input::LogSays { generation, position, holds } => {
                self.log_says(now, generation, position, holds, &mut out);
            }
            Input::Acked { generation, position, answer } => {
                self.acked(now, generation, position, answer, &mut out);
            }
            Input::Failed { generation } if generation == self.generation => self.failed(now),
            Input::LogLost { .. } | Input::Failed { .. } => {}
        }
        out
    }

    /// When the next [`Input::Tick`] is due at the latest.
    #[must_use]
    pub fn next_tick(&self) -> Millis {
        match &self.phase {
            Phase::Waiting { until } => *until,
            Phase::Opening { deadline } => *deadline,
            Phase::Reading(reading) => reading.deadline,
            Phase::Following(following) => self.following_due(following).min(self.scrub_due()),
        }
    }

    /// Whether there is room for more entries of the log. A batch that is under way is taken even without.
    #[must_use]
    pub fn wants_entries(&self) -> bool {
        matches!(self.phase, Phase::Reading(_) | Phase::Following(_))
            && self.follow.is_some()
            && self.known.len() < self.limits.in_flight
            && self.known_bytes < self.limits.in_flight_bytes
    }

    /// Up to which position the stream is known to hold the ledger's events.
    #[must_use]
    pub fn proven(&self) -> Position {
        self.proven.position
    }

    /// Whether it publishes.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.leads
    }

    /// The present attempt.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// How the relay stands.
    #[must_use]
    pub fn state(&self) -> State {
        match self.state {
            State::Following if self.failures >= FAILING_AFTER => State::Failing,
            state => state,
        }
    }

    /// The last attempt in which stream and log were compared, whatever came of it; none before the first.
    #[must_use]
    pub fn compared(&self) -> Option<Generation> {
        self.compared
    }

    /// When answers are overdue, or, with nothing in flight, the stream's end is to be looked at.
    fn following_due(&self, following: &Following) -> Millis {
        let in_flight = following.sent > self.proven.position;
        if in_flight { following.deadline } else { following.recheck_at }
    }

    fn tick(&mut self, now: Millis, out: &mut Vec<Output>) {
        if now < self.next_tick() {
            return;
        }
        match &self.phase {
            Phase::Waiting { .. } => self.open(now, out),
            Phase::Opening { .. } | Phase::Reading(_) => self.failed(now),
            Phase::Following(following) if now < self.following_due(following) => self.scrub(now, out),
            Phase::Following(following) if following.sent > self.proven.position => self.failed(now),
            Phase::Following(_) => {
                self.failures = 0;
                self.open(now, out);
            }
        }
    }

    /// The event after `proven` is in the stream.
    fn prove_next(&mut self, id: Uuid) {
        let position = self.proven.position.next();
        if let Some(known) = self.known.pop_front() {
            self.known_bytes -= known.bytes;
        }
        self.proven = Proven { position, id: Some(id) };
        if position > self.high {
            self.high = position;
            self.failures = 0;
        }
    }

    /// More of the log has come.
    fn entries(&mut self, now: Millis, follow: Generation, entries: &[Known], out: &mut Vec<Output>) {
        if Some(follow) != self.follow {
            return;
        }
        for entry in entries {
            let expected = self.proven.position.plus(self.known.len() as u64).next();
            if entry.position == expected {
                self.known.push_back(*entry);
                self.known_bytes += entry.bytes;
            } else if entry.position > expected {
                // Not reached: a follower leaves no gap.
                self.look_back();
                return self.failed(now);
            } else if let Proven { position, id: Some(id) } = self.proven
                && position == entry.position
                && id != entry.id
            {
                // It was proven when the log still held it.
                return self.behind(now, position, id, Seen::InLog, out);
            }
        }
        if let Phase::Reading(reading) = &mut self.phase {
            reading.deadline = now + self.limits.answer_ms;
        }
        match self.phase {
            Phase::Reading(_) => self.compare(now, out),
            Phase::Following(_) => self.publish(now, out),
            Phase::Waiting { .. } | Phase::Opening { .. } => {}
        }
    }
}

/// So many failed attempts in a row are no hiccup.
const FAILING_AFTER: u32 = 3;
