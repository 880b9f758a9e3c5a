//! The sealer: real records, real checkpoints, and somebody with all rights on the database.

mod follows;
mod forged;
mod keys;
mod replicas;
pub(crate) mod stage;
mod tampered;
mod witnesses;
