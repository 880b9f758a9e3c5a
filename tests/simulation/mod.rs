//! The protocol machines in a world of faults: seeded, so that a failing run can be run again to the step.

mod check;
pub(crate) mod explore;
mod faults;
mod log_model;
mod stream_conformance;
mod world;
mod writers;
