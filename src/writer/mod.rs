//! The writer: decides commands in memory and appends them in groups.

pub mod answer;
pub mod handle;
pub mod machine;
mod operations;
pub mod shell;
mod spans;
