//! What goes into the relay's machine, and what comes out of it.

use uuid::Uuid;

use crate::domain::position::Position;
use crate::oasis::published::Found;

/// Monotonic time in milliseconds, from any start.
pub type Millis = u64;

/// Marks an attempt. Answers to an earlier one are not taken for answers to this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Generation(pub u64);

/// Bounds and waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Publishes in flight at most.
    pub in_flight: usize,
    /// Their bytes at most, by [`Known::bytes`]; a single larger one goes alone.
    pub in_flight_bytes: usize,
    /// Messages read back on start: at least as many as any relay has in flight.
    pub read_back: u64,
    /// Reads in flight at most.
    pub reads: u64,
    /// Without an answer for so long, an attempt is given up.
    pub answer_ms: Millis,
    /// The first wait after an attempt that failed; each further one is twice as long.
    pub retry_first_ms: Millis,
    /// The longest such wait.
    pub retry_most_ms: Millis,
    /// The wait before looking again at a stream that is not the ledger's.
    pub look_again_ms: Millis,
    /// With nothing to publish, the stream's end is looked at this often.
    pub recheck_ms: Millis,
    /// Messages that are read again at a time, while it follows; zero: none ever.
    pub scrub_reads: usize,
    /// The wait between two such times.
    pub scrub_every_ms: Millis,
    /// The whole stream is read again this often, or as often as that goes.
    pub scrub_pass_ms: Millis,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight: 1024,
            in_flight_bytes: 32 << 20,
            read_back: 1024,
            reads: 128,
            answer_ms: 5_000,
            retry_first_ms: 50,
            retry_most_ms: 5_000,
            look_again_ms: 2_000,
            recheck_ms: 3_000,
            scrub_reads: 32,
            scrub_every_ms: 100,
            scrub_pass_ms: 3_600_000,
        }
    }
}

/// An event of the log, as far as the machine needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Known {
    /// Its place in the log.
    pub position: Position,
    /// Its id.
    pub id: Uuid,
    /// About what it costs in memory and on the way.
    pub bytes: usize,
}

/// What `JetStream` answered to a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// Stored at this sequence.
    Stored {
        /// The sequence.
        sequence: u64,
    },
    /// Called a repeat of an earlier message: proves nothing.
    Duplicate,
    /// Refused, for whatever reason.
    Refused,
}

/// Why the stream or the log could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OpenFault {
    /// One of them can't be reached, or does not answer.
    Unreachable,
    /// The stream has another configuration, or another stream has its subjects.
    StreamDiffers,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Input {
    /// Time has passed.
    Tick,
    /// The connection to NATS is there, for the first time or anew; or the stream has another leader.
    Connected,
    /// It is gone: answers under way are lost, and the server may come back with less than it had.
    Disconnected,
    /// Somebody wants stream and log compared now.
    Recheck,
    /// Whether this relay is the one that publishes.
    Led(bool),
    /// The stream is there as it should be; the log's head was read after the stream's end.
    Opened {
        /// As in [`Output::Open`].
        generation: Generation,
        /// The stream's last sequence.
        last: Position,
        /// The log's head, as the primary told it.
        head: Position,
    },
    /// It could not be opened.
    OpenFailed {
        /// As in [`Output::Open`].
        generation: Generation,
        /// Why.
        fault: OpenFault,
    },
    /// The next events of the log, in order.
    Entries {
        /// As in [`Output::Follow`].
        follow: Generation,
        /// They follow on what came before.
        entries: Vec<Known>,
    },
    /// The log no longer holds an event that it has shown.
    LogLost {
        /// As in [`Output::Follow`].
        follow: Generation,
        /// Where it stood.
        position: Position,
        /// Its id.
        id: Uuid,
    },
    /// What stands at a sequence of the stream.
    Read {
        /// As in [`Output::Read`].
        generation: Generation,
        /// The sequence.
        position: Position,
        /// The message there.
        found: Found,
    },
    /// Whether the log holds the event.
    LogSays {
        /// As in [`Output::AskLog`].
        generation: Generation,
        /// As in [`Output::AskLog`].
        position: Position,
        /// Whether it does.
        holds: bool,
    },
    /// The answer to a publish.
    Acked {
        /// As in [`Output::Publish`].
        generation: Generation,
        /// As in [`Output::Publish`].
        position: Position,
        /// What it was.
        answer: Answer,
    },
    /// Something asked for could not be done.
    Failed {
        /// The attempt that it was a part of.
        generation: Generation,
    },
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Output {
    /// Make or compare the stream and tell its last sequence; then, after that, the head of the log on the primary.
    Open {
        /// Goes back with the answer.
        generation: Generation,
    },
    /// Follow the log from here on, and forget the entries that came before.
    Follow {
        /// Goes back with the entries.
        follow: Generation,
        /// The first entry is the next one after this.
        after: Position,
    },
    /// Follow the log no longer, and forget the entries that came.
    Unfollow,
    /// Read the message at a sequence, from the stream's leader.
    Read {
        /// Goes back with the answer.
        generation: Generation,
        /// The sequence.
        position: Position,
    },
    /// Ask the primary, now, whether its log holds this event.
    AskLog {
        /// Goes back with the answer.
        generation: Generation,
        /// The event's position.
        position: Position,
        /// The event's id.
        id: Uuid,
    },
    /// Publish the event, expecting the stream's last sequence to be the position before it.
    Publish {
        /// Goes back with the answer.
        generation: Generation,
        /// Which event.
        position: Position,
    },
    /// The ledger lost this event: stop the writes of every replica, unless it turns out to be there.
    SetHold {
        /// The first position at which the ledger differs from what it was.
        position: Position,
        /// The id of the event that stood there.
        id: Uuid,
        /// Where it was seen.
        seen: Seen,
    },
}

/// Where an event was seen that the log does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Seen {
    /// In the stream, and so by subscribers.
    InStream,
    /// In the log itself, before.
    InLog,
}

/// How the relay stands, for `/readyz`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// The stream has not been compared yet, or NATS is away.
    Connecting,
    /// Everything is well.
    Following,
    /// Attempt after attempt fails: `JetStream` refuses, or its answers are lost.
    Failing,
    /// The message at this sequence is not the ledger's event.
    Stopped {
        /// The sequence.
        sequence: Position,
    },
    /// The stream, or this process, has seen an event that the ledger no longer has.
    LedgerBehind {
        /// The first such position that was found.
        position: Position,
    },
    /// The stream has another configuration, or another stream has its subjects.
    StreamDiffers,
}
