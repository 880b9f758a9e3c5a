//! Auditing: what happened to a task ([`story`]), what an actor did ([`who`]), how the tasks stood at some point
//! ([`replay`]), the whole log as a file ([`export`], [`import`], [`file`]), and whether all of it is what it was
//! ([`verify`]).

pub mod error;
pub mod export;
pub mod file;
pub mod glance;
pub mod import;
pub mod replay;
pub mod snapshots;
pub mod stored;
pub mod story;
pub mod verify;
pub mod who;
