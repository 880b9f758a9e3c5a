//! The sealer: a follower that keeps the records' Merkle tree, signs its head, and looks whether the past that it is about
//! to seal over is the one that it sealed.

pub mod bundle;
pub mod reader;
mod recent;
pub mod settings;
pub mod table;
pub mod tiles;
