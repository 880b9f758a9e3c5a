//! Two sealers, the database that they share, and the stream outside of it: every order of what can happen. Leases are left
//! out: either sealer may work at any time.

use uuid::Uuid;
use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::domain::position::Position;
use vtid_ledger::sealer::machine::{Input, Machine, Output};
use vtid_ledger::sealer::status::Finding;

use super::explore::World;
use super::tally::Tally;

/// What can go wrong; each once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Fault {
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
    /// An operator puts back what a failover lost.
    Recover,
    /// An operator gives it up.
    AcceptLoss,
    /// Another process seals, as far as it looks.
    NotLeading,
}

impl Fault {
    pub(super) const ALL: [Self; 13] = [
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
        Self::Recover,
        Self::AcceptLoss,
        Self::NotLeading,
    ];
}

/// A shell that is known to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Flaw {
    /// What was found on one connection counts on every other.
    AnySession,
    /// Nobody looks at the stream.
    NoOutside,
    /// Tiles are kept whether the log holds their events or not.
    KeepsAnything,
    /// A checkpoint may be smaller than one that was given out.
    NoFloor,
    /// What is on record is not held against the records: not the newest checkpoint, and no tiles.
    NoOwn,
    /// A checkpoint is put in whatever is the newest.
    NoCompare,
}

/// An event: its id, and its bytes, which are the same unless somebody changed them.
type Event = (u8, u8);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Checkpoint {
    previous: usize,
    last: u8,
    /// The tree, leaf by leaf.
    leaves: Vec<u8>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Database {
    log: Vec<Event>,
    /// One leaf wide.
    tiles: Vec<u8>,
    checkpoints: Vec<Checkpoint>,
    /// Because history was lost, and because the past does not fit.
    holds: [bool; 2],
}

#[derive(Clone, Debug, Hash)]
struct Sealer {
    machine: Machine,
    asked: Output,
    tree: Vec<u8>,
    /// What was outside when the past was looked at.
    outside: Vec<u8>,
    /// The connection on which the past was looked at is there.
    session: bool,
}

#[derive(Clone, Debug, Hash)]
struct Late {
    previous: usize,
    checkpoint: Checkpoint,
}

/// What happens next.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Append,
    Publish,
    /// What a sealer asked for, with a choice of what comes of it.
    Perform {
        sealer: usize,
        few: bool,
        due: bool,
    },
    LateSeal,
    Fault {
        fault: Fault,
        sealer: usize,
        nth: usize,
    },
}

#[derive(Clone, Debug, Hash)]
pub(super) struct Walk {
    database: Database,
    /// What a failover can go back to.
    earlier: Vec<Database>,
    /// What the last one lost.
    lost: Vec<Event>,
    stream: Vec<Vec<u8>>,
    sealers: Vec<Sealer>,
    late: Option<Late>,
    appends: u8,
    next_id: u8,
    faults: Vec<Fault>,
    flaw: Option<Flaw>,
    /// Somebody with all rights has changed something.
    touched: bool,
    rewritten: bool,
    tally: Tally<Fault>,
}

fn cursor(log: &[Event], length: usize) -> Cursor {
    match length.checked_sub(1).and_then(|index| log.get(index)) {
        Some((id, _)) => at(length, *id),
        None => Cursor::Start,
    }
}

fn at(length: usize, id: u8) -> Cursor {
    Cursor::At { position: Position::new(length as u64), id: Uuid::from_u128(u128::from(id)) }
}

fn length(cursor: Cursor) -> usize {
    usize::try_from(cursor.position().get()).unwrap()
}

fn holds(log: &[Event], at: Cursor) -> bool {
    length(at) <= log.len() && cursor(log, length(at)) == at
}

fn bytes(log: &[Event]) -> Vec<u8> {
    log.iter().map(|(_, bytes)| *bytes).collect()
}

fn agree(one: &[u8], other: &[u8]) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

fn failed() -> Input {
    Input::Failed { reason: String::new() }
}

fn misfit() -> Input {
    Input::Misfit(Finding { first: Position::ZERO, last: Position::ZERO, what: String::new() })
}

impl Sealer {
    fn new() -> Self {
        let mut sealer = Self {
            machine: Machine::default(),
            asked: Output::Forget,
            tree: Vec::new(),
            outside: Vec::new(),
            session: false,
        };
        sealer.tell(Input::Recheck);
        sealer
    }

    fn tell(&mut self, input: Input) {
        let failed = matches!(input, Input::Failed { .. });
        let mut asked = None;
        for output in self.machine.handle(input) {
            if output == Output::Forget {
                self.tree.clear();
            } else {
                assert!(asked.replace(output).is_none(), "one question at a time");
            }
        }
        self.session &= !failed;
        self.asked = asked.expect("there is always a question");
    }
}

impl Walk {
    pub(super) fn new(sealers: usize, appends: u8, faults: &[Fault], tally: &Tally<Fault>) -> Self {
        Self {
            database: Database::default(),
            earlier: if faults.contains(&Fault::Failover) { vec![Database::default()] } else { Vec::new() },
            lost: Vec::new(),
            stream: Vec::new(),
            sealers: (0..sealers).map(|_| Sealer::new()).collect(),
            late: None,
            appends,
            next_id: 1,
            faults: faults.to_vec(),
            flaw: None,
            touched: false,
            rewritten: false,
            tally: tally.clone(),
        }
    }

    pub(super) fn flawed(self, flaw: Flaw) -> Self {
        Self { flaw: Some(flaw), ..self }
    }

    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    /// Nothing goes wrong any more, nobody writes, and all are begun anew: all that there is is sealed, or somebody says why
    /// not.
    pub(super) fn settle(mut self) -> Result<(), String> {
        self.sealers.iter_mut().for_each(|sealer| *sealer = Sealer::new());
        for _ in 0..12 {
            for sealer in 0..self.sealers.len() {
                for _ in 0..8 {
                    self.take(&Step::Perform { sealer, few: false, due: true })?;
                }
            }
            if !self.publishable().is_empty() {
                self.take(&Step::Publish)?;
            }
        }
        let newest = self.newest();
        let fits = self.past() == Past::Fits;
        let sealed = newest == bytes(&self.database.log).len() && fits;
        let told = self.database.holds[1] && !fits;
        if sealed || told { Ok(()) } else { Err(format!("neither sealed nor told: {self:?}")) }
    }

    fn newest(&self) -> usize {
        self.database.checkpoints.last().map_or(0, |newest| newest.leaves.len())
    }

    /// The newest checkpoint is of that size, and of the tree as far as that has no more.
    fn stands(&self, sealer: usize, size: Position) -> bool {
        let tree = &self.sealers[sealer].tree;
        let newest = self.database.checkpoints.last().map_or(&[][..], |newest| &newest.leaves);
        newest.len() as u64 == size.get() && (tree.len() > newest.len() || tree == newest)
    }

    /// The checkpoints that are on record and not in the stream.
    fn publishable(&self) -> Vec<Vec<u8>> {
        let last = self.stream.last().map_or(0, Vec::len);
        let all = self.database.checkpoints.iter().map(|one| one.leaves.clone());
        all.filter(|leaves| leaves.len() > last).collect()
    }

    fn past(&self) -> Past {
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
        if outside.is_some_and(|outside| !log.starts_with(outside)) { Past::Misfit } else { Past::Fits }
    }

    fn check(&mut self, sealer: usize) -> Result<Input, String> {
        if self.past() == Past::Misfit {
            let consistent = self.stream.iter().all(|one| bytes(&self.database.log).starts_with(one));
            if !self.touched && consistent {
                return Err("a past that fits is said not to".to_owned());
            }
            return Ok(misfit());
        }
        let size = self.newest().min(self.database.log.len());
        let floor = self.stream.last().map_or(0, Vec::len).max(size);
        let floor = if self.is(Flaw::NoFloor) { 0 } else { floor };
        self.sealers[sealer].tree = bytes(&self.database.log[..size]);
        self.sealers[sealer].outside = self.stream.last().cloned().unwrap_or_default();
        self.sealers[sealer].session = true;
        let last = cursor(&self.database.log, size);
        Ok(Input::Fits { sealed: last, floor: Position::new(floor as u64) })
    }

    fn read(&mut self, sealer: usize, log: &[Event], after: Cursor, few: bool, due: bool) -> Input {
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

    fn keep(&mut self, sealer: usize, to: Cursor) -> Input {
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
    fn sealing(&self, sealer: usize, previous: Position, to: Cursor) -> Option<Late> {
        let Sealer { tree, session, .. } = &self.sealers[sealer];
        let last = u8::try_from(to.id().unwrap().as_u128()).unwrap();
        let previous = usize::try_from(previous.get()).unwrap();
        let checkpoint = Checkpoint { previous, last, leaves: tree.clone() };
        (*session || self.is(Flaw::AnySession)).then_some(Late { previous, checkpoint })
    }

    fn seal(&mut self, Late { previous, checkpoint }: Late) -> Result<Input, String> {
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
        self.database.checkpoints.push(checkpoint);
        self.remember();
        Ok(Input::Sealed)
    }

    fn remember(&mut self) {
        if self.faults.contains(&Fault::Failover) && self.earlier.last() != Some(&self.database) {
            self.earlier.push(self.database.clone());
        }
    }

    fn perform(&mut self, sealer: usize, few: bool, due: bool) -> Result<(), String> {
        let log = self.database.log.clone();
        let session = self.sealers[sealer].session || self.is(Flaw::AnySession);
        let answer = match self.sealers[sealer].asked.clone() {
            Output::Check => self.check(sealer)?,
            Output::Settle => {
                self.database.holds[1] = false;
                Input::Settled
            }
            Output::Read { after, .. } => self.read(sealer, &log, after, few, due),
            Output::Keep { to } => self.keep(sealer, to),
            Output::Seal { previous, to } => match self.sealing(sealer, previous, to) {
                Some(seal) => self.seal(seal)?,
                None => failed(),
            },
            Output::Look { .. } if !session => failed(),
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

    /// Whether this fault can come to pass now.
    fn can(&self, fault: Fault, sealer: usize) -> usize {
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
            Fault::Rewrite => once(sealer == 0 && has_any && self.publishable().is_empty()),
            Fault::Recover => once(
                sealer == 0
                    && self.lost.len() > self.database.log.len()
                    && self.lost.starts_with(&self.database.log),
            ),
            Fault::AcceptLoss => once(sealer == 0 && self.database.holds[0]),
            Fault::NotLeading => once(*asked == Output::Check),
        }
    }

    fn fault(&mut self, fault: Fault, sealer: usize, nth: usize) -> Result<(), String> {
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
                self.database.log[nth].1 += 100;
            }
            Fault::Truncate => {
                self.touched = true;
                self.database.log.pop();
            }
            Fault::Rewrite => self.rewrite(),
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
            first.1 += 100;
        }
        let all = bytes(log);
        tiles.clone_from(&all);
        tiles.truncate(all.len());
        for checkpoint in checkpoints {
            let size = checkpoint.leaves.len().min(all.len());
            checkpoint.leaves = all[..size].to_vec();
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Past {
    Fits,
    Misfit,
}

impl World for Walk {
    type Step = Step;

    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.appends > 0 && self.database.holds == [false; 2] {
            steps.push(Step::Append);
        }
        if !self.publishable().is_empty() {
            steps.push(Step::Publish);
        }
        if self.late.is_some() {
            steps.push(Step::LateSeal);
        }
        for sealer in 0..self.sealers.len() {
            let choices: &[(bool, bool)] = match self.sealers[sealer].asked {
                Output::Read { .. } => &[(false, false), (false, true), (true, true)],
                _ => &[(false, false)],
            };
            steps.extend(choices.iter().map(|(few, due)| Step::Perform { sealer, few: *few, due: *due }));
            for fault in &self.faults {
                let ways = 0..self.can(*fault, sealer);
                steps.extend(ways.map(|nth| Step::Fault { fault: *fault, sealer, nth }));
            }
        }
        steps
    }

    fn take(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Append => {
                self.appends -= 1;
                self.database.log.push((self.next_id, self.next_id));
                self.next_id += 1;
                self.remember();
                Ok(())
            }
            Step::Publish => {
                self.stream.extend(self.publishable().into_iter().next());
                Ok(())
            }
            Step::Perform { sealer, few, due } => self.perform(*sealer, *few, *due),
            Step::LateSeal => match self.late.take() {
                Some(seal) => self.seal(seal).map(drop),
                None => Ok(()),
            },
            Step::Fault { fault, sealer, nth } => {
                self.faults.retain(|one| one != fault);
                self.fault(*fault, *sealer, *nth)
            }
        }
    }

    fn settled(&self) -> Result<(), String> {
        Err("a sealer always has something to do".to_owned())
    }
}
