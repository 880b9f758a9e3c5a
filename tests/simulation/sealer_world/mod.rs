//! Two sealers, the database that they share, and outside of it the stream and a witness: every order of what can happen. Leases are left
//! out: either sealer may work at any time.

mod faults;
mod past;
mod steps;

use uuid::Uuid;
use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::domain::position::Position;
use vtid_ledger::sealer::machine::{Input, Machine, Output};
use vtid_ledger::sealer::status::Finding;

use super::explore::World;
use super::tally::Tally;
pub(super) use faults::{Fault, Flaw};
use past::Past;

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
    /// The newest checkpoint gets a witness's signature.
    Witness,
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
    /// What the witness has signed last; it tells its size alone.
    witnessed: Vec<u8>,
    sealers: Vec<Sealer>,
    late: Option<Late>,
    appends: u8,
    next_id: u8,
    faults: Vec<Fault>,
    flaw: Option<Flaw>,
    /// Somebody with all rights has changed something.
    touched: bool,
    rewritten: bool,
    /// There is one where it makes a difference.
    has_witness: bool,
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
            witnessed: Vec::new(),
            sealers: (0..sealers).map(|_| Sealer::new()).collect(),
            late: None,
            appends,
            next_id: 1,
            faults: faults.to_vec(),
            flaw: None,
            touched: false,
            rewritten: false,
            has_witness: faults.contains(&Fault::Wipe),
            tally: tally.clone(),
        }
    }

    pub(super) fn flawed(self, flaw: Flaw) -> Self {
        Self { flaw: Some(flaw), ..self }
    }

    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    /// Nothing goes wrong any more, and nobody writes; all go on, or are `begun` anew: all that there is is sealed, and no hold
    /// of theirs stands, or somebody says why not.
    pub(super) fn settle(mut self, begun: bool) -> Result<(), String> {
        if begun {
            self.sealers.iter_mut().for_each(|sealer| *sealer = Sealer::new());
        }
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
        let sealed = newest == self.database.log.len() && fits && !self.database.holds[1];
        let told = self.database.holds[1] && !fits;
        if sealed || told { Ok(()) } else { Err(format!("neither sealed nor told: {self:?}")) }
    }

    fn remember(&mut self) {
        if self.faults.contains(&Fault::Failover) && self.earlier.last() != Some(&self.database) {
            self.earlier.push(self.database.clone());
        }
    }
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
        if self.has_witness && self.cosignable().is_some() {
            steps.push(Step::Witness);
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
            Step::Witness => {
                if let Some(newest) = self.cosignable() {
                    self.witnessed = newest.clone();
                }
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
