//! The rules of the ledger: pure, without I/O, clock or randomness.
//!
//! A **command** ([`command`]) is **decided** ([`decide`]) on a state into **events** ([`event`]) or a refusal;
//! events **evolve** ([`evolve`]) the state. An event's **record** ([`record`]) is its exact bytes.

pub mod changes;
pub mod command;
pub mod cursor;
pub mod decide;
pub mod event;
pub mod evolve;
pub mod json;
pub mod lawful;
pub mod metadata;
pub mod moment;
pub mod numbering;
pub mod opaque;
pub mod origin;
pub mod payload;
pub mod position;
pub mod record;
pub mod row;
pub mod status;
pub mod task;
pub mod text;
pub mod time;
pub mod vtid;
