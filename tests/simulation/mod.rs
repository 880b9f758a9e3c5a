//! The protocol machines in a world of faults: at tiny bounds every order of what can happen, and all of them together by
//! the hundred thousand seeds.

mod commands;
mod conformance_steps;
mod cursor_faults;
mod cursor_steps;
mod cursor_world;
mod cursors;
mod database;
pub(crate) mod explore;
mod faults;
mod lease_world;
mod leases;
mod log_conformance;
mod log_model;
mod plain_log;
mod projector;
mod promises;
mod relay;
mod relay_calm;
mod relay_faults;
mod relay_memory;
mod relay_promises;
mod relay_runs;
mod relay_scenarios;
mod relay_steps;
mod relay_strikes;
mod relay_world;
mod relays;
mod stream_conformance;
mod stream_model;
mod tally;
mod together;
mod writer_exhaustive;
mod writer_flaws;
mod writer_shell;
mod writer_steps;
mod writer_world;
