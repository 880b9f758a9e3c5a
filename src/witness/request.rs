//! What a log sends to a witness: `add-checkpoint`'s body.

use std::fmt::{self, Write};

use crate::tlog::Hash;
use crate::tlog::checkpoint::{self, Checkpoint};

/// Hashes of a consistency proof at most.
pub const PROOF_LINES_MAX: usize = 63;
/// Bytes of a hash's line.
const HASH_LINE: usize = 45;
/// Bytes of a body at most: the old size, the proof, the checkpoint.
pub const MAX_BYTES: usize = 32 + PROOF_LINES_MAX * HASH_LINE + checkpoint::MAX_BYTES;

/// A checkpoint, and the proof that it goes on where an older one ended.
#[derive(Debug, Clone, PartialEq)]
pub struct AddCheckpoint {
    /// How many leaves the older tree has.
    pub old: u64,
    /// From it to the checkpoint's; as RFC 6962 orders it.
    pub proof: Vec<Hash>,
    /// The newer tree, signed.
    pub checkpoint: Checkpoint,
}

/// The body is not of the form, and what should be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an add-checkpoint request: {0}")]
pub struct Malformed(pub &'static str);

impl AddCheckpoint {
    /// Reads a body.
    ///
    /// # Errors
    /// [`Malformed`]
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        if body.len() > MAX_BYTES {
            return Err(Malformed("it is larger than any"));
        }
        let text = std::str::from_utf8(body).map_err(|_| Malformed("it must be UTF-8"))?;
        let (head, note) =
            text.split_once("\n\n").ok_or(Malformed("an empty line must come before the checkpoint"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(plain_number);
        let old = old.ok_or(Malformed("the first line must be `old` and a size"))?;
        // As it is printed, and no other way.
        let hash = |line: &str| Hash::parse_hash(line).ok().filter(|hash| hash.to_string() == line);
        let proof: Option<Vec<Hash>> = lines.map(hash).collect();
        let proof = proof.ok_or(Malformed("each line of the proof must be a hash in base64"))?;
        if proof.len() > PROOF_LINES_MAX {
            return Err(Malformed("a proof has 63 lines at most"));
        }
        let checkpoint = Checkpoint::parse(note.as_bytes());
        let checkpoint = checkpoint.map_err(|_| Malformed("a signed checkpoint must follow"))?;
        Ok(Self { old, proof, checkpoint })
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        f.write_char('\n')?;
        f.write_str(&self.checkpoint.note)
    }
}

/// A number as it is printed: digits, no zero in front.
pub(super) fn plain_number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}
