//! The export: one file, one line each. A header; the keys that checkpoints were signed with, and the losses that were
//! accepted; the records, byte for byte, in order, with the sums of the last ones every [`SUMS_EVERY`] records and each
//! checkpoint right behind the record that it covers; a last line with the count and the tree's root.
//!
//! So everything can be checked in one pass and in bounded memory: no checkpoint has to be kept until the end, or looked
//! for there before.

mod fault;
mod lines;
mod marks;
mod writer;

pub use fault::{FileError, FileFault};
pub use lines::{ExportReader, Line, MAX_LINE, parse_header};
pub use marks::{
    CheckpointMark, CosignatureMark, EndMark, FORMAT, Header, KeyMark, LossMark, MAX_MARKS, Mark, SUMS_EVERY,
    sum,
};
pub use writer::ExportWriter;
