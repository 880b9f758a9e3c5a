//! What a sealer's shell does, on the model of the database.

use super::{
    Checkpoint, Cursor, Event, Flaw, Input, Late, Output, Past, Position, Sealer, Walk, agree, at, bytes,
    cursor, failed, holds, length, misfit,
};

impl Walk {
    pub(super) fn check(&mut self, sealer: usize) -> Result<Input, String> {
        if self.past() == Past::Misfit {
            let consistent = self.stream.iter().all(|one| bytes(&self.database.log).starts_with(one));
            if !self.touched && consistent && !self.has_seen_more() {
                return Err("a past that fits is said not to".to_owned());
            }
            return Ok(misfit());
        }
        let size = self.newest().min(self.database.log.len());
        let floor = self.stream.last().map_or(0, Vec::len).max(self.witnessed.len()).max(size);
        let floor = if self.is(Flaw::NoFloor) { 0 } else { floor };
        self.sealers[sealer].tree = bytes(&self.database.log[..size]);
        self.sealers[sealer].outside = self.stream.last().cloned().unwrap_or_default();
        self.sealers[sealer].session = true;
        let last = cursor(&self.database.log, size);
        Ok(Input::Fits { sealed: last, floor: Position::new(floor as u64) })
    }

    pub(super) fn read(
        &mut self,
        sealer: usize,
        log: &[Event],
        after: Cursor,
        few: bool,
        due: bool,
    ) -> Input {
        if !holds(log, after) {
            return Input::OtherPast(after);
        }
        let next = &log[length(after)..];
        let next = &next[..next.len().min(if few { 1 } else { usize::MAX })];
        if next.is_empty() {
            return Input::Idle { due };
        }
        let Sealer { tree, outside, .. } = &mut self.sealers[sealer];
        tree.extend(bytes(next));
        if !agree(tree, outside) && self.flaw != Some(Flaw::NoOutside) {
            return misfit();
        }
        Input::Read { to: cursor(log, length(after) + next.len()), due }
    }

    pub(super) fn keep(&mut self, sealer: usize, to: Cursor) -> Input {
        let Sealer { tree, session, .. } = &self.sealers[sealer];
        if !session && !self.is(Flaw::AnySession) {
            return failed();
        }
        let database = &mut self.database;
        if !holds(&database.log, to) && self.flaw != Some(Flaw::KeepsAnything) {
            return Input::OtherPast(to);
        }
        if !agree(&database.tiles, tree) && self.flaw != Some(Flaw::NoOwn) {
            return misfit();
        }
        if tree.len() > database.tiles.len() {
            database.tiles.clone_from(tree);
        }
        Input::Kept
    }

    /// None: the connection is gone.
    pub(super) fn sealing(&self, sealer: usize, previous: Position, to: Cursor) -> Option<Late> {
        let Sealer { tree, session, .. } = &self.sealers[sealer];
        let last = u8::try_from(to.id().unwrap().as_u128()).unwrap();
        let previous = usize::try_from(previous.get()).unwrap();
        let checkpoint = Checkpoint { previous, last, leaves: tree.clone() };
        (*session || self.is(Flaw::AnySession)).then_some(Late { previous, checkpoint })
    }

    pub(super) fn seal(&mut self, Late { previous, checkpoint }: Late) -> Result<Input, String> {
        if self.newest() != previous && !self.is(Flaw::NoCompare) {
            return Ok(Input::Overtaken);
        }
        let to = at(checkpoint.leaves.len(), checkpoint.last);
        if !holds(&self.database.log, to) {
            return Ok(Input::OtherPast(to));
        }
        if let Some(newest) = self.database.checkpoints.last() {
            if checkpoint.leaves.len() <= newest.leaves.len() {
                return Err("a checkpoint goes back".to_owned());
            }
            if !self.rewritten && !checkpoint.leaves.starts_with(&newest.leaves) {
                return Err("a checkpoint does not go on where the one before it ended".to_owned());
            }
        }
        for published in &self.stream {
            if !checkpoint.leaves.starts_with(published) {
                return Err("a checkpoint does not go on where one that was given out ended".to_owned());
            }
        }
        if !agree(&checkpoint.leaves, &self.witnessed) {
            return Err("a checkpoint does not go on where one that was witnessed ended".to_owned());
        }
        self.database.checkpoints.push(checkpoint);
        self.remember();
        Ok(Input::Sealed)
    }

    pub(super) fn perform(&mut self, sealer: usize, few: bool, due: bool) -> Result<(), String> {
        let log = self.database.log.clone();
        let session = self.sealers[sealer].session || self.is(Flaw::AnySession);
        let answer = match self.sealers[sealer].asked.clone() {
            Output::Check => self.check(sealer)?,
            Output::Settle => {
                self.database.holds[1] &= self.is(Flaw::KeepsHold);
                Input::Settled
            }
            Output::Read { after, .. } => self.read(sealer, &log, after, few, due),
            Output::Keep { to } => self.keep(sealer, to),
            Output::Seal { previous, to } => match self.sealing(sealer, previous, to) {
                Some(seal) => self.seal(seal)?,
                None => failed(),
            },
            Output::Look { .. } if !session => failed(),
            Output::Look { .. } if self.database.holds[1] => Input::Overtaken,
            Output::Look { sealed } if self.stands(sealer, sealed) => Input::Standing,
            Output::Look { .. } => Input::Overtaken,
            Output::Hold(cursor) => {
                self.database.holds[0] |= !holds(&log, cursor);
                Input::HoldSettled
            }
            Output::Report(_) => {
                self.database.holds[1] = true;
                Input::Reported
            }
            Output::Watch | Output::Wait { .. } => Input::Recheck,
            Output::Forget => unreachable!("asks for no answer"),
        };
        self.sealers[sealer].tell(answer);
        Ok(())
    }
}
