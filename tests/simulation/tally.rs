//! How often each fault came to pass.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

/// Counts by fault. No part of any state: clones share it.
#[derive(Clone, Debug)]
pub(super) struct Tally<F>(Rc<RefCell<BTreeMap<F, u64>>>);

impl<F> Default for Tally<F> {
    fn default() -> Self {
        Self(Rc::default())
    }
}

impl<F: Ord + Copy> Tally<F> {
    pub(super) fn count(&self, fault: F) {
        *self.0.borrow_mut().entry(fault).or_default() += 1;
    }

    pub(super) fn of(&self, fault: F) -> u64 {
        self.0.borrow().get(&fault).copied().unwrap_or(0)
    }
}

impl<F> Hash for Tally<F> {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}
