//! Whether the past is the one that was sealed, as the model of the database, the stream and the witness has it.

use super::{Database, Flaw, Position, Walk, agree, at, bytes, cursor};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Past {
    Fits,
    Misfit,
}

impl Walk {
    pub(super) fn newest(&self) -> usize {
        self.database.checkpoints.last().map_or(0, |newest| newest.leaves.len())
    }

    /// The newest checkpoint is of that size, and of the tree as far as that has no more.
    pub(super) fn stands(&self, sealer: usize, size: Position) -> bool {
        let tree = &self.sealers[sealer].tree;
        let newest = self.database.checkpoints.last().map_or(&[][..], |newest| &newest.leaves);
        newest.len() as u64 == size.get() && (tree.len() > newest.len() || tree == newest)
    }

    /// The checkpoints that are on record and not in the stream.
    pub(super) fn publishable(&self) -> Vec<Vec<u8>> {
        let last = self.stream.last().map_or(0, Vec::len);
        let all = self.database.checkpoints.iter().map(|one| one.leaves.clone());
        all.filter(|leaves| leaves.len() > last).collect()
    }

    pub(super) fn past(&self) -> Past {
        let Database { log, tiles, checkpoints, .. } = &self.database;
        let log = bytes(log);
        if !self.is(Flaw::NoOwn) {
            if log.len() < tiles.len() || !log.starts_with(tiles) {
                return Past::Misfit;
            }
            if checkpoints.last().is_some_and(|newest| {
                !tiles.starts_with(&newest.leaves)
                    || cursor(&self.database.log, newest.leaves.len()) != at(newest.leaves.len(), newest.last)
            }) {
                return Past::Misfit;
            }
        }
        let outside = self.stream.last().filter(|_| !self.is(Flaw::NoOutside));
        if outside.is_some_and(|outside| !log.starts_with(outside)) {
            return Past::Misfit;
        }
        if self.refuses_the_newest() || self.has_seen_more() { Past::Misfit } else { Past::Fits }
    }

    /// The witness does not sign the newest checkpoint, as it does not go on from what it has signed.
    pub(super) fn refuses_the_newest(&self) -> bool {
        let newest = self.database.checkpoints.last();
        newest.is_some_and(|newest| !agree(&newest.leaves, &self.witnessed))
            && self.newest() >= self.witnessed.len()
    }

    /// The witness has signed more than anybody can show.
    pub(super) fn has_seen_more(&self) -> bool {
        // It used to be asked about the newest checkpoint alone.
        if self.is(Flaw::NoWitness) && self.database.checkpoints.is_empty() {
            return false;
        }
        let shown = self.stream.last().map_or(0, Vec::len).max(self.newest());
        self.witnessed.len() > shown
    }

    /// What a witness would sign.
    pub(super) fn cosignable(&self) -> Option<&Vec<u8>> {
        let newest = &self.database.checkpoints.last()?.leaves;
        (newest.len() > self.witnessed.len() && newest.starts_with(&self.witnessed)).then_some(newest)
    }
}
