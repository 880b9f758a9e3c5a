//! What can go wrong around a relay.

/// Every fault of the relays' world, and what only comes to pass where one was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Fault {
    /// A request never arrives.
    RequestLost,
    /// It arrives; its answer does not.
    AnswerLost,
    /// Its answer takes its time: others come before it.
    AnswerLate,
    /// Its answer comes twice, the second time late.
    AnswerTwice,
    /// A request is served before one that was sent earlier.
    Overtaken,
    /// The log grows, shrinks or is slow between the two halves of an open.
    OpenSlow,
    /// The relay gives up waiting for what is under way.
    TimedOut,
    Crashed,
    Disconnected,
    NatsAway,
    TailLost,
    StoreLost,
    Foreign,
    LogTailLost,
    /// Its lease is another's for a while.
    LeaseLost,
    /// A publish of a dead connection arrives, and is stored.
    LateStored,
    /// It arrives and is refused, or told as a repeat.
    LateRefused,
    /// A repeat is told as one.
    RepeatTold,
}

impl Fault {
    /// Those that strike by themselves; the others follow from them.
    pub(super) const CAUSES: [Self; 15] = [
        Self::RequestLost,
        Self::AnswerLost,
        Self::AnswerLate,
        Self::AnswerTwice,
        Self::Overtaken,
        Self::OpenSlow,
        Self::TimedOut,
        Self::Crashed,
        Self::Disconnected,
        Self::NatsAway,
        Self::TailLost,
        Self::StoreLost,
        Self::Foreign,
        Self::LogTailLost,
        Self::LeaseLost,
    ];
    pub(super) const OUTCOMES: [Self; 3] = [Self::LateStored, Self::LateRefused, Self::RepeatTold];
}
