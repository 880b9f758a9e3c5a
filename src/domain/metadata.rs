//! A task's metadata: a JSON object of bounded size, numbers exact.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use super::json::{Json, Object, ParseLimits, merge_patch};

/// Levels of nesting at most; the object itself is the first.
pub const MAX_DEPTH: usize = 32;
/// Bytes at most, printed compactly.
pub const MAX_BYTES: usize = 32 * 1024;

/// A JSON object within the limits. Its keys stand as they were sent, or in jsonb's order: see
/// [`Metadata::into_stored`]. Shared, and where it was read from a record taken apart when it is first looked into: most
/// processes never do.
#[derive(Clone)]
pub struct Metadata {
    source: Arc<Source>,
    order: Order,
}

/// Of the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Sent,
    Stored,
}

enum Source {
    /// In whichever order, with its bytes, printed compactly: the same in every order of the keys.
    Object(Object, usize),
    /// As it was sent, and what it was found to be.
    Text { text: Box<str>, sent: OnceLock<Object>, stored: OnceLock<Object> },
}

/// The text of an object within the limits, as the ledger prints it, which the parser would surely accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Printed<'a>(&'a str);

impl<'a> Printed<'a> {
    /// For [`super::record::metadata`], which sees to it.
    pub(super) fn seen(text: &'a str) -> Self {
        Self(text)
    }
}

impl From<Printed<'_>> for Metadata {
    fn from(printed: Printed) -> Self {
        let source = Source::Text { text: printed.0.into(), sent: OnceLock::new(), stored: OnceLock::new() };
        Self { source: Arc::new(source), order: Order::Sent }
    }
}

/// Takes apart the text of a [`Printed`].
fn parsed(text: &str) -> Object {
    match Json::parse(text.as_bytes(), &ParseLimits { max_depth: MAX_DEPTH }).map(|parsed| parsed.value) {
        Ok(Json::Object(object)) => object,
        // Invariant: a `Printed` is the text of an object that the parser takes, as the property in `audit::glances` shows
        // by taking each apart.
        _ => unreachable!("printed metadata is an object"),
    }
}

impl PartialEq for Metadata {
    fn eq(&self, other: &Self) -> bool {
        self.object() == other.object()
    }
}

impl Eq for Metadata {}

impl Hash for Metadata {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.object().hash(state);
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Metadata").field(self.object()).finish()
    }
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
        let source = Arc::new(Source::Object(object, compact_len));
        Ok(Self { source, order: Order::Sent })
    }

    /// The object.
    #[must_use]
    pub fn object(&self) -> &Object {
        match (&*self.source, self.order) {
            (Source::Object(object, _), _) => object,
            (Source::Text { text, sent, .. }, Order::Sent) => sent.get_or_init(|| parsed(text)),
            (Source::Text { text, stored, .. }, Order::Stored) => {
                stored.get_or_init(|| parsed(text).into_jsonb_order())
            }
        }
    }

    /// Its size in bytes, printed compactly.
    #[must_use]
    pub fn compact_len(&self) -> usize {
        match &*self.source {
            Source::Object(_, compact_len) => *compact_len,
            Source::Text { .. } => self.object().compact_len(),
        }
    }

    /// About its size in bytes, printed compactly, without taking it apart.
    #[must_use]
    pub fn approximate_len(&self) -> usize {
        match &*self.source {
            Source::Object(_, compact_len) => *compact_len,
            Source::Text { text, .. } => text.len(),
        }
    }

    /// As the read table keeps it: keys in jsonb's order.
    #[must_use]
    pub fn into_stored(self) -> Self {
        let source = match &*self.source {
            Source::Object(object, compact_len) => {
                Arc::new(Source::Object(object.clone().into_jsonb_order(), *compact_len))
            }
            Source::Text { .. } => self.source,
        };
        Self { source, order: Order::Stored }
    }

    /// `current` with `patch` merged into it (RFC 7396), in jsonb's order.
    ///
    /// # Errors
    /// [`MetadataFault`] where the result passes a limit.
    pub fn merged(current: Option<&Self>, patch: &Self) -> Result<Self, MetadataFault> {
        Self::new(merge_patch(current.map(|c| c.object().clone()), patch.object().clone()))
    }
}
