//! What can go wrong, and what only comes to pass where something did.

use vtid_ledger::writer::machine::{Closing, Output};

use super::writer_shell::Fate;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Every fault; each must be seen to come to pass.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(super) enum Fault {
            $($(#[$doc])* $name,)*
        }

        impl Fault {
            pub(super) const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

faults! {
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
    OutcomeLate,
    OutcomeTwice,
    DeadlinePassed,
    /// The database refuses what the rules allow.
    CommandRefused,
    /// A machine's clock jumps.
    ClockWrong,
    /// The log refuses a time that lies too far ahead.
    TimeRefused,
    /// A process ends, and another begins: writer, projector and relay.
    Crashed,
    DatabaseAway,
    /// Another database stands behind the address, without the last commits.
    FailedOver,
    /// One without many of them.
    OlderCopy,
    /// NATS did not answer in time: the writer goes on without a comparison.
    Uncompared,
    /// The writer's comparison finds that the log lost history.
    LossFound,
    /// A process that holds a lease stands still for longer than that lasts, or not.
    HolderFrozen,
    /// A question for a lease never arrives.
    LeaseQuestionLost,
    LeaseAnswerLost,
    LeaseAnswerLate,
    /// A lease has another holder.
    LeaseMoved,
    ProjectorFailed,
    ApplyLostBefore,
    ApplyLostAfter,
    ApplyLongAfter,
    LateApplyWentIn,
    LateApplyRefused,
    /// A batch of events that the log no longer holds.
    ApplyOfTheLost,
    RelayDisconnected,
    NatsAway,
    RequestLost,
    RequestOvertaken,
    AnswerLost,
    AnswerLate,
    AnswerTwice,
    RepeatTold,
    PublishRefused,
    LatePublishStored,
    LatePublishRefused,
    StreamTailLost,
    StreamStoreLost,
    ForeignMessage,
    /// A message in the middle of the stream can't be read any more, or is another's.
    MessageDamaged,
    HoldByRelay,
    HoldByProjector,
    HoldNotSet,
    /// The operator puts back what the stream has beyond the log.
    Recovered,
    /// What was put back came from two pasts of the log: the stream had been filled up by two that did not know of each
    /// other. The run ends there: nobody can tell what is right.
    RecoveredFromTwoPasts,
    /// Other events stand there by now, or something is in the way.
    RecoveryRefused,
    /// The operator gives up what was lost.
    LossAccepted,
    /// The operator makes the stream anew.
    Rebuilt,
    /// A caller who got no answer, or none that says what became of it, asks again under the same key.
    AskedAgain,
    /// A request is answered as the first one under its key was.
    Replayed,
    /// The log lost what an auditor had read.
    AuditorBeganAgain,
    /// An auditor's own fold is the read table.
    TableAudited,
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
        Self::Crashed,
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
