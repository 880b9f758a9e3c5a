//! The protocol machines in a world of faults: seeded, so that a failing run can be run again to the step.

mod check;
mod cursor_faults;
mod cursor_steps;
mod cursor_world;
mod cursors;
pub(crate) mod explore;
mod faults;
mod log_model;
mod plain_log;
mod projector;
mod relay;
mod relay_calm;
mod relay_faults;
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
mod world;
mod writers;
