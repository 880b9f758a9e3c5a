//! Checkpoints of logs of which the auditor holds no key: they prove nothing to him, and are counted.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::audit::file::CheckpointMark;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::tree::Tree;

/// Such logs at most: a ledger takes a new name when it has lost history.
const LOGS: usize = 1000;

/// What is known of one.
#[derive(Default)]
struct Stranger {
    checkpoints: u64,
    /// The size of the last one that is of these events, whoever signed it.
    size: u64,
}

/// All of them, by their names.
#[derive(Default)]
pub(super) struct Strangers(BTreeMap<String, Stranger>);

impl Strangers {
    /// Takes note of a checkpoint, where the tree has grown to its size, or ends before it. `id`: the event there.
    ///
    /// # Errors
    /// What is wrong, where there are more logs than a ledger has.
    pub(super) fn see(&mut self, mark: &CheckpointMark, tree: &Tree, id: Option<Uuid>) -> Result<(), String> {
        if self.0.len() >= LOGS && !self.0.contains_key(&mark.origin) {
            return Err(format!("there are checkpoints of more than {LOGS} logs of which you hold no key"));
        }
        let stranger = self.0.entry(mark.origin.clone()).or_default();
        stranger.checkpoints += 1;
        let is_here = tree.size() == mark.size && id == Some(mark.event_id);
        let root = || Checkpoint::parse(mark.note.as_bytes()).ok().map(|checkpoint| checkpoint.root);
        if is_here && root() == Some(tree.root()) {
            stranger.size = mark.size;
        }
        Ok(())
    }

    /// Of each log the size of the last checkpoint that is of these events, if there is one.
    pub(super) fn sizes(&self) -> impl Iterator<Item = (String, u64)> {
        let sealed = self.0.iter().filter(|(_, stranger)| stranger.size > 0);
        sealed.map(|(origin, stranger)| (origin.clone(), stranger.size))
    }

    /// What an auditor should know of each.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(origin, Stranger { checkpoints, .. })| {
            format!(
                "{checkpoints} checkpoints of the log {origin} were not looked at: you hold no key of that name"
            )
        })
    }
}
