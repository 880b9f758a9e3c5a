//! The transparency log: what lets an auditor check that nobody rewrote the ledger, without trusting whoever runs it.
//!
//! The leaves of an RFC 6962 Merkle [`tree`] are the records' exact bytes; the leaf of position `p` has the index `p − 1`. A
//! [`checkpoint`] is a tree's size and root, signed with the ledger's [`key`]; a [`proof`] shows that one record is in it.
//! [`tile`] cuts the tree into the pieces that are stored and served. Formats are those of C2SP (`tlog-checkpoint`,
//! `signed-note`, `tlog-cosignature`, `tlog-tiles`, `tlog-proof`); all of this is pure.

pub mod checkpoint;
pub mod key;
pub mod proof;
#[cfg(test)]
mod tests;
pub mod tile;
pub mod tree;

pub use tlog_tiles::{EMPTY_HASH as EMPTY, Hash};

/// The hash of a leaf: of a record's bytes, without a line feed.
#[must_use]
pub fn leaf(record: &str) -> Hash {
    tlog_tiles::record_hash(record.as_bytes())
}
