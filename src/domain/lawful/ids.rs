//! The ids of one millisecond's events: nearly always one or a few, which are compared in place; however many, where
//! somebody made them so.

use std::collections::BTreeSet;

/// So many are compared one by one.
const FEW: usize = 16;

/// Ids, each once.
#[derive(Default)]
pub(super) struct Ids {
    few: Vec<u128>,
    /// All of them, once they are more than a few.
    many: BTreeSet<u128>,
}

impl Ids {
    /// Adds one; false where it was there.
    pub(super) fn add(&mut self, id: u128) -> bool {
        if self.few.len() < FEW {
            let is_new = !self.few.contains(&id);
            if is_new {
                self.few.push(id);
            }
            return is_new;
        }
        if self.many.is_empty() {
            self.many.extend(&self.few);
        }
        self.many.insert(id)
    }

    pub(super) fn clear(&mut self) {
        self.few.clear();
        self.many.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_id_is_new_once_until_all_are_forgotten(ids in proptest::collection::vec(proptest::option::weighted(0.98, 0u128..60), 0..200)) {
            let (mut own, mut set) = (Ids::default(), BTreeSet::new());
            for id in ids {
                if let Some(id) = id {
                    prop_assert_eq!(own.add(id), set.insert(id));
                } else {
                    own.clear();
                    set.clear();
                }
            }
        }
    }
}
