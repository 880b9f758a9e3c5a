//! Checkpoints beside the tree over the records: signed by a key that counts, and of this very log.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::report::{Check, CheckName};
use super::strangers::Strangers;
use crate::audit::file::{CheckpointMark, KeyMark, LossMark};
use crate::domain::position::Position;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::key::PublicKey;
use crate::tlog::tree::Tree;

/// What an auditor brings along.
#[derive(Debug, Clone, Default)]
pub struct Trusted {
    /// Keys that he knows the ledger's logs by. If there are any, no other key counts.
    pub keys: Vec<PublicKey>,
    /// Checkpoints that he, or a witness, kept.
    pub checkpoints: Vec<Checkpoint>,
}

/// The checkpoints of a ledger, as they are met on the way from its first event to its last.
pub(super) struct Checkpoints {
    trusted: Trusted,
    stored_keys: Vec<PublicKey>,
    losses: Vec<LossMark>,
    /// Of each log, the last size.
    last: BTreeMap<String, u64>,
    /// Kept ones that were not come to yet.
    kept: Vec<Checkpoint>,
    /// The size of the last kept one that was right. Stored ones may be as new as what was changed.
    kept_good: u64,
    /// Stored ones of what was given up since.
    given_up: u64,
    /// Of each log the size of the last stored one that was right.
    sealed: BTreeMap<String, u64>,
    strangers: Strangers,
    pub(super) check: Check,
}

impl Checkpoints {
    pub(super) fn new(trusted: Trusted) -> Self {
        let mut kept = trusted.checkpoints.clone();
        // The next one is the last.
        kept.sort_by_key(|checkpoint| std::cmp::Reverse(checkpoint.size));
        Self {
            trusted,
            stored_keys: Vec::new(),
            losses: Vec::new(),
            last: BTreeMap::new(),
            kept,
            kept_good: 0,
            given_up: 0,
            sealed: BTreeMap::new(),
            strangers: Strangers::default(),
            check: Check::new(CheckName::Checkpoints),
        }
    }

    /// A key that the ledger says it signed with.
    pub(super) fn key(&mut self, mark: &KeyMark, line: Option<u64>) {
        match PublicKey::parse(&mark.verifier) {
            Ok(key) => self.stored_keys.push(key),
            Err(error) => {
                self.check.wrong(None, line, format!("the key of the log {}: {error}", mark.origin));
            }
        }
    }

    pub(super) fn loss(&mut self, loss: LossMark) {
        self.losses.push(loss);
    }

    /// The keys that count for a log.
    fn keys(&self, origin: &str) -> Vec<PublicKey> {
        let keys = if self.trusted.keys.is_empty() { &self.stored_keys } else { &self.trusted.keys };
        keys.iter().filter(|key| key.name().as_str() == origin).cloned().collect()
    }

    /// Of each log the size of the last checkpoint that is of these events, be it signed with a key that counts or, where the
    /// auditor holds none of that name, by whom it may.
    pub(super) fn sizes(&self) -> BTreeMap<String, u64> {
        let mut sizes = self.sealed.clone();
        sizes.extend(self.strangers.sizes());
        sizes
    }

    /// The tree is as large as the next kept checkpoints may be.
    pub(super) fn grown(&mut self, tree: &Tree) {
        while let Some(kept) = self.kept.pop_if(|kept| kept.size <= tree.size()) {
            self.check.looked_at += 1;
            let (size, root) = (kept.size, tree.root());
            if let Err(error) = Checkpoint::open(kept.note.as_bytes(), &self.keys(&kept.origin)) {
                self.check.wrong(
                    Some(Position::new(size)),
                    None,
                    format!("the checkpoint that you hold: {error}"),
                );
            } else if kept.root != root {
                let what = format!(
                    "the checkpoint that you hold has the root {} over the first {size} events, and this log has {root}: \
                     an event was changed from position {} on{}",
                    kept.root,
                    self.kept_good + 1,
                    self.told_given_up(size)
                );
                let within = (Position::new(self.kept_good).next(), Position::new(size));
                self.check.wrong_within(within, None, what);
            } else {
                self.kept_good = size;
            }
        }
    }

    /// Whether the tree's root will be asked for at its present size.
    pub(super) fn wants(&self, size: u64) -> bool {
        self.kept.last().is_some_and(|kept| kept.size <= size)
    }

    /// A stored checkpoint, where the tree has grown to its size, or ends before it. `id`: the event there. Tells whether
    /// it is right: one that counts, and of this log.
    pub(super) fn stored(
        &mut self,
        mark: &CheckpointMark,
        line: Option<u64>,
        tree: &Tree,
        id: Option<Uuid>,
        ended: bool,
    ) -> bool {
        let keys = self.keys(&mark.origin);
        if keys.is_empty() && !self.trusted.keys.is_empty() {
            if let Err(what) = self.strangers.see(mark, tree, id) {
                self.check.wrong(Some(Position::new(mark.size)), line, what);
            }
            return false;
        }
        self.check.looked_at += 1;
        let checkpoint = match self.opened(mark, &keys) {
            Ok(checkpoint) => checkpoint,
            Err(what) => {
                self.check.wrong(Some(Position::new(mark.size)), line, what);
                return false;
            }
        };
        let same = tree.size() == mark.size && tree.root() == checkpoint.root && id == Some(mark.event_id);
        if same {
            self.sealed.insert(checkpoint.origin, checkpoint.size);
        } else if self.was_given_up(mark) {
            self.given_up += 1;
        } else {
            self.other(mark, &checkpoint, line, tree, ended);
        }
        same
    }

    /// What a stored checkpoint holds, if a key that counts has signed it and it follows the one before it.
    fn opened(&mut self, mark: &CheckpointMark, keys: &[PublicKey]) -> Result<Checkpoint, String> {
        let CheckpointMark { origin, size, previous, .. } = mark;
        let checkpoint = Checkpoint::open(mark.note.as_bytes(), keys)
            .map_err(|error| format!("the checkpoint of {origin} at {size}: {error}"))?;
        if checkpoint.size != *size || checkpoint.origin != *origin {
            return Err(format!("the checkpoint of {origin} at {size} holds a note of something else"));
        }
        let before = self.last.insert(origin.clone(), *size).unwrap_or(0);
        if *previous != before || size <= previous {
            return Err(format!(
                "the checkpoint at {size} says that it follows the one at {previous}, and the one before is at {before}"
            ));
        }
        Ok(checkpoint)
    }

    /// A checkpoint that is not of this log.
    fn other(
        &mut self,
        mark: &CheckpointMark,
        checkpoint: &Checkpoint,
        line: Option<u64>,
        tree: &Tree,
        ended: bool,
    ) {
        let CheckpointMark { size, previous, .. } = mark;
        let ends = tree.size();
        if ends < *size && ended {
            let what = format!(
                "a checkpoint covers {size} events, and the log ends at {ends}: its last ones are gone"
            );
            return self.check.wrong(Some(Position::new(ends).next()), line, what);
        }
        if ends != *size {
            let what = "the checkpoint stands behind another record than its last";
            return self.check.wrong(Some(Position::new(*size)), line, what);
        }
        let first = Position::new(*previous).next();
        let what = format!(
            "the checkpoint at {size} has the root {}, and the records up to there have {}: one of them, from position {first} \
             on, was changed since it was signed",
            checkpoint.root,
            tree.root(),
        );
        // All before that are as they were signed.
        self.check.wrong_within((first, Position::new(*size)), line, what);
    }

    fn was_given_up(&self, mark: &CheckpointMark) -> bool {
        self.losses.iter().any(|loss| loss.first_position <= mark.size && loss.accepted_at >= mark.signed_at)
    }

    fn told_given_up(&self, size: u64) -> String {
        let loss = self.losses.iter().find(|loss| loss.first_position <= size);
        loss.map_or(String::new(), |loss| {
            format!(
                " (the ledger says that it lost its history from position {} on, and that {} gave it up at {})",
                loss.first_position, loss.accepted_by, loss.accepted_at
            )
        })
    }

    /// After the last record: what was kept of events beyond it is a finding too.
    pub(super) fn end(mut self, tree: &Tree) -> (Check, Vec<String>) {
        self.grown(tree);
        for kept in std::mem::take(&mut self.kept) {
            self.check.looked_at += 1;
            let what = format!(
                "the checkpoint that you hold covers {} events, and the log ends at {}{}",
                kept.size,
                tree.size(),
                self.told_given_up(kept.size)
            );
            self.check.wrong(Some(Position::new(tree.size()).next()), None, what);
        }
        let mut notes = Vec::new();
        if self.given_up > 0 {
            notes.push(format!(
                "{} checkpoints are of history that was lost and given up since (ledger.accepted_loss)",
                self.given_up
            ));
        }
        for loss in &self.losses {
            notes.push(format!(
                "lost history, from position {} to {}, was given up by {} at {}",
                loss.first_position, loss.last_position, loss.accepted_by, loss.accepted_at
            ));
        }
        notes.extend(self.strangers.notes());
        if self.trusted.keys.is_empty() {
            if self.check.looked_at == 0 {
                self.check = Check::left_out(CheckName::Checkpoints, "there are none");
            } else {
                notes.push(
                    "the signatures were checked with the keys that the ledger itself names: --key checks them with one \
                     that you hold"
                        .to_owned(),
                );
            }
            return (self.check, notes);
        }
        match self.sealed.values().copied().max().unwrap_or(0).max(self.kept_good) {
            0 => self.check.wrong(
                None,
                None,
                "no checkpoint of these events is signed with a key that you hold: nothing is proven",
            ),
            sealed if sealed < tree.size() => notes.push(format!(
                "what is signed with a key that you hold are the first {sealed} events of {}",
                tree.size()
            )),
            _ => {}
        }
        (self.check, notes)
    }
}
