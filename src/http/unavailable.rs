//! Answers with 503: what the caller may assume, and when it makes sense to ask again.

/// What a caller of an answer with 503 may assume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unavailable {
    /// A write: nothing was written.
    NotWritten,
    /// A read: the database did not answer.
    NoAnswer,
    /// The keys that tokens are checked with can't be had.
    KeysAway,
    /// More requests are under way than this process takes; this one was not looked at.
    Busy,
    /// It may have been written.
    OutcomeUnknown,
    /// The read table does not show what it must, yet.
    ReadBehind,
    /// The event is in no signed tree, yet.
    NotSealed,
    /// The ledger lost history; an operator must decide.
    LedgerBehind,
}

impl Unavailable {
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::NotWritten | Self::NoAnswer | Self::KeysAway | Self::Busy => "unavailable",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::ReadBehind | Self::NotSealed => "read_behind",
            Self::LedgerBehind => "ledger_behind",
        }
    }

    pub(super) const fn detail(self) -> &'static str {
        match self {
            Self::NotWritten => "nothing was written; try again",
            Self::NoAnswer => "the database did not answer; try again",
            Self::KeysAway => "the keys that tokens are checked with can't be fetched; try again",
            Self::Busy => "too many requests are under way; this one was not looked at; try again",
            Self::OutcomeUnknown => "it may have been written; retry with the same Idempotency-Key",
            Self::ReadBehind => "the read table does not show the required position yet; try again",
            Self::NotSealed => "no signed tree has this event yet; try again",
            Self::LedgerBehind => {
                "the ledger lost history, or its past is not the one that was sealed; nothing is written until that is settled; \
                 reads go on"
            }
        }
    }

    /// After how many seconds it makes sense to ask again.
    pub(super) const fn retry_after_seconds(self) -> &'static str {
        match self {
            Self::NotWritten
            | Self::NoAnswer
            | Self::KeysAway
            | Self::Busy
            | Self::OutcomeUnknown
            | Self::ReadBehind
            | Self::NotSealed => "1",
            // It waits for a person.
            Self::LedgerBehind => "30",
        }
    }
}
