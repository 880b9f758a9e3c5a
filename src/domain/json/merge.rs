//! JSON Merge Patch (RFC 7396).

use super::{Json, Object, jsonb_key_order};
use std::cmp::Ordering;

/// The target with the patch applied, as RFC 7396 says, in `jsonb`'s order; no target counts as `{}`.
///
/// Objects merge at every level; `null` removes a key; whatever else stands in the patch replaces what was
/// there. A `null` in a patch for which the target has nothing leaves nothing behind, at any level; a `null`
/// within an array is a value like any other.
#[must_use]
pub fn merge_patch(target: Option<Object>, patch: Object) -> Object {
    merge(target.unwrap_or_default().into_jsonb_order(), patch.into_jsonb_order())
}

/// Both in `jsonb`'s order, so that one pass over the two will do.
fn merge(target: Object, patch: Object) -> Object {
    let mut merged = Vec::with_capacity(target.len() + patch.len());
    let mut olds = target.into_iter().peekable();
    for (key, change) in patch {
        let is_before = |old: &(String, Json)| jsonb_key_order(&old.0, &key) == Ordering::Less;
        merged.extend(std::iter::from_fn(|| olds.next_if(is_before)));
        let old = olds.next_if(|(old, _)| *old == key).map(|(_, value)| value);
        match change {
            Json::Null => {}
            Json::Object(change) => {
                let old = if let Some(Json::Object(old)) = old { old } else { Object::default() };
                merged.push((key, Json::Object(merge(old, change))));
            }
            value => merged.push((key, value)),
        }
    }
    merged.extend(olds);
    Object::from_distinct(merged)
}
