//! What can go wrong around a relay, and how often it did.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

/// Every fault of the relays' world, and what only comes to pass where one was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Fault {
    /// A request never arrives.
    RequestLost,
    /// It arrives; its answer does not.
    AnswerLost,
    /// Its answer takes its time: others come before it.
    AnswerLate,
    /// Its answer comes twice, the second time late.
    AnswerTwice,
    /// A request is served before one that was sent earlier.
    Overtaken,
    /// The log grows, shrinks or is slow between the two halves of an open.
    OpenSlow,
    /// The relay gives up waiting for what is under way.
    TimedOut,
    Crashed,
    Disconnected,
    NatsAway,
    TailLost,
    StoreLost,
    Foreign,
    LogTailLost,
    /// A publish of a dead connection arrives, and is stored.
    LateStored,
    /// It arrives and is refused, or told as a repeat.
    LateRefused,
    /// A repeat is told as one.
    RepeatTold,
}

impl Fault {
    /// Those that strike by themselves; the others follow from them.
    pub(super) const CAUSES: [Self; 14] = [
        Self::RequestLost,
        Self::AnswerLost,
        Self::AnswerLate,
        Self::AnswerTwice,
        Self::Overtaken,
        Self::OpenSlow,
        Self::TimedOut,
        Self::Crashed,
        Self::Disconnected,
        Self::NatsAway,
        Self::TailLost,
        Self::StoreLost,
        Self::Foreign,
        Self::LogTailLost,
    ];
    pub(super) const OUTCOMES: [Self; 3] = [Self::LateStored, Self::LateRefused, Self::RepeatTold];
}

/// How often each came to pass. No part of any state: clones share it.
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
