//! Exact JSON values: numbers as decimals with every digit, keys as sent, no key twice, no key special.
//!
//! What PostgreSQL's `jsonb` keeps, this keeps: a [`Decimal`] prints as `numeric` does, and
//! [`Json::into_jsonb_order`] orders keys as `jsonb` does. There is deliberately no `serde::Serialize` here:
//! through serde a number would become a float or an object with a magic key. Print with
//! [`Json::write_compact`].
//!
//! [`Json::parse`] uses no recursion and builds nothing deeper than its limit; everything else here recurses
//! once a level, so a value must not be built by hand deeper than a stack can bear (some thousand levels).

mod decimal;
mod fault;
mod merge;
mod object;
mod order;
mod parse;
mod print;
#[cfg(test)]
mod tests;
mod writer;

pub use decimal::{Decimal, DecimalError};
pub use fault::{FaultKind, JsonFault, SyntaxError};
pub use merge::merge_patch;
pub use object::{DuplicateKey, Iter, Object};
pub use order::jsonb_key_order;
pub use parse::{FAULTS_MAX, ParseLimits, Parsed};
pub use writer::ObjectWriter;

/// A JSON value.
///
/// Equality and hash are those of the structure: numbers are compared by their written-out text (so 1.0 is not
/// 1, as their texts differ in the record too), and the order of an object's keys counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, exact.
    Number(Decimal),
    /// A string, without its escapes.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(Object),
}

impl Json {
    /// How deep arrays and objects nest: 0 for a scalar, 1 for `{}` and `[]`.
    #[must_use]
    pub fn depth(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => 0,
            Self::Array(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Object(object) => object.depth(),
        }
    }
}

impl Object {
    /// As [`Json::depth`].
    #[must_use]
    pub fn depth(&self) -> usize {
        1 + self.iter().map(|(_, value)| value.depth()).max().unwrap_or(0)
    }
}
