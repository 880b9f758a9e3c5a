//! The projections: read models that are kept current from the log, and can be rebuilt from it.
//!
//! [`machine`] is the projector's cursor as a pure state machine, [`projector`] its shell. [`tasks`] is the read
//! table, [`read`] what HTTP asks of it, [`memory`] what it is answered from where it can be, [`rebuild`] what mends it.

pub mod command;
pub mod connections;
pub mod counts;
pub mod demand;
pub mod elsewhere;
mod list;
pub mod machine;
pub mod memory;
mod mend;
mod own;
pub mod page;
pub mod past;
pub mod projector;
pub(crate) mod question;
pub mod read;
pub mod rebuild;
mod row;
mod standby;
pub mod status;
pub mod tasks;
mod walk;
mod write;
