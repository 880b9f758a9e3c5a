//! `PostgreSQL`'s primary dies, freezes or is shut down under load, and a streaming standby takes its place; or it is restored
//! from a backup. What was acknowledged is kept, or its loss is told to everybody before anything is written.

mod asynchronous;
mod hosts;
mod old_primary;
mod pair;
mod patroni;
mod primary_lost;
mod reads;
mod restore;
mod stage;
