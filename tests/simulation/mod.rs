//! The protocol machines in a world of faults: seeded, so that a failing run can be run again to the step.

mod commands;
mod database;
pub(crate) mod explore;
mod faults;
mod log_model;
mod promises;
mod relay;
mod relay_faults;
mod relay_log;
mod relay_steps;
mod relay_world;
mod relays;
mod stream_conformance;
mod stream_model;
mod together;
mod writer_exhaustive;
mod writer_shell;
mod writer_steps;
mod writer_world;
