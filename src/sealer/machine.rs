//! The sealer as a pure state machine: no I/O, clock or randomness.
//!
//! What is sealed lives in the database, as checkpoints; the machine only remembers where it saw the newest. The tree up to
//! where it has read is the shell's, beside the connection on which the past was checked. Each checkpoint is put in by
//! compare-and-set after the newest, so any number of sealers can run at once, and whoever is overtaken, or does not learn
//! what became of a checkpoint, checks the past and takes the tree up again. There is no other way to begin.
//!
//! The shell performs the outputs in order. The last one of each call asks for exactly one answer, which is the next input;
//! an answer that the shell gave up on is never given later, so answers need no numbers. (The effect of a seal that was given
//! up on may still come later: the compare-and-set is what meets it.) When a checkpoint is due is the shell's to say, so that
//! the machine needs no clock.

mod pauses;
#[cfg(test)]
mod tests;

use std::time::Duration;

use super::status::{Finding, SealerState, SealerStatus};
use crate::domain::cursor::Cursor;
use crate::domain::position::Position;
use pauses::after_failures;
pub use pauses::look_again;

/// Full tiles are put in at least every so many events: 16 of them, 128 KiB.
const KEEP_EVENTS: u64 = 4096;
/// What the shell tells the machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Input {
    /// It begins; or a pause is over; or there is reason to look at the past again.
    Recheck,
    /// [`Output::Check`]: the past is the one that was sealed, and the tree is taken up.
    Fits {
        /// The last event that is sealed.
        sealed: Cursor,
        /// No checkpoint may be smaller: somebody outside has seen one of this size, which fits.
        floor: Position,
    },
    /// [`Output::Check`], [`Output::Read`], [`Output::Keep`]: it is not.
    Misfit(Finding),
    /// [`Output::Check`]: another process is the one that seals; where it is.
    Followed(Position),
    /// [`Output::Settle`]: no hold of the sealers' own making stands.
    Settled,
    /// [`Output::Read`]: the next events are in the tree.
    Read {
        /// The last of them.
        to: Cursor,
        /// A checkpoint may be signed.
        due: bool,
    },
    /// [`Output::Read`]: there is nothing yet.
    Idle {
        /// A checkpoint may be signed.
        due: bool,
    },
    /// [`Output::Look`]: the newest checkpoint is still that one.
    Standing,
    /// [`Output::Keep`]: the tiles are on record.
    Kept,
    /// [`Output::Seal`]: the checkpoint is on record.
    Sealed,
    /// [`Output::Seal`], [`Output::Look`]: another one is.
    Overtaken,
    /// [`Output::Read`], [`Output::Keep`], [`Output::Seal`]: the log does not hold this event that it should hold.
    OtherPast(Cursor),
    /// [`Output::Hold`]: the hold is set, or was found not to be needed.
    HoldSettled,
    /// [`Output::Report`]: all know that should.
    Reported,
    /// Any: it failed, or was given up on; a checkpoint may have gone in, or may still.
    Failed {
        /// What the database said.
        reason: String,
    },
}

/// What the machine asks the shell to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Output {
    /// Forget the tree, and the connection's word for the past. Asks for no answer.
    Forget,
    /// See whether the past is the one that was sealed, and take the tree up.
    Check,
    /// Lift the hold of the sealers' own making, if one stands.
    Settle,
    /// Wait for the next events after the cursor, which is where the tree ends, and add them.
    Read {
        /// Where the tree ends.
        after: Cursor,
        /// All up to here is sealed.
        sealed: Position,
    },
    /// Put full tiles on record that are not yet, if the log holds this event, which is the tree's last.
    Keep {
        /// Where the tree ends.
        to: Cursor,
    },
    /// Sign the tree's head and put it on record, if the newest checkpoint is still the one of size `previous`.
    Seal {
        /// The newest checkpoint's size.
        previous: Position,
        /// Where the tree ends.
        to: Cursor,
    },
    /// See whether the newest checkpoint is still the one of this size.
    Look {
        /// That size.
        sealed: Position,
    },
    /// Set the hold because history was lost, unless the log turns out to hold this event.
    Hold(Cursor),
    /// Stop the writes, if that is wanted, and say what was found.
    Report(Finding),
    /// Wait until it is time to see how far the process that seals has come, or until this one is to.
    Watch,
    /// Wait for so long.
    Wait {
        /// How long.
        pause: Duration,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Phase {
    Checking,
    Settling {
        tree: Tree,
    },
    Reading {
        tree: Tree,
    },
    Keeping {
        tree: Tree,
        then_seal: bool,
    },
    Sealing {
        tree: Tree,
    },
    Looking {
        tree: Tree,
    },
    Holding(Cursor),
    Reporting,
    /// Another process seals.
    Watching,
    /// Afterwards the past is checked again, or the hold is asked for again.
    Waiting {
        hold: Option<Cursor>,
    },
}

/// Where the shell's tree stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Tree {
    sealed: Cursor,
    floor: Position,
    /// Full tiles up to here are on record.
    kept: Position,
    end: Cursor,
}

/// The sealer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Machine {
    phase: Phase,
    /// In a row.
    failures: u32,
    status: SealerStatus,
}

impl Default for Machine {
    fn default() -> Self {
        Self { phase: Phase::Checking, failures: 0, status: SealerStatus::default() }
    }
}

impl Machine {
    /// What is to be told of the sealer.
    #[must_use]
    pub fn status(&self) -> &SealerStatus {
        &self.status
    }

    /// Takes what happened.
    pub fn handle(&mut self, input: Input) -> Vec<Output> {
        match (self.phase.clone(), input) {
            (Phase::Checking, Input::Fits { sealed, floor }) => {
                self.status.position = sealed.position();
                let tree = Tree { sealed, floor, kept: sealed.position(), end: sealed };
                self.phase = Phase::Settling { tree };
                vec![Output::Settle]
            }
            (Phase::Checking, Input::Followed(position)) => {
                self.status = SealerStatus { position, state: SealerState::Following };
                self.failures = 0;
                self.phase = Phase::Watching;
                vec![Output::Watch]
            }
            (Phase::Checking | Phase::Reading { .. } | Phase::Keeping { .. }, Input::Misfit(finding)) => {
                self.status.state = SealerState::Tampered(finding.clone());
                self.phase = Phase::Reporting;
                vec![Output::Forget, Output::Report(finding)]
            }
            (Phase::Settling { tree }, Input::Settled) => {
                self.status.state = SealerState::Following;
                self.read(tree)
            }
            (Phase::Reading { tree }, Input::Read { to, due }) => self.grown(Tree { end: to, ..tree }, due),
            (Phase::Reading { tree }, Input::Idle { due }) => self.idle(tree, due),
            (Phase::Looking { tree }, Input::Standing) => self.read(tree),
            (Phase::Keeping { tree, then_seal }, Input::Kept) => {
                self.failures = 0;
                let tree = Tree { kept: tree.end.position(), ..tree };
                if then_seal { self.seal(tree) } else { self.read(tree) }
            }
            (Phase::Sealing { tree }, Input::Sealed) => {
                self.failures = 0;
                self.status.position = tree.end.position();
                self.read(Tree { sealed: tree.end, ..tree })
            }
            (
                Phase::Reading { .. } | Phase::Keeping { .. } | Phase::Sealing { .. },
                Input::OtherPast(cursor),
            ) => {
                self.status.state = SealerState::OtherPast { position: cursor.position() };
                self.hold(cursor)
            }
            (Phase::Holding(_), Input::HoldSettled) => self.wait(None),
            (Phase::Holding(cursor), Input::Failed { .. }) => self.wait(Some(cursor)),
            (Phase::Waiting { hold: Some(cursor) }, _) => self.hold(cursor),
            // What is found stays told until the past fits again.
            (Phase::Reporting, _) => {
                self.phase = Phase::Waiting { hold: None };
                vec![Output::Wait { pause: look_again(Duration::ZERO) }]
            }
            (_, Input::Failed { reason }) => {
                if !matches!(self.status.state, SealerState::Tampered(_)) {
                    self.status.state = SealerState::Unavailable { reason };
                }
                self.wait(None)
            }
            // It begins, the pause is over, another sealed, or an answer that was not asked for: what the database says is
            // true.
            _ => self.check(),
        }
    }

    fn check(&mut self) -> Vec<Output> {
        self.phase = Phase::Checking;
        vec![Output::Forget, Output::Check]
    }

    fn read(&mut self, tree: Tree) -> Vec<Output> {
        self.phase = Phase::Reading { tree };
        vec![Output::Read { after: tree.end, sealed: tree.sealed.position() }]
    }

    fn grown(&mut self, tree: Tree, due: bool) -> Vec<Output> {
        let then_seal = due && tree.end.position() >= tree.floor;
        let unkept = tree.end.position().get().saturating_sub(tree.kept.get());
        if then_seal || unkept >= KEEP_EVENTS {
            self.phase = Phase::Keeping { tree, then_seal };
            vec![Output::Keep { to: tree.end }]
        } else {
            self.read(tree)
        }
    }

    fn idle(&mut self, tree: Tree, due: bool) -> Vec<Output> {
        if tree.end != tree.sealed && due {
            // The log has ended before what somebody outside has seen: it did not when the past was checked.
            return if tree.end.position() < tree.floor { self.check() } else { self.grown(tree, due) };
        }
        self.failures = 0;
        self.phase = Phase::Looking { tree };
        vec![Output::Look { sealed: tree.sealed.position() }]
    }

    fn seal(&mut self, tree: Tree) -> Vec<Output> {
        self.phase = Phase::Sealing { tree };
        vec![Output::Seal { previous: tree.sealed.position(), to: tree.end }]
    }

    fn hold(&mut self, cursor: Cursor) -> Vec<Output> {
        self.phase = Phase::Holding(cursor);
        vec![Output::Forget, Output::Hold(cursor)]
    }

    fn wait(&mut self, hold: Option<Cursor>) -> Vec<Output> {
        self.phase = Phase::Waiting { hold };
        let pause = after_failures(self.failures);
        self.failures = (self.failures + 1).min(16);
        vec![Output::Forget, Output::Wait { pause }]
    }
}
