//! What goes into a lease's machine, and what comes out of it.

/// Monotonic time in milliseconds, from any start.
pub type Millis = u64;

/// Marks a question. An answer to an earlier one is not taken for an answer to this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Attempt(pub u64);

/// Times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limits {
    /// A lease's length.
    pub lasts_ms: Millis,
    /// How much sooner this process takes its lease to end: what clocks may differ by in that time.
    pub drift_ms: Millis,
    /// It is renewed this long after it was last asked for.
    pub renew_ms: Millis,
    /// Without an answer for so long, a question is given up.
    pub answer_ms: Millis,
    /// The wait after a question that failed.
    pub retry_ms: Millis,
    /// How long after another's lease has ended it is asked for.
    pub margin_ms: Millis,
    /// So much later, where this process holds another lease: roles are spread.
    pub busy_ms: Millis,
    /// So much later, where this process can't do the work as far as it knows.
    pub unable_ms: Millis,
    /// For so long a holder tries to do the work that it can't do…
    pub trial_ms: Millis,
    /// … and for so long it does not ask again, unless it finds that it can.
    pub rest_ms: Millis,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lasts_ms: 3_000,
            drift_ms: 100,
            renew_ms: 1_000,
            answer_ms: 1_000,
            retry_ms: 250,
            margin_ms: 10,
            busy_ms: 250,
            unable_ms: 1_000,
            trial_ms: 3_000,
            rest_ms: 10_000,
        }
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// Time has passed.
    Tick,
    /// [`Output::Keep`]: the lease is this process's.
    Kept {
        /// As in the question.
        attempt: Attempt,
        /// Rises with each holder.
        term: i64,
        /// Rises with each renewal too.
        number: i64,
        /// How much of it was left, not before the question was sent.
        left_ms: Millis,
    },
    /// [`Output::Keep`]: it is another's.
    Taken {
        /// As in the question.
        attempt: Attempt,
        /// How much of it was left, not before the question was sent.
        left_ms: Millis,
    },
    /// [`Output::GiveBack`]: it is no longer this process's.
    GivenBack {
        /// As in the question.
        attempt: Attempt,
    },
    /// Any question: it may have done what it says, or may still.
    Failed {
        /// As in the question.
        attempt: Attempt,
    },
    /// Somebody gave the lease back, or so it is said.
    Freed,
    /// Whether this process can do the work, as far as it knows.
    Able(bool),
    /// Whether this process holds another lease.
    Busy(bool),
    /// The process ends.
    Stop,
}

/// What is to be asked of `PostgreSQL`, one thing at a time: a new question gives up the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Output {
    /// Take the lease, or renew it.
    Keep {
        /// Goes back with the answer.
        attempt: Attempt,
    },
    /// Give it back.
    GiveBack {
        /// Goes back with the answer.
        attempt: Attempt,
        /// Unless it was renewed since: what arrives late must not end a lease that counts as held again.
        number: i64,
    },
}
