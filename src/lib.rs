//! The VTID ledger: one ordered log of events in `PostgreSQL`, and followers of it.

pub mod clock;
pub mod dev;
pub mod domain;
pub mod log;
pub mod oasis;
pub mod writer;
