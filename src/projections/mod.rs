//! Read models.

pub mod read;
