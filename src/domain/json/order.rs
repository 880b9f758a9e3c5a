//! The order in which `jsonb` keeps an object's keys.

use super::{Json, Object};
use std::cmp::Ordering;

/// How `jsonb` orders keys: the shorter first, counted in bytes; among equally long ones, by bytes.
#[must_use]
pub fn jsonb_key_order(left: &str, right: &str) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| left.as_bytes().cmp(right.as_bytes()))
}

impl Json {
    /// The same value with the keys of every object, at every level, in `jsonb`'s order.
    #[must_use]
    pub fn into_jsonb_order(self) -> Self {
        match self {
            Self::Array(items) => Self::Array(items.into_iter().map(Self::into_jsonb_order).collect()),
            Self::Object(object) => Self::Object(object.into_jsonb_order()),
            scalar => scalar,
        }
    }
}

impl Object {
    /// As [`Json::into_jsonb_order`].
    #[must_use]
    pub fn into_jsonb_order(self) -> Self {
        let mut entries: Vec<_> =
            self.into_iter().map(|(key, value)| (key, value.into_jsonb_order())).collect();
        entries.sort_unstable_by(|(left, _), (right, _)| jsonb_key_order(left, right));
        Self::from_distinct(entries)
    }
}
