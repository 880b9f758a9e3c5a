//! The protocol machines in a world of faults: seeded, so that a failing run can be run again to the step.

mod log_model;
mod writers;
