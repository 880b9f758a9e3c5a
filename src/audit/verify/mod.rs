//! Whether a ledger, or a copy of it, is what it was: everything is recomputed from the records' bytes, and compared with
//! all that was kept beside them.

mod checkpoints;
mod chunks;
mod columns;
mod keys;
mod live;
mod offline;
mod report;
mod strangers;
mod tiles;
mod walk;

pub use checkpoints::Trusted;
pub use live::{Progress, told, verify_ledger, verify_stream};
pub use offline::verify_file;
pub use report::{Check, CheckName, Finding, Outcome, Report};
