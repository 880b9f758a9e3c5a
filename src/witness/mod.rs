//! A witness of transparency logs (C2SP `tlog-witness`), and how the ledger asks one.
//!
//! A witness signs that a log's newest checkpoint goes on where the last one ended that it saw, so that a log which shows
//! different pasts to different people, or rewrites its own, is found out. What it answers is decided by a pure
//! [`decide`]; [`store`] keeps what it saw; [`service`] does both as one step.

pub mod client;
pub mod decide;
pub mod request;
pub mod service;
pub mod settings;
pub mod store;
#[cfg(test)]
mod tests;
