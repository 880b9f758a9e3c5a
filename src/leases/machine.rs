//! One lease of one process, as a pure state machine: no I/O, clock or randomness.
//!
//! ```text
//!              ┌──── another's: until it ends ────┐
//!              ▼                                  │
//!  start ─▶ Waiting ── due, or free ──▶ Asking ───┤
//!            ▲   ▲                                │
//!            │   └──── ours: until its renewal ───┘
//!            └── GivingBack ◀── stopped, or unable to do the work
//! ```
//!
//! The lease counts as held as long as this process's own clock says that what `PostgreSQL` granted can't have run out:
//! from before the question was sent. So no two hold it at once while their clocks and `PostgreSQL`'s run at about the
//! same rate, whatever is lost, late or frozen. (`PostgreSQL`'s clock set forward ends a lease early: then two may hold
//! it for one lease's time. The machine's clock must not stop with the process; one that is suspended with the whole
//! machine can't know.)

#[cfg(test)]
mod tests;
mod types;

pub use types::{Attempt, Input, Limits, Millis, Output};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
    Waiting {
        ask_at: Millis,
        /// It was given back for want of ability: not taken again as soon as it is free.
        rests: bool,
    },
    Asking {
        sent: Millis,
    },
    GivingBack {
        sent: Millis,
    },
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Granted {
    term: i64,
    number: i64,
    since: Millis,
    until: Millis,
}

/// One lease's machine: feed it what happened, do what it says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Machine {
    limits: Limits,
    attempt: Attempt,
    phase: Phase,
    granted: Option<Granted>,
    able: bool,
    busy: bool,
    stopping: bool,
}

impl Machine {
    /// Asks with the first [`Input::Tick`].
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            attempt: Attempt::default(),
            phase: Phase::Waiting { ask_at: 0, rests: false },
            granted: None,
            able: true,
            busy: false,
            stopping: false,
        }
    }

    /// Until when the lease is held, if it is at `now`.
    #[must_use]
    pub fn held_until(&self, now: Millis) -> Option<Millis> {
        let until = self.granted.map(|granted| granted.until);
        until.filter(|until| now < *until && !self.stopping)
    }

    /// Whether it was stopped, and has nothing more to ask.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// When the next [`Input::Tick`] is due at the latest; never, once ended.
    #[must_use]
    pub fn next_tick(&self) -> Option<Millis> {
        let due = match self.phase {
            Phase::Waiting { ask_at, .. } => ask_at,
            Phase::Asking { sent } | Phase::GivingBack { sent } => sent + self.limits.answer_ms,
            Phase::Ended => return None,
        };
        let ends = self.granted.map(|granted| granted.until.min(self.tried(&granted)));
        Some(ends.map_or(due, |ends| due.min(ends)))
    }

    /// Takes in what happened, and tells what to ask.
    pub fn handle(&mut self, now: Millis, input: Input) -> Vec<Output> {
        match (self.phase, input) {
            (Phase::Asking { sent }, Input::Kept { attempt, term, number, left_ms })
                if attempt == self.attempt =>
            {
                self.kept(now, sent, (term, number), left_ms);
            }
            (Phase::Asking { .. }, Input::Taken { attempt, left_ms }) if attempt == self.attempt => {
                self.granted = None;
                let ends = now + left_ms.min(self.limits.lasts_ms) + self.limits.margin_ms;
                self.wait(ends + self.courtesy());
            }
            (Phase::Asking { .. }, Input::Failed { attempt }) if attempt == self.attempt => {
                self.wait(now + self.limits.retry_ms);
            }
            (Phase::GivingBack { .. }, Input::GivenBack { attempt } | Input::Failed { attempt })
                if attempt == self.attempt =>
            {
                self.rest(now);
            }
            (Phase::Waiting { ask_at, rests: false }, Input::Freed) if self.granted.is_none() => {
                self.wait(ask_at.min(now + self.courtesy()));
            }
            (phase, Input::Able(able)) => {
                let heals = able && !self.able;
                self.able = able;
                if let (true, Phase::Waiting { .. }, None) = (heals, phase, self.granted) {
                    self.wait(now);
                }
            }
            (_, Input::Busy(busy)) => self.busy = busy,
            (_, Input::Stop) => self.stopping = true,
            // Late, doubled, or only time that has passed.
            _ => {}
        }
        self.go_on(now).into_iter().collect()
    }

    fn kept(&mut self, now: Millis, sent: Millis, (term, number): (i64, i64), left_ms: Millis) {
        let until = sent + left_ms.min(self.limits.lasts_ms).saturating_sub(self.limits.drift_ms);
        let before = self.granted.filter(|granted| granted.term == term);
        let since = before.map_or(now, |granted| granted.since);
        self.granted = Some(Granted { term, number, since, until });
        // An answer that took long is no reason to ask without a pause.
        self.wait((sent + self.limits.renew_ms).max(now + self.limits.margin_ms));
    }

    /// What is due.
    fn go_on(&mut self, now: Millis) -> Option<Output> {
        if !self.stopping && self.granted.is_some_and(|granted| granted.until <= now) {
            self.granted = None;
        }
        match self.phase {
            Phase::Asking { sent } if now >= sent + self.limits.answer_ms => {
                self.wait(now + self.limits.retry_ms);
            }
            Phase::GivingBack { sent } if now >= sent + self.limits.answer_ms => self.rest(now),
            _ => {}
        }
        let Phase::Waiting { ask_at, .. } = self.phase else { return None };
        let gives_up = self.granted.is_some_and(|granted| self.stopping || now >= self.tried(&granted));
        if gives_up && let Some(granted) = self.granted.take() {
            self.phase = Phase::GivingBack { sent: now };
            return Some(Output::GiveBack { attempt: self.next_attempt(), number: granted.number });
        }
        if self.stopping {
            self.phase = Phase::Ended;
        } else if now >= ask_at {
            self.phase = Phase::Asking { sent: now };
            return Some(Output::Keep { attempt: self.next_attempt() });
        }
        None
    }

    /// When a holder that can't do the work has tried for long enough.
    fn tried(&self, granted: &Granted) -> Millis {
        if self.able { Millis::MAX } else { granted.since + self.limits.trial_ms }
    }

    /// How long others are let in first.
    fn courtesy(&self) -> Millis {
        match (self.able, self.busy) {
            (false, _) => self.limits.unable_ms,
            (true, true) => self.limits.busy_ms,
            (true, false) => 0,
        }
    }

    fn next_attempt(&mut self) -> Attempt {
        self.attempt = Attempt(self.attempt.0 + 1);
        self.attempt
    }

    fn wait(&mut self, ask_at: Millis) {
        self.phase = Phase::Waiting { ask_at, rests: false };
    }

    /// The lease was given back.
    fn rest(&mut self, now: Millis) {
        let ask_at = if self.able { now } else { now + self.limits.rest_ms };
        self.phase = Phase::Waiting { ask_at, rests: !self.able };
    }
}
