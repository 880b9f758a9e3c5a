//! What can go wrong around a projector.

/// Every fault of the projectors' world, and what only comes to pass where one was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Fault {
    /// A look at cursor or log, or a hold, fails.
    NoAnswer,
    ApplyLostBefore,
    ApplyLostAfter,
    /// The connection dies, and the transaction commits long after, or never.
    ApplyLate,
    Crashed,
    /// Nothing is found although something is there: it was written just after the look.
    Idle,
    /// The database is put back from an older copy.
    PutBack,
    /// Its lease is another's when it looks.
    OtherLeads,
    LateWentIn,
    LateRefused,
    LostRace,
    /// A batch in memory holds an event that the log has lost.
    NotInLog,
    Held,
}

impl Fault {
    pub(super) const CAUSES: [Self; 8] = [
        Self::NoAnswer,
        Self::ApplyLostBefore,
        Self::ApplyLostAfter,
        Self::ApplyLate,
        Self::Crashed,
        Self::Idle,
        Self::PutBack,
        Self::OtherLeads,
    ];
    pub(super) const OUTCOMES: [Self; 5] =
        [Self::LateWentIn, Self::LateRefused, Self::LostRace, Self::NotInLog, Self::Held];
}
