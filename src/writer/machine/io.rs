//! What goes into the writer's machine, and what comes out of it.

use std::sync::Arc;

use crate::domain::command::Command;
use crate::domain::cursor::Cursor;
use crate::domain::event::IdSeed;
use crate::domain::position::Position;
use crate::domain::time::Timestamp;
use crate::log::entry::Entry;
use crate::log::hold::Hold;
use crate::log::load::{Loaded, Wanted};
use crate::log::view::TurnView;
use crate::writer::answer::{Accepted, WriteError};

/// Where an answer goes.
pub type Ticket = u64;

/// Which operation an outcome belongs to; an outcome of an older one is ignored.
pub type Attempt = u64;

/// When an input comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Now {
    /// The time of day, which events bear. It may jump.
    pub wall: Timestamp,
    /// Milliseconds of a clock that never runs backwards, for deadlines.
    pub elapsed_ms: u64,
}

/// A caller's command.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Submitted {
    /// Where the answer goes.
    pub ticket: Ticket,
    /// What is asked for.
    pub command: Arc<Command>,
    /// For its events' ids.
    pub seed: IdSeed,
    /// When the caller must have an answer, in [`Now::elapsed_ms`].
    pub deadline_ms: u64,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Input {
    /// The writer begins, or shall look at the log afresh: it learns the head.
    Start,
    /// Callers ask: all that wait at this moment, so that they go into one group.
    Submit(Vec<Submitted>),
    /// States were loaded, outside or inside of a turn; none where the database did not answer.
    Loaded(Attempt, Option<Loaded>),
    /// An append ended.
    Appended(Attempt, Result<(), Failure>),
    /// The log's head was looked at: whether it is the one remembered, and no hold stands; none where the database did not
    /// answer.
    HeadSeen(Attempt, Option<bool>),
    /// A turn was opened; none where it could not be, or was lost while it was open.
    TurnOpened(Attempt, Option<TurnView>),
    /// A turn was closed.
    TurnClosed(Attempt, Result<(), Failure>),
    /// Time has passed.
    Tick,
}

/// Why an append is not known to have gone in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The log said that the head is another one, or another append took its place.
    NotTheHead,
    /// The log said that a hold stands.
    Held,
    /// The log said that the events' time lies too far ahead.
    TimeRefused,
    /// A key or a version stands in the log already.
    Conflict,
    /// The database refuses something in the group for another reason.
    Refused,
    /// The database said that it can't just now: nothing was written.
    NotWritten,
    /// No answer came: the events may be in, or may yet go in.
    Unknown,
}

/// What the shell must do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Output {
    /// Load states as of a position; answer with [`Input::Loaded`].
    Load(Attempt, Wanted, Position),
    /// Append entries after the head; answer with [`Input::Appended`].
    Append(Attempt, Cursor, Vec<Arc<Entry>>),
    /// Look whether the head is still this; answer with [`Input::HeadSeen`].
    LookAtHead(Attempt, Cursor),
    /// Open a turn after a pause, and look at the log from the remembered head on (none: at the head alone), and for the
    /// unsettled event; answer with [`Input::TurnOpened`].
    OpenTurn {
        /// Which.
        attempt: Attempt,
        /// The remembered head.
        head: Option<Cursor>,
        /// The last event of an append that did not simply succeed.
        unsettled: Option<Cursor>,
        /// The pause.
        delay_ms: u64,
        /// The connection is a new one: another database may be behind it. First have the stream compared with its log,
        /// which sets the hold if history was lost; where the stream can't be read within some seconds, go on.
        compare: bool,
    },
    /// As [`Output::Load`], within the open turn.
    LoadInTurn(Attempt, Wanted, Position),
    /// Close the open turn; answer with [`Input::TurnClosed`].
    CloseTurn(Attempt, Closing),
    /// Answer a caller.
    Answer(Ticket, Result<Accepted, WriteError>),
    /// These entries stand in the log: hand them to the followers.
    HandOver(Vec<Arc<Entry>>),
    /// The log lost history: forget what was handed over.
    ForgetTail,
    /// For the operator.
    Alarm(Alarm),
}

/// How a turn ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Closing {
    /// Append entries after this head.
    Append(Cursor, Vec<Arc<Entry>>),
    /// With a write that changes nothing, so that what is there is surely durable.
    Confirm,
    /// Set the hold.
    Hold(Hold),
    /// Without a write.
    End,
}

/// What an operator must know.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Alarm {
    /// This machine's clock, or the log's last event, lies too far ahead of the database's clock.
    TimeRefused,
    /// The ledger lost history.
    LedgerBehind(Hold),
    /// The database refuses a command that the rules allow.
    CommandRefused,
}
