//! An event's record: one line of JSON, a CloudEvents 1.0 event in structured form. Its bytes are what is
//! stored, published, exported and hashed, so they are printed once and never again.

pub mod attributes;
pub(crate) mod metadata;
mod parse;
mod print;
mod printed;
pub mod reader;

use std::sync::Arc;

use uuid::Uuid;

use super::event::Event;

/// The bytes of a record at most, without a line feed. The limits of the contract keep every record below.
pub const MAX_BYTES: usize = 65_535;

/// A ledger's id follows it in its events' `source`.
const SOURCE_PREFIX: &str = "/vtid-ledger/";

/// Which ledger this is: a UUID made once, when the ledger is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LedgerId(pub Uuid);

impl LedgerId {
    /// The CloudEvents `source` of this ledger's events.
    #[must_use]
    pub fn source(self) -> String {
        format!("{SOURCE_PREFIX}{}", self.0)
    }

    /// Reads what [`Self::source`] gives; none for any other text.
    #[must_use]
    pub fn parse_source(text: &str) -> Option<Self> {
        let id = text.strip_prefix(SOURCE_PREFIX).filter(|id| id.len() == 36)?;
        Uuid::try_parse(id).ok().map(Self)
    }
}

/// An event together with its record's exact bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Recorded {
    /// What the record says.
    pub event: Event,
    /// The record.
    pub body: Arc<str>,
}

impl Recorded {
    /// Prints the record of a new event.
    #[must_use]
    pub fn print(event: Event, ledger: LedgerId) -> Self {
        let body = print::print(&event, ledger).into();
        Self { event, body }
    }

    /// Reads a stored record.
    ///
    /// # Errors
    /// [`RecordError`], naming what this program can't read.
    pub fn parse(body: Arc<str>) -> Result<Self, RecordError> {
        let (event, _) = read(&body)?;
        Ok(Self { event, body })
    }

    /// As [`Self::parse`], for those who also ask which ledger recorded it: one that was cloned from another keeps the
    /// other's first records.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn parse_with_source(body: Arc<str>) -> Result<(Self, LedgerId), RecordError> {
        let (event, source) = read(&body)?;
        let source = source.ok_or(RecordError::Attribute("source"))?;
        Ok((Self { event, body }, source))
    }
}

/// This program can't read a record: it is from a later version, or damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// An event type of a later version: this program must not go on past it.
    #[error("an event type that this version does not know: {0}")]
    UnknownType(String),
    /// An attribute is missing, or has a form that this version does not know.
    #[error("the attribute {0} is missing or has a form that this version does not know")]
    Attribute(&'static str),
    /// Not JSON.
    #[error("not a JSON object")]
    NotAnObject,
    /// The data is not what its type asks for.
    #[error("the data has a form that this version does not know: {0}")]
    Data(String),
}

/// The event, and which ledger recorded it, if that can be read. Nearly every record is what this ledger prints, which is
/// read some five times as fast; whatever is not is the parser's.
fn read(body: &str) -> Result<(Event, Option<LedgerId>), RecordError> {
    match printed::read(body) {
        Some((event, source)) => Ok((event, Some(source))),
        None => parse::read(body),
    }
}
