//! The part of a verification that goes through the log in order, wherever the records come from.

use uuid::Uuid;

use super::checkpoints::{Checkpoints, Trusted};
use super::keys::KeysUsed;
use super::report::{Check, CheckName, Finding, Report};
use crate::audit::file::{CheckpointMark, CosignatureMark, EndMark, KeyMark, LossMark, SUMS_EVERY, sum};
use crate::audit::glance;
use crate::domain::lawful::{Fact, Lawful};
use crate::domain::position::Position;
use crate::domain::record::{LedgerId, RecordError};
use crate::tlog::Hash;
use crate::tlog::tree::{FullTile, Tree};

/// A record, as far as it could be read.
pub(super) type Read<'a> = Result<(Fact<'a>, Option<glance::KeyMark>), &'a RecordError>;

/// A log that is gone through from its first event on.
pub(super) struct Walk {
    tree: Tree,
    last_id: Option<Uuid>,
    lawful: Lawful,
    keys: KeysUsed,
    checkpoints: Checkpoints,
    records: Check,
    rules: Check,
    sums: Check,
    root: Check,
    /// The sums of the last records, from a file, and each one's line.
    summed: Vec<([u8; 8], u64)>,
}

impl Walk {
    pub(super) fn new(ledger: LedgerId, trusted: Trusted) -> Self {
        Self {
            tree: Tree::new(),
            last_id: None,
            lawful: Lawful::new(ledger),
            keys: KeysUsed::new(),
            checkpoints: Checkpoints::new(trusted),
            records: Check::new(CheckName::Records),
            rules: Check::new(CheckName::Rules),
            sums: Check::new(CheckName::Sums),
            root: Check::new(CheckName::Tree),
            summed: Vec::new(),
        }
    }

    /// The position of the next record.
    pub(super) fn next(&self) -> Position {
        Position::new(self.tree.size()).next()
    }

    /// Takes the next record; hands out the tiles that it fills.
    pub(super) fn record(&mut self, line: Option<u64>, leaf: Hash, read: Read<'_>) -> Vec<FullTile> {
        if self.checkpoints.wants(self.tree.size()) {
            self.checkpoints.grown(&self.tree);
        }
        let position = self.next();
        self.records.looked_at += 1;
        match read {
            Ok((fact, key)) => {
                self.last_id = Some(fact.id);
                // Behind a breach nothing can be judged any more.
                if !self.rules.is_bad() && !self.records.is_bad() {
                    self.rules.looked_at += 1;
                    match self.lawful.admit(&fact) {
                        Ok(()) => {}
                        Err(breach) => {
                            self.rules.wrong(Some(breach.position), line, breach.rule.to_string());
                        }
                    }
                    if let Some(key) = key {
                        self.keys.add(key, position);
                    }
                }
            }
            Err(error) => {
                self.last_id = None;
                self.records.wrong(Some(position), line, error.to_string());
            }
        }
        if let Some(line) = line {
            self.summed.push((sum(&leaf), line));
        }
        self.tree.push(leaf)
    }

    /// The sums of the records since the last such line of a file.
    pub(super) fn sums(&mut self, line: u64, sums: &str) {
        let first = self.tree.size() - self.summed.len() as u64;
        let mut both = (first..).zip(&self.summed).zip(sums.as_bytes().chunks(8));
        let wrong = both.find(|((_, (own, _)), said)| own != said);
        self.sums.looked_at += self.summed.len() as u64;
        if let Some(((before, (_, line)), _)) = wrong {
            let position = Position::new(before).next();
            self.sums.wrong(Some(position), Some(*line), "its bytes are not those that were exported");
        } else if sums.len() != 8 * self.summed.len() {
            let what = format!("it has the sums of {} records behind {}", sums.len() / 8, self.summed.len());
            let (first, last) = (Position::new(first).next(), Position::new(self.tree.size()));
            self.sums.wrong_within((first, last), Some(line), what);
        }
        self.summed.clear();
    }

    /// Whether sums are overdue: a file without them is not as it was written.
    pub(super) fn sums_overdue(&self) -> bool {
        self.summed.len() as u64 >= SUMS_EVERY
    }

    /// A record came where sums were due.
    pub(super) fn sums_missing(&mut self, line: u64) {
        let position = Some(self.next());
        self.sums.wrong(position, Some(line), "the sums of the records in front are missing");
        self.summed.clear();
    }

    pub(super) fn key(&mut self, mark: &KeyMark, line: Option<u64>) {
        self.checkpoints.key(mark, line);
    }

    pub(super) fn loss(&mut self, mark: LossMark) {
        self.checkpoints.loss(mark);
    }

    /// A checkpoint, behind the last record that it covers; or behind all of them, if the log has `ended`. Tells whether it
    /// is right.
    pub(super) fn checkpoint(&mut self, mark: &CheckpointMark, line: Option<u64>, ended: bool) -> bool {
        self.checkpoints.stored(mark, line, &self.tree, self.last_id, ended)
    }

    /// The stored checkpoints can't be read any further.
    pub(super) fn checkpoints_unfinished(&mut self, error: &dyn std::error::Error) {
        self.checkpoints.check.unfinished(error);
    }

    /// Something else is wrong with a stored checkpoint.
    pub(super) fn checkpoint_wrong(&mut self, size: Position, what: String) {
        self.checkpoints.check.wrong(Some(size), None, what);
    }

    /// Cosignatures are lines of a note that its witness's key alone can check; here they must be lines at all.
    pub(super) fn cosignature(&mut self, mark: &CosignatureMark, line: Option<u64>) {
        if !mark.line.starts_with('\u{2014}') {
            let what = format!("the signature of the witness {} is none", mark.witness);
            self.checkpoints.check.wrong(Some(Position::new(mark.size)), line, what);
        }
    }

    /// What a tree that was stored differs in, the first of so many things.
    pub(super) fn tree_wrong(&mut self, finding: Finding, count: u64) {
        self.root.found(finding, count);
    }

    /// So many parts of a stored tree were looked at.
    pub(super) fn tree_looked_at(&mut self, count: u64) {
        self.root.looked_at += count;
    }

    /// The last line of a file.
    pub(super) fn end_mark(&mut self, line: u64, end: &EndMark) {
        self.root.looked_at += self.tree.size();
        if !self.summed.is_empty() {
            self.sums_missing(line);
        }
        let root = self.tree.root().to_string();
        if end.root != root {
            let what = format!(
                "the file says that the root is {}, and its records have {root}: it was changed",
                end.root
            );
            // Where, the sums may tell.
            self.root.wrong(None, Some(line), what);
        }
    }

    /// After the last record. `file`: the file was looked at, with this result.
    pub(super) fn end(mut self, file: Option<Check>) -> Report {
        if !self.rules.is_bad()
            && !self.records.is_bad()
            && let Err(breach) = self.lawful.end()
        {
            self.rules.wrong(Some(breach.position), None, breach.rule.to_string());
        }
        let mut keys = Check::new(CheckName::Keys);
        keys.looked_at = self.rules.looked_at;
        match self.keys.again() {
            Ok(None) => {}
            Ok(Some((again, first))) => {
                let what = format!("its caller had used its idempotency key at position {first}");
                keys.wrong(Some(again), None, what);
            }
            Err(error) => keys.unfinished(&error),
        }
        let (events, root) = (self.tree.size(), self.tree.root());
        let mut notes = Vec::new();
        if self.lawful.foreign() > 0 {
            notes.push(format!(
                "the first {} events were recorded by another ledger, of which this one is a clone",
                self.lawful.foreign()
            ));
        }
        if self.rules.is_bad() || self.records.is_bad() {
            let last = self.lawful.last();
            notes.push(format!(
                "the rules were looked at up to position {last}, behind which they can't be judged"
            ));
        }
        let sealed = self.checkpoints.sizes();
        let (checkpoints, told) = self.checkpoints.end(&self.tree);
        notes.extend(told);
        if file.is_none() && self.root.looked_at == 0 && !self.root.is_bad() {
            self.root = Check::left_out(CheckName::Tree, "no full tile is stored to compare with");
        }
        let sums = file.is_some().then_some(self.sums);
        let checks =
            file.into_iter().chain(sums).chain([self.records, self.rules, keys, self.root, checkpoints]);
        Report { checks: checks.collect(), events, root, sealed, notes }
    }
}
