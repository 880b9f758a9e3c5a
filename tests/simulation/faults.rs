//! The faults that an append can meet.

/// Every fault of this world; each must be seen to fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Fault {
    AppendLostBefore,
    AppendLostAfter,
    AppendLongAfter,
    AppendSurelyNotWritten,
    LateAppendWentIn,
    LateAppendRefused,
    DatabaseAway,
    TurnNotOpened,
    TurnLostBefore,
    TurnAppendNotWritten,
    TurnLostAfter,
    LoadLost,
    LookLost,
    OutcomeTwice,
    WriterCrashed,
    CommandRefusedByDatabase,
    DeadlinePassed,
    TailLost,
}

/// All of them.
pub(super) const ALL_FAULTS: [Fault; 18] = [
    Fault::AppendLostBefore,
    Fault::AppendLostAfter,
    Fault::AppendLongAfter,
    Fault::AppendSurelyNotWritten,
    Fault::DatabaseAway,
    Fault::TurnAppendNotWritten,
    Fault::LateAppendWentIn,
    Fault::LateAppendRefused,
    Fault::TurnNotOpened,
    Fault::TurnLostBefore,
    Fault::TurnLostAfter,
    Fault::LoadLost,
    Fault::LookLost,
    Fault::OutcomeTwice,
    Fault::WriterCrashed,
    Fault::CommandRefusedByDatabase,
    Fault::DeadlinePassed,
    Fault::TailLost,
];
