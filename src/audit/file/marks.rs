//! The lines of an export that are not records.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::domain::record::LedgerId;
use crate::domain::time::Timestamp;

/// The format and its version.
pub const FORMAT: &str = "vtid-ledger/1";
/// After so many records their sums are told.
pub const SUMS_EVERY: u64 = 256;
/// Keys, and losses, of a file at most: all of them are kept in memory while it is read.
pub const MAX_MARKS: u32 = 10_000;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`FORMAT`]
    export: String,
    /// Which ledger.
    #[serde(serialize_with = "print", deserialize_with = "read_uuid")]
    ledger: Uuid,
    /// How many records follow.
    pub events: u64,
}

impl Header {
    /// For so many records.
    #[must_use]
    pub fn new(ledger: LedgerId, events: u64) -> Self {
        Self { export: FORMAT.to_owned(), ledger: ledger.0, events }
    }

    /// Which ledger was exported.
    #[must_use]
    pub fn ledger(&self) -> LedgerId {
        LedgerId(self.ledger)
    }

    /// Whether it is of the format that this program reads.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.export == FORMAT
    }
}

/// What stands between and behind the records, each in an object of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Mark {
    /// A key that checkpoints were signed with.
    Key(KeyMark),
    /// History that was given up.
    Loss(LossMark),
    /// The first four bytes of the leaf hash of each record since the last such line, in hexadecimal: what tells which
    /// record a damaged byte is in.
    Sums(String),
    /// A signed checkpoint: behind the last record that it covers, so that it can be checked in passing.
    Checkpoint(CheckpointMark),
    /// A witness's signature under a checkpoint; behind that.
    Cosignature(CosignatureMark),
    /// The last line.
    End(EndMark),
}

/// A row of `ledger.audit_key`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyMark {
    /// The log's name in its checkpoints.
    pub origin: String,
    /// The public key, as `signed-note` prints it.
    pub verifier: String,
    /// Since when.
    #[serde(serialize_with = "print", deserialize_with = "read_time")]
    pub first_used: Timestamp,
}

/// A row of `ledger.accepted_loss`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossMark {
    /// Counts from 1.
    pub number: u64,
    /// The first position that was lost.
    pub first_position: u64,
    /// The last one that anybody had seen.
    pub last_position: u64,
    /// By whom.
    pub accepted_by: String,
    /// When.
    #[serde(serialize_with = "print", deserialize_with = "read_time")]
    pub accepted_at: Timestamp,
}

/// A row of `ledger.checkpoint`; its root stands in the note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointMark {
    /// The log's name.
    pub origin: String,
    /// The last position that it covers.
    pub size: u64,
    /// The size of the one before; 0 for the first.
    pub previous: u64,
    /// The event there.
    #[serde(serialize_with = "print", deserialize_with = "read_uuid")]
    pub event_id: Uuid,
    /// When.
    #[serde(serialize_with = "print", deserialize_with = "read_time")]
    pub signed_at: Timestamp,
    /// The signed note.
    pub note: String,
}

/// A row of `ledger.cosignature`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CosignatureMark {
    /// The log's name.
    pub origin: String,
    /// The checkpoint's size.
    pub size: u64,
    /// Who.
    pub witness: String,
    /// The note's line.
    pub line: String,
}

/// What the whole file comes to: a file without it was cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndMark {
    /// Which ledger: once more, for the first line is covered by no sum.
    #[serde(serialize_with = "print", deserialize_with = "read_uuid")]
    pub ledger: Uuid,
    /// How many records there were.
    pub events: u64,
    /// The Merkle tree's root over them, in base64.
    pub root: String,
}

fn print<T: std::fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn read_uuid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
    let text = String::deserialize(deserializer)?;
    Uuid::try_parse(&text).map_err(serde::de::Error::custom)
}

fn read_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    Timestamp::parse(&text).map_err(serde::de::Error::custom)
}

/// The sum of a leaf, for [`Mark::Sums`].
#[must_use]
pub fn sum(leaf: &crate::tlog::Hash) -> [u8; 8] {
    let mut text = [0; 8];
    for (pair, byte) in text.chunks_exact_mut(2).zip(&leaf.0) {
        pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
        pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
    }
    text
}
