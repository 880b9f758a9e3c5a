//! What can go wrong around a writer.

use vtid_ledger::writer::machine::{Closing, Output};

use super::writer_shell::Fate;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Fault {
    AppendLostBefore,
    AppendLostAfter,
    AppendLongAfter,
    AppendNotWritten,
    LateAppendWentIn,
    LateAppendRefused,
    LoadLost,
    LookLost,
    TurnNotOpened,
    TurnLostBefore,
    TurnLostAfter,
    TurnNotWritten,
    OutcomeTwice,
    DeadlinePassed,
    WriterCrashed,
    /// Another database stands behind the address, without the last commits.
    FailedOver,
    /// The operator puts back what the stream has beyond the log.
    Recovered,
    /// The operator gives it up.
    LossAccepted,
    /// The database refuses what the rules allow.
    CommandRefused,
}

impl Fault {
    /// Those that strike a writer whose database keeps what it has.
    pub(super) const OF_A_WRITER: [Self; 13] = [
        Self::AppendLostBefore,
        Self::AppendLostAfter,
        Self::AppendLongAfter,
        Self::AppendNotWritten,
        Self::LoadLost,
        Self::LookLost,
        Self::TurnNotOpened,
        Self::TurnLostBefore,
        Self::TurnLostAfter,
        Self::TurnNotWritten,
        Self::OutcomeTwice,
        Self::DeadlinePassed,
        Self::WriterCrashed,
    ];

    /// What can happen to an operation, but for the right thing.
    pub(super) fn of(operation: &Output) -> &'static [(Self, Fate)] {
        match operation {
            Output::Append(..) => &[
                (Self::AppendLostBefore, Fate::LostBefore),
                (Self::AppendLostAfter, Fate::LostAfter),
                (Self::AppendLongAfter, Fate::Late),
                (Self::AppendNotWritten, Fate::NotWritten),
            ],
            Output::Load(..) | Output::LoadInTurn(..) => &[(Self::LoadLost, Fate::LostBefore)],
            Output::LookAtHead(..) => &[(Self::LookLost, Fate::LostBefore)],
            Output::OpenTurn { .. } => &[(Self::TurnNotOpened, Fate::LostBefore)],
            Output::CloseTurn(_, Closing::Append(..)) => &[
                (Self::TurnLostBefore, Fate::LostBefore),
                (Self::TurnLostAfter, Fate::LostAfter),
                (Self::TurnNotWritten, Fate::NotWritten),
            ],
            Output::CloseTurn(..) => {
                &[(Self::TurnLostBefore, Fate::LostBefore), (Self::TurnLostAfter, Fate::LostAfter)]
            }
            _ => &[],
        }
    }
}
