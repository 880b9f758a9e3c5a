//! A task's metadata: a JSON object of bounded size, numbers exact.

use super::json::{Object, merge_patch};

/// Levels of nesting at most; the object itself is the first.
pub const MAX_DEPTH: usize = 32;
/// Bytes at most, printed compactly.
pub const MAX_BYTES: usize = 32 * 1024;

/// A JSON object within the limits. Its keys stand as they were sent, or in jsonb's order: see
/// [`Metadata::into_stored`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Metadata {
    object: Object,
    /// Bytes, printed compactly; the same in every order of the keys.
    compact_len: usize,
}

/// Why an object can't be metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum MetadataFault {
    /// Nested too deeply.
    #[error("must have {MAX_DEPTH} levels at most")]
    TooDeep,
    /// Too many bytes.
    #[error("must have 32 KiB at most, printed compactly")]
    TooLarge,
}

impl Metadata {
    /// Takes an object.
    ///
    /// # Errors
    /// [`MetadataFault`], naming the limit that it passes.
    pub fn new(object: Object) -> Result<Self, MetadataFault> {
        if object.depth() > MAX_DEPTH {
            return Err(MetadataFault::TooDeep);
        }
        let compact_len = object.compact_len();
        if compact_len > MAX_BYTES {
            return Err(MetadataFault::TooLarge);
        }
        Ok(Self { object, compact_len })
    }

    /// The object.
    #[must_use]
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// Its size in bytes, printed compactly.
    #[must_use]
    pub fn compact_len(&self) -> usize {
        self.compact_len
    }

    /// As the read table keeps it: keys in jsonb's order.
    #[must_use]
    pub fn into_stored(self) -> Self {
        Self { object: self.object.into_jsonb_order(), ..self }
    }

    /// `current` with `patch` merged into it (RFC 7396), in jsonb's order.
    ///
    /// # Errors
    /// [`MetadataFault`] where the result passes a limit.
    pub fn merged(current: Option<&Self>, patch: &Self) -> Result<Self, MetadataFault> {
        Self::new(merge_patch(current.map(|c| c.object.clone()), patch.object.clone()))
    }
}
