//! What can go wrong, and what it does.

use super::{Database, Position, Sealer, Walk, bytes, failed, holds, length};
use vtid_ledger::sealer::machine::{Input, Output};

/// What can go wrong; each once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Fault {
    /// A sealer is begun anew.
    Crash,
    /// The database goes back to an earlier state; connections are gone.
    Failover,
    /// A seal never arrives.
    SealLost,
    /// A seal goes in, and its sealer does not learn it.
    SealUnanswered,
    /// A seal is given up on, and goes in later.
    SealLate,
    /// Tiles go in, and their sealer does not learn it.
    KeepUnanswered,
    /// Events are read from memory that a failover has lost.
    OldTail,
    /// Somebody with all rights changes a record.
    Tamper,
    /// The same takes the last event away.
    Truncate,
    /// The same changes a record, and makes tiles and checkpoints that fit it.
    Rewrite,
    /// The same changes a record, and takes all checkpoints and tiles away, and the stream, while no sealer is at work.
    Wipe,
    /// An operator puts back what a failover lost.
    Recover,
    /// An operator gives it up.
    AcceptLoss,
    /// Another process seals, as far as it looks.
    NotLeading,
}

impl Fault {
    pub(crate) const ALL: [Self; 14] = [
        Self::Crash,
        Self::Failover,
        Self::SealLost,
        Self::SealUnanswered,
        Self::SealLate,
        Self::KeepUnanswered,
        Self::OldTail,
        Self::Tamper,
        Self::Truncate,
        Self::Rewrite,
        Self::Wipe,
        Self::Recover,
        Self::AcceptLoss,
        Self::NotLeading,
    ];
}

/// A shell that is known to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Flaw {
    /// What was found on one connection counts on every other.
    AnySession,
    /// Nobody looks at the stream.
    NoOutside,
    /// Where nothing is on record no witness is asked.
    NoWitness,
    /// The hold stays when the past fits again.
    KeepsHold,
    /// Tiles are kept whether the log holds their events or not.
    KeepsAnything,
    /// A checkpoint may be smaller than one that was given out.
    NoFloor,
    /// What is on record is not held against the records: not the newest checkpoint, and no tiles.
    NoOwn,
    /// A checkpoint is put in whatever is the newest.
    NoCompare,
}

impl Walk {
    /// Whether this fault can come to pass now.
    pub(super) fn can(&self, fault: Fault, sealer: usize) -> usize {
        let asked = &self.sealers[sealer].asked;
        let once = |can: bool| usize::from(can);
        let has_any = !self.database.checkpoints.is_empty();
        match fault {
            Fault::Crash => 1,
            Fault::Failover => once(sealer == 0) * self.earlier.len(),
            Fault::SealLost | Fault::SealUnanswered | Fault::SealLate => {
                once(matches!(asked, Output::Seal { .. }) && self.late.is_none())
            }
            Fault::KeepUnanswered => once(matches!(asked, Output::Keep { .. })),
            Fault::OldTail => match asked {
                Output::Read { after, .. } => {
                    once(holds(&self.lost, *after) && self.lost.len() > length(*after))
                }
                _ => 0,
            },
            Fault::Tamper => once(sealer == 0) * self.database.log.len(),
            Fault::Truncate => once(sealer == 0 && !self.database.log.is_empty()),
            // What was not given out yet nobody can tell from what is put in its place.
            Fault::Rewrite => {
                let given_out =
                    self.publishable().is_empty() && !(self.has_witness && self.cosignable().is_some());
                once(sealer == 0 && has_any && given_out)
            }
            Fault::Wipe => once(sealer == 0 && !self.witnessed.is_empty()),
            Fault::Recover => once(
                sealer == 0
                    && self.lost.len() > self.database.log.len()
                    && self.lost.starts_with(&self.database.log),
            ),
            Fault::AcceptLoss => once(sealer == 0 && self.database.holds[0]),
            Fault::NotLeading => once(*asked == Output::Check),
        }
    }

    pub(super) fn fault(&mut self, fault: Fault, sealer: usize, nth: usize) -> Result<(), String> {
        self.tally.count(fault);
        match fault {
            Fault::Crash => self.sealers[sealer] = Sealer::new(),
            Fault::Failover => self.fail_over(nth),
            Fault::SealLost => self.sealers[sealer].tell(failed()),
            Fault::SealUnanswered | Fault::SealLate => {
                let Output::Seal { previous, to } = self.sealers[sealer].asked else { unreachable!() };
                if let Some(seal) = self.sealing(sealer, previous, to) {
                    if fault == Fault::SealLate {
                        self.late = Some(seal);
                    } else {
                        self.seal(seal)?;
                    }
                }
                self.sealers[sealer].tell(failed());
            }
            Fault::KeepUnanswered => {
                let Output::Keep { to } = self.sealers[sealer].asked else { unreachable!() };
                self.keep(sealer, to);
                self.sealers[sealer].tell(failed());
            }
            Fault::OldTail => {
                let Output::Read { after, .. } = self.sealers[sealer].asked else { unreachable!() };
                let lost = self.lost.clone();
                let answer = self.read(sealer, &lost, after, false, true);
                self.sealers[sealer].tell(answer);
            }
            Fault::Tamper => {
                self.touched = true;
                let (_, bytes) = &mut self.database.log[nth];
                *bytes = bytes.wrapping_add(100);
            }
            Fault::Truncate => {
                self.touched = true;
                self.database.log.pop();
            }
            Fault::Rewrite => self.rewrite(),
            Fault::Wipe => self.wipe(),
            Fault::Recover => {
                self.database.log.clone_from(&self.lost);
                self.database.holds[0] = false;
                self.remember();
            }
            Fault::AcceptLoss => self.database.holds[0] = false,
            Fault::NotLeading => {
                let newest = Position::new(self.newest() as u64);
                self.sealers[sealer].tell(Input::Followed(newest));
            }
        }
        Ok(())
    }

    fn fail_over(&mut self, nth: usize) {
        self.lost = self.database.log.clone();
        self.database = self.earlier[nth].clone();
        self.earlier.clear();
        self.late = None;
        self.sealers.iter_mut().for_each(|sealer| sealer.session = false);
    }

    fn rewrite(&mut self) {
        (self.touched, self.rewritten) = (true, true);
        let Database { log, tiles, checkpoints, .. } = &mut self.database;
        if let Some(first) = log.first_mut() {
            first.1 = first.1.wrapping_add(100);
        }
        let all = bytes(log);
        tiles.clone_from(&all);
        tiles.truncate(all.len());
        for checkpoint in checkpoints {
            let size = checkpoint.leaves.len().min(all.len());
            checkpoint.leaves = all[..size].to_vec();
        }
    }

    fn wipe(&mut self) {
        (self.touched, self.rewritten) = (true, true);
        if let Some(first) = self.database.log.first_mut() {
            first.1 = first.1.wrapping_add(100);
        }
        self.database.tiles.clear();
        self.database.checkpoints.clear();
        self.stream.clear();
        (self.late, self.earlier) = (None, Vec::new());
        self.sealers.iter_mut().for_each(|sealer| *sealer = Sealer::new());
    }
}
