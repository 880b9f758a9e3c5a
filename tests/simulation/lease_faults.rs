//! What can go wrong around a lease, and the known wrong leases.

/// Every fault of the leases' world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Fault {
    QuestionLost,
    /// It does what it says later.
    QuestionLate,
    AnswerLost,
    AnswerLate,
    /// The process stands still, until it wakes.
    Frozen,
    /// It ends, and another begins.
    Crashed,
    /// It ends cleanly.
    Stopped,
    /// It finds that it can't do the work.
    Unable,
    /// Its clock runs a little slower than the others'.
    ClockSlow,
    /// `PostgreSQL`'s clock is set.
    ClockBack,
    ClockForward,
}

impl Fault {
    pub(super) const ALL: [Self; 11] = [
        Self::QuestionLost,
        Self::QuestionLate,
        Self::AnswerLost,
        Self::AnswerLate,
        Self::Frozen,
        Self::Crashed,
        Self::Stopped,
        Self::Unable,
        Self::ClockSlow,
        Self::ClockBack,
        Self::ClockForward,
    ];
}

/// A known wrong lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Flaw {
    /// Whoever asks gets it.
    NoCompare,
    /// It counts from when the answer came.
    CountsFromAnswer,
    /// It lasts until another takes it, whatever its holder's clock says.
    NeverRunsOut,
}
