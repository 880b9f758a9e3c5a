//! The connection between the ledger and its database, and the clocks at its ends, when they misbehave.

mod beaten;
mod clocks;
mod cuts;
mod frozen;
mod vanish;
