//! The projector's cursor as a pure state machine: no I/O, clock or randomness.
//!
//! The cursor lives in the database, beside the rows; the machine only remembers where it saw it last. Each batch
//! moves it by compare-and-set from there, in the transaction that writes the rows, so any number of projectors can
//! run at once: whoever finds it elsewhere, or does not learn what became of a batch, loads it again.
//!
//! The shell performs the outputs in order. The last one of each call asks for exactly one answer, which is the next
//! input; an answer that the shell gave up on is never given later, so answers need no numbers. (The effect of an
//! apply that was given up on may still come later: the compare-and-set is what meets it.)

#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;

use std::time::Duration;

use super::status::{ProjectorState, ProjectorStatus};
use crate::domain::cursor::Cursor;
use crate::domain::position::Position;

/// Events of a batch at most.
pub const MAX_BATCH: u32 = crate::log::follow::BATCH_EVENTS;
/// The pause after a first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What the shell tells the machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Input {
    /// It begins.
    Started,
    /// [`Output::Wait`], [`Output::Watch`]: the pause is over.
    Woken,
    /// [`Output::Load`]: where the cursor stands in the database.
    Loaded(Cursor),
    /// [`Output::Load`]: where the cursor stands in the database; another process is the one that moves it.
    Followed(Cursor),
    /// [`Output::Load`]: code of a later revision projects or rebuilds.
    Superseded {
        /// That code's revision.
        revision: i32,
        /// Where the cursor stands.
        cursor: Cursor,
    },
    /// [`Output::Read`]: the next events, `events` of them, at least one; the shell keeps them for [`Output::Apply`].
    Read {
        /// The last of them.
        to: Cursor,
        /// How many they are.
        events: u32,
    },
    /// [`Output::Read`]: there is nothing yet, after a while; or another process is to go on.
    Idle,
    /// [`Output::Read`], [`Output::Apply`]: the log does not hold this event that it should hold.
    OtherPast(Cursor),
    /// [`Output::Read`], [`Output::Apply`]: this program can't read or fold the event at `position`. Nothing changed.
    Unreadable {
        /// The event.
        position: Position,
        /// What is wrong with it.
        reason: String,
    },
    /// [`Output::Apply`]: the batch is in, and the cursor at its last event.
    Applied,
    /// [`Output::Apply`]: the cursor was not where the batch begins, or later code has taken over. Nothing changed.
    LostRace,
    /// [`Output::Apply`]: the database refuses the rows of one event or more. Nothing changed.
    Refused {
        /// What it said.
        reason: String,
    },
    /// [`Output::Hold`]: the hold is set, or was found not to be needed.
    HoldSettled,
    /// Any: it failed, or was given up on; an apply may have gone in, or may still.
    Failed {
        /// What the database said.
        reason: String,
    },
}

/// What the machine asks the shell to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Output {
    /// Forget every state and event in memory: they may be of another past. Asks for no answer.
    Forget,
    /// Tell where the cursor stands in the database.
    Load,
    /// Wait for the next events after the cursor, `max_events` of them at most.
    Read {
        /// Where to begin.
        after: Cursor,
        /// How many at most.
        max_events: u32,
    },
    /// In one transaction: move the cursor from `from` to `to`, and write what the events just read do to the rows.
    Apply {
        /// Where the cursor must stand.
        from: Cursor,
        /// The last event read.
        to: Cursor,
    },
    /// Set the hold, unless the log turns out to hold this event.
    Hold(Cursor),
    /// Wait until it is time to see how far the process that projects has come, or until this one is to.
    Watch,
    /// Wait until then.
    Wait {
        /// On the shell's clock.
        until: Duration,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Phase {
    /// What is in memory was folded up to here; none if nothing is.
    Loading {
        folded_to: Option<Cursor>,
    },
    Reading {
        after: Cursor,
    },
    /// Another process projects.
    Watching,
    Applying {
        from: Cursor,
        to: Cursor,
        events: u32,
    },
    /// The log does not hold this event: the hold is asked for until that is settled.
    Holding(Cursor),
    /// Afterwards the cursor is loaded again, or the hold is asked for again.
    Waiting {
        hold: Option<Cursor>,
    },
}

/// The projector's cursor.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CursorMachine {
    phase: Phase,
    max_events: u32,
    /// In a row.
    failures: u32,
    /// The last failure was that of an apply.
    apply_failed: bool,
    status: ProjectorStatus,
}

impl Default for CursorMachine {
    fn default() -> Self {
        Self {
            phase: Phase::Loading { folded_to: None },
            max_events: MAX_BATCH,
            failures: 0,
            apply_failed: false,
            status: ProjectorStatus::default(),
        }
    }
}

impl CursorMachine {
    /// What is to be told of the projector.
    #[must_use]
    pub fn status(&self) -> &ProjectorStatus {
        &self.status
    }

    /// Takes what happened; `now` is the shell's clock, which never runs backwards.
    pub fn handle(&mut self, now: Duration, input: Input) -> Vec<Output> {
        match (self.phase.clone(), input) {
            (Phase::Loading { folded_to }, Input::Loaded(cursor)) => self.loaded(folded_to, cursor),
            (Phase::Loading { .. }, Input::Followed(cursor)) => self.followed(cursor),
            (Phase::Loading { .. }, Input::Superseded { revision, cursor }) => {
                let state = ProjectorState::Superseded { revision };
                self.status = ProjectorStatus { position: cursor.position(), state };
                self.wait(now, None)
            }
            (Phase::Reading { after }, Input::Read { to, events }) => {
                self.phase = Phase::Applying { from: after, to, events };
                vec![Output::Apply { from: after, to }]
            }
            // A database that went back to before a batch, and then has nothing new, tells by its cursor alone.
            (Phase::Reading { after }, Input::Idle) => {
                self.phase = Phase::Loading { folded_to: Some(after) };
                vec![Output::Load]
            }
            (Phase::Applying { to, .. }, Input::Applied) => self.applied(to),
            // Another projector was faster: no failure, and no reason to wait.
            (
                Phase::Reading { after } | Phase::Applying { from: after, .. },
                Input::Unreadable { position, reason },
            ) => {
                let good = position.get().saturating_sub(after.position().next().get());
                self.narrow(now, after, u32::try_from(good).unwrap_or(u32::MAX), (reason, true))
            }
            (Phase::Applying { from, events, .. }, Input::Refused { reason }) => {
                self.narrow(now, from, events / 2, (reason, false))
            }
            (Phase::Reading { .. } | Phase::Applying { .. }, Input::OtherPast(cursor)) => {
                self.status.state = ProjectorState::OtherPast { position: cursor.position() };
                self.hold(cursor)
            }
            (Phase::Holding(_), Input::HoldSettled) => {
                self.failures = 0;
                self.wait(now, None)
            }
            (Phase::Holding(cursor), Input::Failed { .. }) => self.wait(now, Some(cursor)),
            (Phase::Waiting { hold: Some(cursor) }, Input::Woken) => self.hold(cursor),
            (phase, Input::Failed { reason }) => {
                self.apply_failed = matches!(phase, Phase::Applying { .. });
                self.status.state = ProjectorState::Unavailable { reason };
                self.wait(now, None)
            }
            // It begins, the pause is over, or an answer that was not asked for: what the database says is true.
            _ => self.load(),
        }
    }

    fn load(&mut self) -> Vec<Output> {
        self.phase = Phase::Loading { folded_to: None };
        // What was folded since the cursor was last known did not go in, or not surely.
        vec![Output::Forget, Output::Load]
    }

    fn loaded(&mut self, folded_to: Option<Cursor>, cursor: Cursor) -> Vec<Output> {
        let moved = cursor.position() != self.status.position;
        let further = cursor.position() > self.status.position;
        self.status.position = cursor.position();
        match self.status.state {
            ProjectorState::Starting | ProjectorState::Superseded { .. } => {
                self.status.state = ProjectorState::Following;
            }
            // Unless the rows are what fails: then only a batch that goes in shows that it is over.
            ProjectorState::Unavailable { .. } if moved || !self.apply_failed => {
                self.status.state = ProjectorState::Following;
            }
            // Another projector has found its way on from where the database stands.
            ProjectorState::OtherPast { .. } if further => self.status.state = ProjectorState::Following,
            // What is wrong stays told until a batch has gone in.
            _ => {}
        }
        let elsewhere = folded_to.is_some_and(|folded_to| folded_to != cursor);
        let forget = elsewhere.then_some(Output::Forget);
        forget.into_iter().chain(self.read(cursor)).collect()
    }

    /// Where another process has come to: what is wrong there is that one's to tell.
    fn followed(&mut self, cursor: Cursor) -> Vec<Output> {
        let further = cursor.position() > self.status.position;
        self.status.position = cursor.position();
        let stands = matches!(
            self.status.state,
            ProjectorState::OtherPast { .. } | ProjectorState::Stopped { unreadable: true, .. }
        );
        if further || !stands {
            self.status.state = ProjectorState::Following;
        }
        self.failures = 0;
        self.phase = Phase::Watching;
        vec![Output::Watch]
    }

    fn read(&mut self, after: Cursor) -> Vec<Output> {
        self.phase = Phase::Reading { after };
        vec![Output::Read { after, max_events: self.max_events }]
    }

    fn applied(&mut self, to: Cursor) -> Vec<Output> {
        self.failures = 0;
        self.max_events = self.max_events.saturating_mul(2).min(MAX_BATCH);
        self.status = ProjectorStatus { position: to.position(), state: ProjectorState::Following };
        self.read(to)
    }

    /// An event after `after` can't be applied: applies the `good` ones before it first, so that the event which
    /// stops the projector is the next one.
    fn narrow(
        &mut self,
        now: Duration,
        after: Cursor,
        good: u32,
        (reason, unreadable): (String, bool),
    ) -> Vec<Output> {
        self.max_events = good.clamp(1, MAX_BATCH);
        if good > 0 {
            let mut outputs = vec![Output::Forget];
            outputs.extend(self.read(after));
            return outputs;
        }
        let position = after.position().next();
        self.status.state = ProjectorState::Stopped { position, reason, unreadable };
        self.wait(now, None)
    }

    fn hold(&mut self, cursor: Cursor) -> Vec<Output> {
        self.phase = Phase::Holding(cursor);
        vec![Output::Forget, Output::Hold(cursor)]
    }

    fn wait(&mut self, now: Duration, hold: Option<Cursor>) -> Vec<Output> {
        self.phase = Phase::Waiting { hold };
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(LONGEST_PAUSE);
        self.failures = (self.failures + 1).min(16);
        vec![Output::Wait { until: now + pause }]
    }
}
