//! The writer's memory of task states: bounded, the least recently used goes first.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::task::Task;
use crate::domain::vtid::Vtid;

/// States as of the writer's head.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Cache {
    states: BTreeMap<Vtid, Slot>,
    by_use: BTreeMap<u64, Vtid>,
    uses: u64,
    bytes: usize,
    max_bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Slot {
    task: Arc<Task>,
    used: u64,
    bytes: usize,
}

impl Cache {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { states: BTreeMap::new(), by_use: BTreeMap::new(), uses: 0, bytes: 0, max_bytes }
    }

    /// The state, which counts as used.
    pub(super) fn get(&mut self, vtid: Vtid) -> Option<Arc<Task>> {
        let slot = self.states.get_mut(&vtid)?;
        self.by_use.remove(&slot.used);
        self.uses += 1;
        slot.used = self.uses;
        self.by_use.insert(self.uses, vtid);
        Some(Arc::clone(&slot.task))
    }

    pub(super) fn contains(&self, vtid: Vtid) -> bool {
        self.states.contains_key(&vtid)
    }

    pub(super) fn put(&mut self, task: Arc<Task>) {
        let vtid = task.vtid;
        self.forget(vtid);
        self.uses += 1;
        let slot = Slot { bytes: task.approximate_bytes(), used: self.uses, task };
        self.bytes += slot.bytes;
        self.by_use.insert(slot.used, vtid);
        self.states.insert(vtid, slot);
        while self.bytes > self.max_bytes {
            let Some((_, oldest)) = self.by_use.pop_first() else { break };
            self.forget(oldest);
        }
    }

    pub(super) fn forget(&mut self, vtid: Vtid) {
        if let Some(slot) = self.states.remove(&vtid) {
            self.by_use.remove(&slot.used);
            self.bytes -= slot.bytes;
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.max_bytes);
    }
}
