//! The projectors of the two replicas: they share cursor and rows in the database, and race for each batch.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::domain::evolve::evolve;
use vtid_ledger::domain::position::Position;
use vtid_ledger::domain::task::Task;
use vtid_ledger::log::hold::Hold;
use vtid_ledger::projections::machine::{Input, Output};

use super::leases::PROJECTOR;
use super::replica::Batch;
use super::world::World;
use crate::simulation::database::{Projected, Who};
use crate::simulation::faults::Fault;
use crate::simulation::promises::Promise;

/// A batch whose connection is dead, which may yet go in.
pub(super) struct LateApply {
    from: Cursor,
    to: Cursor,
    states: Vec<Arc<Task>>,
    batch: Batch,
}

impl World {
    pub(super) fn tell_projector(&mut self, who: Who, input: Input) {
        let now = Duration::from_millis(self.elapsed_ms);
        let projector = &mut self.replicas[who].projector;
        for output in projector.machine.handle(now, input) {
            if output == Output::Forget {
                projector.states.clear();
                projector.batch.clear();
            } else {
                projector.asked = Some(output);
            }
        }
    }

    /// What the projector asked for is done, or something goes wrong with it.
    pub(super) fn projector_goes_on(&mut self, who: Who) -> Promise {
        if let Some(input) = self.replicas[who].projector.coming.take() {
            self.tell_projector(who, input);
            return Ok(());
        }
        let Some(asked) = self.replicas[who].projector.asked.clone() else { return Ok(()) };
        let input = match asked {
            Output::Wait { until } if Duration::from_millis(self.elapsed_ms) < until => return Ok(()),
            Output::Wait { .. } | Output::Watch => Input::Woken,
            Output::Hold(_) if self.database.lock.is_some() => return Ok(()),
            Output::Apply { from, to } => self.apply(who, from, to)?,
            _ if self.database_is_away() || self.faulty(16) => {
                self.fire(Fault::ProjectorFailed);
                failed()
            }
            Output::Load => {
                self.replicas[who].projector.losses = self.database.log.losses;
                let cursor = self.database.cursor;
                if self.holds(who, PROJECTOR) { Input::Loaded(cursor) } else { Input::Followed(cursor) }
            }
            Output::Read { .. } if !self.holds(who, PROJECTOR) => Input::Idle,
            Output::Read { after, max_events } => self.read(who, after, max_events),
            Output::Hold(cursor) => self.hold_by_projector(who, cursor),
            Output::Forget => return Ok(()),
        };
        self.replicas[who].projector.asked = None;
        if self.faulty(4) {
            self.replicas[who].projector.coming = Some(input);
        } else {
            self.tell_projector(who, input);
        }
        Ok(())
    }

    fn read(&mut self, who: Who, after: Cursor, max_events: u32) -> Input {
        let max = usize::try_from(max_events).unwrap().min(4);
        let replica = &mut self.replicas[who];
        let Some(batch) = replica.follow(&self.database.log, after, max) else {
            return Input::OtherPast(after);
        };
        let Some((last, _)) = batch.last() else { return Input::Idle };
        let (to, events) = (Cursor::at(&last.recorded.event), u32::try_from(batch.len()).unwrap());
        replica.projector.batch = batch;
        Input::Read { to, events }
    }

    fn apply(&mut self, who: Who, from: Cursor, to: Cursor) -> Result<Input, String> {
        let batch = std::mem::take(&mut self.replicas[who].projector.batch);
        let states = match self.fold(who, &batch) {
            Ok(states) => states,
            Err(position) => {
                self.replicas[who].projector.states.clear();
                return Ok(Input::Unreadable { position, reason: String::new() });
            }
        };
        if self.database_is_away() || self.faulty(12) {
            self.fire(Fault::ApplyLostBefore);
            return Ok(failed());
        }
        let late = LateApply { from, to, states, batch };
        if self.faulty(12) {
            self.fire(Fault::ApplyLongAfter);
            self.replicas[who].late_applies.push(late);
            return Ok(failed());
        }
        let reply = self.project(late)?;
        self.say(|| format!("projector {who}: {} to {}, {reply:?}", from.position(), to.position()));
        if self.faulty(12) {
            self.fire(Fault::ApplyLostAfter);
            return Ok(failed());
        }
        Ok(match reply {
            Projected::Moved => Input::Applied,
            Projected::CursorElsewhere => Input::LostRace,
            Projected::NotInLog => {
                self.fire(Fault::ApplyOfTheLost);
                Input::OtherPast(to)
            }
        })
    }

    /// What each event does to its task; the position of one that does not fold.
    fn fold(&mut self, who: Who, batch: &Batch) -> Result<Vec<Arc<Task>>, Position> {
        let Some((first, _)) = batch.first() else { return Ok(Vec::new()) };
        let before = Position::new(first.position().get() - 1);
        let states = &mut self.replicas[who].projector.states;
        let mut seen = BTreeSet::new();
        let mut folded = Vec::with_capacity(batch.len());
        for (entry, known) in batch {
            let event = &entry.recorded.event;
            let first_here = seen.insert(event.vtid);
            if first_here && event.version.get() > 1 && !states.contains_key(&event.vtid) {
                let loaded = self.database.log.task(event.vtid, before);
                states.extend(loaded.map(|task| (event.vtid, Arc::clone(task))));
            }
            let after = match &entry.transition {
                Some(transition) if *known => Arc::clone(&transition.after),
                _ => {
                    let before = states.get(&event.vtid).map(|task| (**task).clone());
                    Arc::new(evolve(before, event).map_err(|_| event.position)?)
                }
            };
            states.insert(event.vtid, Arc::clone(&after));
            folded.push(after);
        }
        Ok(folded)
    }

    /// Moves the cursor and writes the rows, which must be what the log folds to.
    fn project(&mut self, late: LateApply) -> Result<Projected, String> {
        let LateApply { from, to, states, batch } = late;
        let reply = self.database.may_move(from, to);
        if reply == Projected::Moved {
            for ((entry, _), state) in batch.iter().zip(&states) {
                let row = self.database.log.at(entry.position());
                let row = row.filter(|row| row.event().id == entry.recorded.event.id);
                if row.is_none_or(|row| row.after != *state) {
                    return Err(format!("a row of {} that the log does not hold", entry.position()));
                }
            }
            self.database.project(from, to, states);
        }
        Ok(reply)
    }

    /// A batch of a dead connection goes in, or is refused.
    pub(super) fn late_apply(&mut self, who: Who) -> Promise {
        let Some(late) = self.replicas[who].late_applies.pop() else { return Ok(()) };
        let moved = self.project(late)? == Projected::Moved;
        self.fire(if moved { Fault::LateApplyWentIn } else { Fault::LateApplyRefused });
        Ok(())
    }

    /// Sets the hold, unless the log, under the lock, turns out to hold the event, or the loss was given up.
    fn hold_by_projector(&mut self, who: Who, cursor: Cursor) -> Input {
        let replica = &mut self.replicas[who];
        let losses = replica.projector.losses;
        let known = replica.tail.losses().map_or(losses, |tail| tail.min(losses));
        replica.tail.clear();
        if self.database.log.losses <= known && self.database.log.id_at(cursor.position()) != cursor.id() {
            self.fire(Fault::HoldByProjector);
            self.database.set_hold(Hold::at(cursor.position(), "by a projector".to_owned()));
        }
        Input::HoldSettled
    }

    /// The rows are what the log folds to, up to the cursor.
    pub(super) fn check_rows(&self) -> Promise {
        let log = &self.database.log;
        let at = self.database.cursor.position();
        let tasks = log.rows().iter().filter(|row| row.event().version.get() == 1);
        let right = tasks
            .filter(|row| row.event().position <= at)
            .all(|row| self.database.rows.get(&row.event().vtid) == log.task(row.event().vtid, at));
        let count = log.rows().iter().filter(|row| row.event().version.get() == 1);
        let count = count.filter(|row| row.event().position <= at).count();
        if right && count == self.database.rows.len() {
            return Ok(());
        }
        Err("the read table is not the fold of the log".to_owned())
    }
}

fn failed() -> Input {
    Input::Failed { reason: String::new() }
}
