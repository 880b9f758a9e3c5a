//! Task states in memory, kept by following the log: what a GET of one task is answered from where it can be.
//!
//! [`machine::Memory`] is the pure part, [`TaskMemory`] its shell. The memory stands at one event of the log; every state
//! in it is the fold of the log up to there. It is as fresh as a read must be:
//! - What this process acknowledged is in the log's tail in memory before the caller hears of it, and is taken over from
//!   there by the read itself, so that no read waits for a follower.
//! - Other processes' writes come with the follower, which LISTEN wakes; `Ledger-Min-Position` waits for them.
//! - A process that is cut off from `PostgreSQL` answers nothing from memory after [`machine::FRESH_FOR`] at the latest.
//! - Once the log is found to have lost history, everything is forgotten. Until then (a second or so, while nobody writes)
//!   reads may show what was lost, as those before the loss did.
//!
//! Rows of the read table enter too, since a task that nobody writes to comes from nowhere else, but for
//! [`machine::ROW_FOR`] only: somebody may have edited the table by hand, and a rebuild may have mended it since. As long
//! as a state that came by the log is here, a GET does not show an edit; lists and SQL do.

pub mod machine;
mod recent;
mod shell;
mod states;
#[cfg(test)]
mod tests;

pub use machine::MemoryLimits;
pub use shell::{TaskMemory, Unreadable};
