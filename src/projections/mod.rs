//! A stand-in with the signatures of the projections branch, until it is merged.
#![allow(missing_docs, unused)]

pub mod page;
pub mod read;
pub mod status;
