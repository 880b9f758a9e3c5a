//! Everything that can happen next between projectors and their database: for the exhaustive walk.

use std::hash::{DefaultHasher, Hash, Hasher};

use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::projections::machine::Input;

use super::cursor_faults::Fault;
use super::cursor_world::CursorWorld;
use super::explore::World;
use super::projector::{Asked, Projector};
use super::tally::Tally;

/// So many rounds are more than enough for every projector to come to rest.
const MOST_ROUNDS: usize = 40;

/// What happens next.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// What a projector asks for is done.
    Perform {
        projector: usize,
    },
    /// Somebody writes: in this projector's process, or elsewhere.
    Append {
        process: Option<usize>,
    },
    LateArrives {
        nth: usize,
    },
    LateIsGone {
        nth: usize,
    },
    Fault {
        fault: Fault,
        projector: usize,
        nth: usize,
    },
}

/// The world, and what may still go wrong in it.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    pub(super) world: CursorWorld,
    faults: [u8; Fault::CAUSES.len()],
    /// Events that are still to be written.
    appends: u8,
    elsewhere: bool,
    tally: Tally<Fault>,
    /// Of the state; zero at the start.
    fingerprint: u64,
}

impl Walk {
    pub(super) fn new(projectors: usize, events: u64, appends: u8) -> Self {
        let world = CursorWorld::new(projectors, events);
        Self {
            world,
            faults: Default::default(),
            appends,
            elsewhere: false,
            tally: Tally::default(),
            fingerprint: 0,
        }
    }

    pub(super) fn with(mut self, faults: &[Fault]) -> Self {
        for fault in faults {
            self.faults[*fault as usize] += 1;
        }
        self
    }

    /// Its faults are counted here.
    pub(super) fn counted(mut self, tally: &Tally<Fault>) -> Self {
        self.tally = tally.clone();
        self
    }

    /// All is written by processes without a projector.
    pub(super) fn written_elsewhere(mut self) -> Self {
        self.elsewhere = true;
        self
    }

    /// Left alone, every projector comes to rest, and all is caught up: whatever it has met, it does not go round in
    /// circles.
    fn comes_to_rest(&self) -> Result<(), String> {
        let mut alone = self.clone().counted(&Tally::default());
        for _ in 0..MOST_ROUNDS {
            let busy: Vec<usize> =
                (0..alone.world.projectors.len()).filter(|one| !alone.world.rests(*one)).collect();
            if busy.is_empty() {
                return alone.world.caught_up();
            }
            for projector in busy {
                alone.perform(projector);
            }
        }
        Err(format!("it never comes to rest: {:?}", alone.world.projectors))
    }

    fn may(&self, fault: Fault, projector: usize) -> bool {
        let asked = self.world.projectors[projector].asked;
        match fault {
            Fault::NoAnswer => matches!(asked, Asked::Load | Asked::Read { .. } | Asked::Hold(_)),
            Fault::ApplyLostBefore | Fault::ApplyLostAfter | Fault::ApplyLate => {
                matches!(asked, Asked::Apply { .. })
            }
            Fault::Idle => matches!(asked, Asked::Read { .. }),
            Fault::OtherLeads => asked == Asked::Load,
            Fault::Crashed => true,
            _ => false,
        }
    }

    fn fault(&mut self, fault: Fault, index: usize, nth: usize) {
        self.tally.count(fault);
        self.faults[fault as usize] -= 1;
        match (fault, self.world.projectors[index].asked) {
            (Fault::PutBack, _) => self.world.restore(nth),
            (Fault::Crashed, _) => self.world.projectors[index] = Projector::new(),
            (Fault::OtherLeads, _) => {
                let followed = Input::Followed(self.world.progress());
                self.world.projectors[index].tell(followed);
            }
            (Fault::Idle, _) => self.world.projectors[index].tell(Input::Idle),
            (_, Asked::Apply { from, to }) => self.lose_apply(fault, index, from, to),
            _ => self.world.projectors[index].tell(failed()),
        }
    }

    /// Nobody learns what became of it.
    fn lose_apply(&mut self, fault: Fault, index: usize, from: Cursor, to: Cursor) {
        let answer = match self.world.fold(index, from, to) {
            Err(unreadable) => unreadable,
            Ok(transaction) => {
                match fault {
                    Fault::ApplyLostAfter => drop(self.world.commit(None, &transaction)),
                    Fault::ApplyLate => self.world.late.push(transaction),
                    _ => {}
                }
                failed()
            }
        };
        self.world.projectors[index].tell(answer);
    }

    fn perform(&mut self, index: usize) {
        if let Some(rows) = self.world.projectors[index].half.take() {
            return self.world.write(&rows);
        }
        let answer = match self.world.projectors[index].asked {
            Asked::Wait | Asked::Watch => Input::Woken,
            Asked::Load => Input::Loaded(self.world.progress()),
            Asked::Read { after, max_events } => self.read(index, after, max_events),
            Asked::Apply { from, to } => self.apply(index, from, to),
            Asked::Hold(cursor) => {
                self.world.projectors[index].tail.clear();
                self.world.settle_hold(cursor);
                if self.world.log.hold {
                    self.tally.count(Fault::Held);
                }
                Input::HoldSettled
            }
        };
        self.world.projectors[index].tell(answer);
    }

    fn read(&mut self, index: usize, after: Cursor, max_events: u32) -> Input {
        match self.world.read(index, after, max_events as usize) {
            Err(cursor) => Input::OtherPast(cursor),
            Ok(batch) => match batch.last() {
                None => Input::Idle,
                Some((position, id)) => {
                    let to = Cursor::At { position: *position, id: *id };
                    let events = u32::try_from(batch.len()).unwrap();
                    self.world.projectors[index].batch = batch;
                    Input::Read { to, events }
                }
            },
        }
    }

    fn apply(&mut self, index: usize, from: Cursor, to: Cursor) -> Input {
        match self.world.fold(index, from, to) {
            Err(unreadable) => unreadable,
            Ok(transaction) => {
                let answer = self.world.commit(Some(index), &transaction);
                match &answer {
                    Input::LostRace => self.tally.count(Fault::LostRace),
                    Input::OtherPast(_) => self.tally.count(Fault::NotInLog),
                    _ => {}
                }
                answer
            }
        }
    }

    fn commit_late(&mut self, nth: usize) {
        let transaction = self.world.late.remove(nth);
        match self.world.commit(None, &transaction) {
            Input::Applied => self.tally.count(Fault::LateWentIn),
            _ => self.tally.count(Fault::LateRefused),
        }
    }
}

fn failed() -> Input {
    Input::Failed { reason: "a fault".to_owned() }
}

impl World for Walk {
    type Step = Step;

    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let faults: Vec<Fault> =
            Fault::CAUSES.into_iter().filter(|fault| self.faults[*fault as usize] > 0).collect();
        let count = self.world.projectors.len();
        for projector in 0..count {
            if !self.world.rests(projector) || self.world.projectors[projector].half.is_some() {
                steps.push(Step::Perform { projector });
            }
            let faults = faults.iter().filter(|fault| self.may(**fault, projector));
            steps.extend(faults.map(|fault| Step::Fault { fault: *fault, projector, nth: 0 }));
        }
        if faults.contains(&Fault::PutBack) {
            let copies = 0..self.world.copies();
            steps.extend(copies.map(|nth| Step::Fault { fault: Fault::PutBack, projector: 0, nth }));
        }
        if self.appends > 0 && !self.world.log.hold {
            let own = (0..count).filter(|one| !self.elsewhere && self.world.may_write(*one)).map(Some);
            steps.extend(own.chain([None]).map(|process| Step::Append { process }));
        }
        for nth in 0..self.world.late.len() {
            steps.extend([Step::LateArrives { nth }, Step::LateIsGone { nth }]);
        }
        steps
    }

    fn take(&mut self, step: &Step) -> Result<(), String> {
        match *step {
            Step::Perform { projector } => self.perform(projector),
            Step::Append { process } => {
                self.appends -= 1;
                self.world.append(process);
            }
            Step::LateArrives { nth } => self.commit_late(nth),
            Step::LateIsGone { nth } => drop(self.world.late.remove(nth)),
            Step::Fault { fault, projector, nth } => self.fault(fault, projector, nth),
        }
        self.world.check()?;
        self.fingerprint = self.fingerprint();
        let struck = matches!(step, Step::Fault { .. } | Step::LateArrives { .. });
        if struck && self.world.flaw.is_none() { self.comes_to_rest() } else { Ok(()) }
    }

    fn settled(&self) -> Result<(), String> {
        self.world.caught_up()
    }
}

impl Walk {
    /// Which projector is which makes no difference.
    fn fingerprint(&self) -> u64 {
        let mut projectors: Vec<u64> = self.world.projectors.iter().map(fingerprint).collect();
        projectors.sort_unstable();
        let mut state = DefaultHasher::new();
        projectors.hash(&mut state);
        self.world.hash_without_projectors(&mut state);
        (self.faults, self.appends).hash(&mut state);
        state.finish()
    }
}

/// Reckoned once a step: most of the walk's time goes into it.
impl Hash for Walk {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fingerprint.hash(state);
    }
}

fn fingerprint(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
