//! What is wrong with a log, and where.

use crate::domain::position::{Position, Version};
use crate::domain::status::Status;
use crate::domain::time::Timestamp;
use crate::domain::vtid::Vtid;

/// The first event that no ledger would have written there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("position {position}: {rule}")]
pub struct Breach {
    /// The place in the log, counted from 1, whatever position the record there claims.
    pub position: Position,
    /// What is broken.
    pub rule: Rule,
}

/// A rule that is broken, with what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    /// Positions count 1, 2, 3, … without a gap.
    #[error("the record here says that it is at position {0}")]
    Position(Position),
    /// Times never run backwards.
    #[error("its time {found} is before {last}, that of the event in front of it")]
    Time {
        /// The time of the event before.
        last: Timestamp,
        /// Its own.
        found: Timestamp,
    },
    /// An id is a `UUIDv7` of the event's time.
    #[error("its id is not a UUIDv7 of its time")]
    Id,
    /// No id is given twice.
    #[error("its id was given to an earlier event")]
    IdAgain,
    /// All events are of this ledger, but for the first ones of a ledger that was cloned from another.
    #[error("it was recorded by another ledger, after events of this one")]
    Source,
    /// Numbers count 1, 2, 3, … in each UTC year, in the order of creation.
    #[error("it creates {found}, where {expected} is the next number")]
    Number {
        /// The number that comes next.
        expected: Vtid,
        /// The number it has.
        found: Vtid,
    },
    /// A task's first event creates it.
    #[error("it changes {0}, which was never created")]
    NeverCreated(Vtid),
    /// A task is created once.
    #[error("it creates {0} again")]
    CreatedAgain(Vtid),
    /// Versions count 1, 2, 3, … without a gap within a task.
    #[error("it is version {found} of {vtid}, where version {expected} is the next one")]
    Version {
        /// The task.
        vtid: Vtid,
        /// The version that comes next.
        expected: Version,
        /// The version it has.
        found: Version,
    },
    /// Each event bears its task's tenant.
    #[error("it bears the tenant {found}, and {vtid} is of the tenant {task}")]
    Tenant {
        /// The task.
        vtid: Vtid,
        /// The task's tenant.
        task: String,
        /// The event's.
        found: String,
    },
    /// A parent exists before its child.
    #[error("its parent does not exist")]
    Parent,
    /// Statuses change as the table of transitions has it.
    #[error("it makes {vtid} {to}, which is {from}")]
    Transition {
        /// The task.
        vtid: Vtid,
        /// Its status.
        from: Status,
        /// What it would become.
        to: Status,
    },
    /// A change to complete, and nothing else, is `vtid-completed`.
    #[error("it says that it completes {0}, and does not change its status to complete")]
    CompletesNothing(Vtid),
    /// As above.
    #[error("it completes {0}, and says that it is but an update")]
    CompletesUnsaid(Vtid),
    /// A task that is created as complete is completed by its request's second event, which follows at once.
    #[error("{0} was created as complete, and its completion by the same request does not follow here")]
    CompletionMissing(Vtid),
    /// Of a request's events, the last one alone bears its key.
    #[error("it bears its request's idempotency key, and is not that request's last event")]
    KeyTooEarly,
    /// Authenticated callers change tasks of their own tenant alone.
    #[error("{actor} ({role}) changes {vtid}, a task of the tenant {tenant}, in which they may not")]
    Tenancy {
        /// Who asked.
        actor: String,
        /// Their role's word.
        role: &'static str,
        /// The task.
        vtid: Vtid,
        /// Its tenant.
        tenant: String,
    },
}
