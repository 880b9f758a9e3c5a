//! One file that shows that a record is in the log (C2SP `tlog-proof`): index, inclusion path and checkpoint, and the record
//! itself as its `extra` data. Whoever has the log's verifier key needs nothing else.

use std::fmt::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::checkpoint::{self, Checkpoint, CheckpointError};
use super::key::PublicKey;
use super::{Hash, leaf, tile};
use crate::domain::record;

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";
/// Hashes of a path at most: a tree of 2⁶³ leaves has no more.
const PATH_MAX: usize = 63;
/// Bytes of a hash's line.
const HASH_LINE: usize = 45;
/// Bytes of such a file at most.
pub const MAX_BYTES: usize =
    64 + record::MAX_BYTES.div_ceil(3) * 4 + 32 + PATH_MAX * HASH_LINE + checkpoint::MAX_BYTES;

/// Such a file's content.
#[derive(Debug, Clone, PartialEq)]
pub struct Proof {
    /// The record, if it is in the file; whether it is the right one is what [`Proof::check`] finds out.
    pub record: Option<String>,
    /// The leaf's index: its position less one.
    pub index: u64,
    /// From the leaf's sibling to the root's child.
    pub path: Vec<Hash>,
    /// The signed tree.
    pub checkpoint: Checkpoint,
}

/// Why a file proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofFault {
    /// Not of the form.
    #[error("line {line}: {what}")]
    Form {
        /// Which line, from 1 on.
        line: usize,
        /// What should be there.
        what: &'static str,
    },
    /// The checkpoint is none, or nobody who counts signed it.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// There is no record to check.
    #[error("the file has no record (its line `extra`), and none was given")]
    NoRecord,
    /// The record is not the one that stands there.
    #[error(
        "the record is not in the tree that was signed, at index {0}: it, the path or the checkpoint was changed"
    )]
    NotIncluded(u64),
}

impl Proof {
    /// Reads such a file.
    ///
    /// # Errors
    /// [`ProofFault::Form`], [`ProofFault::Checkpoint`]
    pub fn parse(text: &str) -> Result<Self, ProofFault> {
        let form = |line, what| ProofFault::Form { line, what };
        if text.len() > MAX_BYTES {
            return Err(form(1, "longer than any proof"));
        }
        let (head, note) = text.split_once("\n\n").ok_or(form(1, "a blank line, then the checkpoint"))?;
        let mut lines = head.split('\n').enumerate().map(|(number, line)| (number + 1, line)).peekable();
        if lines.next().is_none_or(|(_, line)| line != FIRST_LINE) {
            return Err(form(1, "must be c2sp.org/tlog-proof@v1"));
        }
        let extra = lines.next_if(|(_, line)| line.starts_with("extra "));
        let record =
            extra.map(|(line, text)| decode(&text[6..]).ok_or(form(line, "must be base64 of a record")));
        let (line, text) = lines.next().ok_or(form(2, "must be the index"))?;
        let index = text.strip_prefix("index ").and_then(plain_number);
        let index = index.ok_or(form(line, "must be `index` and a number"))?;
        let hash = |(line, text): (usize, &str)| {
            // As it is printed, and no other way.
            let hash = Hash::parse_hash(text).ok().filter(|hash| hash.to_string() == text);
            hash.ok_or(form(line, "must be a hash in base64"))
        };
        let path: Vec<Hash> = lines.map(hash).collect::<Result<_, _>>()?;
        if path.len() > PATH_MAX {
            return Err(form(1, "more hashes than any path has"));
        }
        Ok(Self { record: record.transpose()?, index, path, checkpoint: Checkpoint::parse(note.as_bytes())? })
    }

    /// Whether it proves, to whoever trusts `keys`, that `record` (or else the one in the file) is in the log.
    ///
    /// # Errors
    /// [`ProofFault`]
    pub fn check(&self, keys: &[PublicKey], record: Option<&str>) -> Result<(), ProofFault> {
        let signed = Checkpoint::open(self.checkpoint.note.as_bytes(), keys)?;
        let record = record.or(self.record.as_deref()).ok_or(ProofFault::NoRecord)?;
        if tile::includes(&self.path, signed.size, signed.root, self.index, leaf(record)) {
            Ok(())
        } else {
            Err(ProofFault::NotIncluded(self.index))
        }
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}")?;
        if let Some(record) = &self.record {
            writeln!(f, "extra {}", STANDARD.encode(record))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.path.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        f.write_char('\n')?;
        f.write_str(&self.checkpoint.note)
    }
}

fn decode(base64: &str) -> Option<String> {
    let record = String::from_utf8(STANDARD.decode(base64).ok()?).ok()?;
    (record.len() <= record::MAX_BYTES).then_some(record)
}

/// A number as it is printed: digits, no zero in front.
fn plain_number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}
