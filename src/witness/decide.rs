//! Whether a witness signs: each rule of C2SP `tlog-witness`, in its order.

use super::request::{AddCheckpoint, Malformed};
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::key::PublicKey;
use crate::tlog::tile::goes_on;
use crate::tlog::{EMPTY, Hash};

/// The largest tree of a log that a witness has signed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// How many leaves it has.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

impl Default for Seen {
    /// Of a log that it has signed nothing of.
    fn default() -> Self {
        Self { size: 0, root: EMPTY }
    }
}

/// Why a witness does not sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// 400.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// 404.
    #[error("this witness does not know the log")]
    UnknownLog,
    /// 403.
    #[error("none of the log's keys that this witness knows signed the checkpoint")]
    Untrusted,
    /// 400.
    #[error("the old size is larger than the checkpoint's")]
    OldIsLarger,
    /// 409: it has signed a tree of another size last.
    #[error("the last checkpoint that this witness signed has {size} leaves")]
    Conflict {
        /// Which.
        size: u64,
    },
    /// 409: it has signed another tree of this size.
    #[error("this witness has signed another tree of {size} leaves: the log shows two pasts")]
    OtherRoot {
        /// Which.
        size: u64,
    },
    /// 422.
    #[error("the proof does not show that the checkpoint goes on where the last one ended")]
    NotConsistent,
}

/// What a witness has seen once it signs the request; `keys` are those of the checkpoint's log that it trusts, none for a
/// log that it does not know.
///
/// # Errors
/// [`Refused`]: then it signs nothing, and has seen nothing new.
pub fn decide(keys: &[PublicKey], seen: Seen, request: &AddCheckpoint) -> Result<Seen, Refused> {
    let AddCheckpoint { old, proof, checkpoint } = request;
    if keys.is_empty() {
        return Err(Refused::UnknownLog);
    }
    let signed = Checkpoint::open(checkpoint.note.as_bytes(), keys).map_err(|_| Refused::Untrusted)?;
    let new = Seen { size: signed.size, root: signed.root };
    if *old > new.size {
        return Err(Refused::OldIsLarger);
    }
    if *old != seen.size {
        return Err(Refused::Conflict { size: seen.size });
    }
    if *old == new.size && new.root != seen.root {
        return Err(Refused::OtherRoot { size: seen.size });
    }
    if !goes_on(proof, (new.size, new.root), (seen.size, seen.root)) {
        return Err(Refused::NotConsistent);
    }
    Ok(new)
}
