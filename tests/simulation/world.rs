//! Several writers on one log, and everything that can go wrong between them.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastrand::Rng;
use vtid_ledger::domain::command::Command;
use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::domain::decide::{Known, decide};
use vtid_ledger::domain::event::IdSeed;
use vtid_ledger::domain::origin::{Idempotency, IdempotencyKey, RequestHash};
use vtid_ledger::domain::position::Position;
use vtid_ledger::domain::record::LedgerId;
use vtid_ledger::domain::task::Task;
use vtid_ledger::domain::time::Timestamp;
use vtid_ledger::domain::vtid::Vtid;
use vtid_ledger::log::entry::Entry;
use vtid_ledger::writer::answer::{Accepted, WriteError};
use vtid_ledger::writer::machine::{Closing, Failure, Input, Now, Output, Submitted, Writer, WriterLimits};

use super::old_log_model::LogModel;
use crate::support::commands::{create, origin, patch, some_create};

use super::faults::Fault;

const WRITERS: usize = 2;
const FAULTY_STEPS: usize = 120;
/// Once faults have ended, everything is answered within so many steps.
const CALM_STEPS: usize = 2_000;
const POISON: &str = "poison";

pub(super) struct Asked {
    writer: usize,
    command: Arc<Command>,
    /// The length of the log when the command came in.
    log_len: usize,
    pub(super) answer: Option<Result<Accepted, WriteError>>,
    crashed: bool,
}

pub(super) struct World {
    rng: Rng,
    pub(super) log: LogModel,
    writers: Vec<Writer>,
    operations: Vec<Option<Output>>,
    /// Outcomes that may be delivered once more.
    delivered: Vec<Option<Input>>,
    in_turn: Option<usize>,
    /// Appends of dead connections that are still on their way.
    late: Vec<(Cursor, Vec<Arc<Entry>>)>,
    pub(super) asked: BTreeMap<u64, Asked>,
    elapsed_ms: u64,
    /// Until then nothing of the database answers.
    away_until_ms: u64,
    fired: BTreeMap<Fault, u64>,
    calm: bool,
    /// The log has lost its tail: what was acknowledged before may be gone.
    pub(super) lost: bool,
}

fn limits() -> WriterLimits {
    WriterLimits {
        queue_commands: 8,
        queue_bytes: 1 << 20,
        group_commands: 4,
        group_bytes: 1 << 16,
        cache_bytes: 8 << 10,
    }
}

fn ledger() -> LedgerId {
    LedgerId(uuid::Uuid::from_u128(0xAB))
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let log = LogModel { poison: Some(POISON), ..LogModel::default() };
        let mut world = Self {
            rng: Rng::with_seed(seed),
            log,
            writers: (0..WRITERS).map(|_| Writer::new(ledger(), limits())).collect(),
            operations: vec![None; WRITERS],
            delivered: vec![None; WRITERS],
            in_turn: None,
            late: Vec::new(),
            asked: BTreeMap::new(),
            elapsed_ms: 0,
            away_until_ms: 0,
            fired: BTreeMap::new(),
            calm: false,
            lost: false,
        };
        (0..WRITERS).for_each(|writer| world.feed(writer, Input::Start));
        world
    }

    fn fire(&mut self, fault: Fault) {
        *self.fired.entry(fault).or_default() += 1;
    }

    fn is_away(&mut self) -> bool {
        let away = !self.calm && self.elapsed_ms < self.away_until_ms;
        if away {
            self.fire(Fault::DatabaseAway);
        }
        away
    }

    /// Whether a fault of this one-in-`n` kind happens now.
    fn faulty(&mut self, n: u32) -> bool {
        !self.calm && self.rng.u32(..n) == 0
    }

    fn feed(&mut self, writer: usize, input: Input) {
        let wall = Timestamp::from_millis(1_767_225_599_000 + i64::try_from(self.elapsed_ms).unwrap());
        let now = Now { wall, elapsed_ms: self.elapsed_ms };
        for output in self.writers[writer].handle(now, input) {
            match output {
                Output::Answer(ticket, answer) => self.answered(ticket, answer),
                Output::HandOver(entries) => self.handed_over(&entries),
                Output::ForgetTail | Output::Alarm(_) => {}
                operation => {
                    assert!(self.operations[writer].is_none(), "two operations at once");
                    self.operations[writer] = Some(operation);
                }
            }
        }
    }

    fn handed_over(&self, entries: &[Arc<Entry>]) {
        for entry in entries.iter().filter(|_| !self.lost) {
            assert!(
                self.log.holds(Cursor::at(&entry.recorded.event)),
                "only what stands in the log is handed over"
            );
            if let Some(transition) = &entry.transition {
                let tasks = self.log.tasks(entry.position());
                assert_eq!(tasks[&entry.recorded.event.vtid], transition.after, "with the right state");
            }
        }
    }

    fn answered(&mut self, ticket: u64, answer: Result<Accepted, WriteError>) {
        if matches!(answer, Err(WriteError::OutcomeUnknown)) {
            self.fire(Fault::DeadlinePassed);
        }
        let log = &self.log;
        let asked = self.asked.get_mut(&ticket).expect("an answer to somebody who asked");
        assert!(asked.answer.is_none(), "one answer each");
        if let Err(WriteError::Refused(refusal)) = &answer
            && !self.lost
        {
            let explained = (asked.log_len..=log.events.len()).any(|len| {
                let known = StateAt(log.tasks(Position::new(len as u64)));
                decide(&known, &asked.command.action) == Err(refusal.clone())
            });
            assert!(explained, "{refusal:?} was true at some moment between question and answer");
        }
        asked.answer = Some(answer);
    }

    fn submit(&mut self, writer: usize) {
        let count = self.rng.usize(1..=3);
        let deadline_ms = self.elapsed_ms + self.rng.u64(100..3_000);
        let submitted = (0..count).map(|_| {
            let ticket = self.asked.len() as u64 + 1;
            let command = Arc::new(self.command(ticket));
            let (log_len, seed) = (self.log.events.len(), IdSeed(u128::from(ticket) << 32));
            let asked =
                Asked { writer, command: Arc::clone(&command), log_len, answer: None, crashed: false };
            self.asked.insert(ticket, asked);
            Submitted { ticket, command, seed, deadline_ms }
        });
        let submitted = submitted.collect();
        self.feed(writer, Input::Submit(submitted));
    }

    fn command(&mut self, ticket: u64) -> Command {
        let vtid = self.some_vtid();
        let mut command = match self.rng.u32(..12) {
            0..=2 => some_create(&format!("task {ticket}")),
            3 => create(&format!(
                r#"{{"taskFamily":"f","taskType":"t","description":"d","tenant":"t","status":"complete","parentVtid":"{vtid}"}}"#
            )),
            4 if !self.calm => some_create(POISON),
            5 => patch(vtid, r#"{"status":"complete"}"#),
            6 => patch(vtid, r#"{"status":"blocked","metadata":{"a":null}}"#),
            7 => patch(vtid, r#"{"status":"pending"}"#),
            _ => patch(vtid, &format!(r#"{{"metadata":{{"t{}":{ticket}}}}}"#, ticket % 3)),
        };
        command.origin = origin(&ticket.to_string());
        if self.rng.u32(..4) == 0 {
            let key = IdempotencyKey::parse(&format!("key-{}", self.rng.u32(..6))).unwrap();
            let hash = RequestHash([self.rng.u8(..2); 32]);
            command.origin.idempotency = Some(Idempotency { key, hash });
        }
        command
    }

    fn some_vtid(&mut self) -> Vtid {
        let year = if self.rng.bool() { 2025 } else { 2026 };
        (0..self.rng.u32(..5)).fold(Vtid::first_of(year), |vtid, _| vtid.next())
    }

    fn locked_by_other(&self, writer: usize) -> bool {
        self.in_turn.is_some_and(|holder| holder != writer)
    }

    /// The database works on the writer's operation, or something goes wrong with it.
    fn progress(&mut self, writer: usize) {
        let Some(operation) = self.operations[writer].take() else { return };
        let input = match operation {
            Output::Load(attempt, ref wanted, at) | Output::LoadInTurn(attempt, ref wanted, at) => {
                if self.is_away() || self.faulty(12) {
                    self.fire(Fault::LoadLost);
                    self.release(writer);
                    Input::Loaded(attempt, None)
                } else {
                    Input::Loaded(attempt, Some(self.log.load(wanted, at)))
                }
            }
            Output::LookAtHead(attempt, head) => {
                if self.is_away() || self.faulty(10) {
                    self.fire(Fault::LookLost);
                    Input::HeadSeen(attempt, None)
                } else {
                    Input::HeadSeen(attempt, Some(self.log.head().cursor == head))
                }
            }
            Output::Append(..) | Output::OpenTurn { .. } if self.locked_by_other(writer) => {
                self.operations[writer] = Some(operation);
                return;
            }
            Output::Append(attempt, head, entries) => Input::Appended(attempt, self.append(head, entries)),
            Output::OpenTurn { attempt, head, unsettled, .. } => {
                if self.is_away() || self.faulty(6) {
                    self.fire(Fault::TurnNotOpened);
                    Input::TurnOpened(attempt, None)
                } else {
                    self.in_turn = Some(writer);
                    Input::TurnOpened(attempt, Some(self.log.view(head, unsettled)))
                }
            }
            Output::CloseTurn(attempt, closing) => Input::TurnClosed(attempt, self.close(writer, closing)),
            other => panic!("not an operation: {other:?}"),
        };
        self.delivered[writer] = Some(input.clone());
        self.feed(writer, input);
    }

    fn append(&mut self, head: Cursor, entries: Vec<Arc<Entry>>) -> Result<(), Failure> {
        if self.is_away() || self.faulty(10) {
            self.fire(Fault::AppendSurelyNotWritten);
            return Err(Failure::NotWritten);
        }
        if self.faulty(8) {
            self.fire(Fault::AppendLostBefore);
            return Err(Failure::Unknown);
        }
        if self.faulty(6) {
            self.fire(Fault::AppendLongAfter);
            self.late.push((head, entries));
            return Err(Failure::Unknown);
        }
        let outcome = self.log.append(head, &entries);
        self.count_refused(outcome);
        if self.faulty(6) {
            self.fire(Fault::AppendLostAfter);
            return Err(Failure::Unknown);
        }
        outcome
    }

    fn count_refused(&mut self, outcome: Result<(), Failure>) {
        if outcome == Err(Failure::Refused) {
            self.fire(Fault::CommandRefusedByDatabase);
        }
    }

    fn release(&mut self, writer: usize) {
        if self.in_turn == Some(writer) {
            self.in_turn = None;
        }
    }

    fn close(&mut self, writer: usize, closing: Closing) -> Result<(), Failure> {
        if self.in_turn != Some(writer) {
            return Err(Failure::NotWritten);
        }
        self.release(writer);
        if self.faulty(8) {
            self.fire(Fault::TurnLostBefore);
            return Err(Failure::Unknown);
        }
        if matches!(closing, Closing::Append(..)) && self.faulty(6) {
            self.fire(Fault::TurnAppendNotWritten);
            return Err(Failure::NotWritten);
        }
        let outcome = match closing {
            Closing::Append(head, entries) => self.log.append(head, &entries),
            Closing::Hold(hold) => {
                self.log.hold.get_or_insert(hold);
                Ok(())
            }
            Closing::Confirm | Closing::End => Ok(()),
        };
        self.count_refused(outcome);
        if outcome.is_ok() && self.faulty(8) {
            self.fire(Fault::TurnLostAfter);
            return Err(Failure::Unknown);
        }
        outcome
    }

    fn late_append(&mut self) {
        if self.in_turn.is_some() || self.late.is_empty() {
            return;
        }
        let index = self.rng.usize(..self.late.len());
        let (head, entries) = self.late.swap_remove(index);
        let went_in = self.log.append(head, &entries).is_ok();
        self.fire(if went_in { Fault::LateAppendWentIn } else { Fault::LateAppendRefused });
    }

    fn crash(&mut self, writer: usize) {
        self.fire(Fault::WriterCrashed);
        if let Some(Output::Append(_, head, entries)) = self.operations[writer].take()
            && self.rng.bool()
        {
            self.late.push((head, entries));
        }
        self.release(writer);
        self.delivered[writer] = None;
        self.writers[writer] = Writer::new(ledger(), limits());
        let unanswered =
            self.asked.values_mut().filter(|asked| asked.writer == writer && asked.answer.is_none());
        unanswered.for_each(|asked| asked.crashed = true);
        self.feed(writer, Input::Start);
    }

    /// The database fails over to a standby that has not all of it. What is on its way to the old one is gone with it.
    fn lose_tail(&mut self) {
        let keep = self.log.events.len().saturating_sub(self.rng.usize(1..=3));
        if self.in_turn.is_some() || keep == self.log.events.len() {
            return;
        }
        self.fire(Fault::TailLost);
        self.log.events.truncate(keep);
        self.late.clear();
        self.lost = true;
    }

    fn step(&mut self, may_lose: bool) {
        self.elapsed_ms += self.rng.u64(..60);
        let writer = self.rng.usize(..WRITERS);
        match self.rng.u32(..100) {
            0..25 if !self.calm => self.submit(writer),
            25..30 => self.late_append(),
            30..34 => self.feed(writer, Input::Tick),
            34..36 if !self.calm => {
                if let Some(input) = self.delivered[writer].clone() {
                    self.fire(Fault::OutcomeTwice);
                    self.feed(writer, input);
                }
            }
            36 if !self.calm && self.rng.u32(..4) == 0 => self.crash(writer),
            38 if !self.calm && self.rng.u32(..3) == 0 => {
                self.away_until_ms = self.elapsed_ms + self.rng.u64(..4_000);
            }
            37 if may_lose && self.rng.u32(..4) == 0 => self.lose_tail(),
            _ => self.progress(writer),
        }
    }

    pub(super) fn run(mut self, may_lose: bool) -> BTreeMap<Fault, u64> {
        for _ in 0..FAULTY_STEPS {
            self.step(may_lose);
        }
        self.calm = true;
        let open = |world: &Self| world.asked.values().any(|asked| asked.answer.is_none() && !asked.crashed);
        let mut steps = 0;
        while open(&self) || !self.late.is_empty() {
            assert!(steps < CALM_STEPS, "no progress once faults have ended");
            self.step(false);
            steps += 1;
        }
        self.check();
        self.fired
    }
}

struct StateAt(BTreeMap<Vtid, Arc<Task>>);

impl Known for StateAt {
    fn task(&self, vtid: Vtid) -> Option<&Task> {
        self.0.get(&vtid).map(AsRef::as_ref)
    }

    fn exists(&self, vtid: Vtid) -> bool {
        self.0.contains_key(&vtid)
    }
}
