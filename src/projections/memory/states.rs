//! Task states, bounded in bytes: those that nobody asked for since they were last passed by go first.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::task::Task;
use crate::domain::vtid::Vtid;

/// What a state costs besides itself.
const SLOT_BYTES: usize = 128;
/// States that one eviction passes by at most: a bound on how long it takes.
const SPARED_MAX: usize = 32;

/// A state, and until when it may be shown; none: as long as it is here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Known {
    pub(super) task: Arc<Task>,
    pub(super) until: Option<Duration>,
}

impl Known {
    fn bytes(&self) -> usize {
        SLOT_BYTES + self.task.approximate_bytes()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Slot {
    known: Known,
    bytes: usize,
    /// Asked for since it was last passed by.
    used: bool,
}

/// States by number. Second chance rather than least recently used: a read changes one flag.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct States {
    slots: BTreeMap<Vtid, Slot>,
    /// Each of them once, the next to be looked at first.
    queue: VecDeque<Vtid>,
    bytes: usize,
    max_bytes: usize,
}

impl States {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { slots: BTreeMap::new(), queue: VecDeque::new(), bytes: 0, max_bytes }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.max_bytes);
    }

    pub(super) fn peek(&self, vtid: Vtid) -> Option<&Known> {
        self.slots.get(&vtid).map(|slot| &slot.known)
    }

    /// The state, which counts as used; none past its time.
    pub(super) fn get(&mut self, vtid: Vtid, now: Duration) -> Option<&Arc<Task>> {
        let slot = self.slots.get_mut(&vtid)?;
        if slot.known.until.is_some_and(|until| now >= until) {
            return None;
        }
        slot.used = true;
        Some(&slot.known.task)
    }

    pub(super) fn put(&mut self, known: Known) {
        let (vtid, bytes) = (known.task.vtid, known.bytes());
        self.bytes += bytes;
        if let Some(slot) = self.slots.get_mut(&vtid) {
            self.bytes -= std::mem::replace(&mut slot.bytes, bytes);
            slot.known = known;
        } else {
            self.slots.insert(vtid, Slot { known, bytes, used: false });
            self.queue.push_back(vtid);
        }
        while self.bytes > self.max_bytes && !self.queue.is_empty() {
            self.evict();
        }
    }

    pub(super) fn remove(&mut self, vtid: Vtid) {
        if let Some(slot) = self.slots.remove(&vtid) {
            self.bytes -= slot.bytes;
            // Only where an event does not fold, which a sound log has none of.
            self.queue.retain(|queued| *queued != vtid);
        }
    }

    fn evict(&mut self) {
        for spared in 0.. {
            let Some(next) = self.queue.pop_front() else { return };
            match self.slots.get_mut(&next) {
                Some(slot) if slot.used && spared < SPARED_MAX => {
                    slot.used = false;
                    self.queue.push_back(next);
                }
                _ => {
                    let evicted = self.slots.remove(&next);
                    self.bytes -= evicted.map_or(0, |slot| slot.bytes);
                    return;
                }
            }
        }
    }

    #[cfg(test)]
    pub(super) fn assert_sound(&self) {
        assert!(self.bytes <= self.max_bytes, "{} of {} bytes", self.bytes, self.max_bytes);
        assert_eq!(self.bytes, self.slots.values().map(|slot| slot.known.bytes()).sum::<usize>());
        let mut queued: Vec<Vtid> = self.queue.iter().copied().collect();
        queued.sort_unstable();
        assert!(queued.iter().eq(self.slots.keys()), "each state is queued once");
    }
}
