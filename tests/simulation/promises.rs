//! What the callers of writers are promised: held to the log at every commit, every loss and every answer.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use uuid::Uuid;
use vtid_ledger::domain::command::{Action, Command, ParentRef};
use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::domain::decide::{Known, Refusal, decide};
use vtid_ledger::domain::position::{Position, Version};
use vtid_ledger::domain::task::Task;
use vtid_ledger::domain::vtid::Vtid;
use vtid_ledger::log::entry::Entry;
use vtid_ledger::log::head::Head;
use vtid_ledger::writer::answer::{Accepted, WriteError};
use vtid_ledger::writer::machine::Ticket;

use super::database::{Database, Epoch, Who};
use super::log_model::{LogModel, Row};

const END: Position = Position::new(u64::MAX >> 1);

/// Kept, or in words what was broken.
pub(super) type Promise = Result<(), String>;

/// What a caller was told, as far as it binds the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Told {
    Accepted,
    Replayed,
    /// It may have been written.
    Unknown,
    /// Nothing was written.
    NotWritten,
}

#[derive(Debug, Clone)]
struct Asked {
    who: Who,
    command: Arc<Command>,
    told: Option<Told>,
    /// Its process ended before it answered.
    crashed: bool,
    /// Its events in the log.
    events: Vec<Uuid>,
    /// Events of it were lost; the database that lost them last.
    lost: Option<Epoch>,
    /// Refusals that were true at some moment since it was asked.
    refusals: Vec<Refusal>,
}

/// Every caller, by ticket from 1 on.
#[derive(Debug, Clone, Default)]
pub(super) struct Promises {
    asked: Vec<Asked>,
    open: Vec<Ticket>,
    /// A writer went on without having compared stream and log, after a loss: by design an event that was lost so may be
    /// called not written, and be put back later all the same.
    pub(super) went_on_unchecked: bool,
}

impl Promises {
    pub(super) fn asked(&self) -> u64 {
        self.asked.len() as u64
    }

    /// The ticket of the next caller.
    pub(super) fn next_ticket(&self) -> Ticket {
        self.asked() + 1
    }

    /// Somebody asks.
    pub(super) fn ask(&mut self, who: Who, command: &Arc<Command>, log: &LogModel) -> Ticket {
        let mut asked = Asked {
            who,
            command: Arc::clone(command),
            told: None,
            crashed: false,
            events: Vec::new(),
            lost: None,
            refusals: Vec::new(),
        };
        asked.observe(log, log.head().cursor.position());
        self.asked.push(asked);
        let ticket = self.asked();
        self.open.push(ticket);
        ticket
    }

    /// How many wait for an answer, of those that will get one.
    pub(super) fn waiting(&self) -> usize {
        self.open.len()
    }

    /// The process ends without having answered these.
    pub(super) fn crashed(&mut self, who: Who) -> Vec<Ticket> {
        let asked = &mut self.asked;
        let waits = |ticket: &mut Ticket| {
            let asked = &mut asked[place(*ticket)];
            asked.crashed |= asked.who == who;
            asked.crashed
        };
        self.open.extract_if(.., waits).collect()
    }

    /// What was acknowledged stands in the log, unless it was lost.
    pub(super) fn kept(&self, log: &LogModel) -> Promise {
        for (asked, ticket) in self.asked.iter().zip(1_u64..) {
            let told = matches!(asked.told, Some(Told::Accepted));
            if told && asked.events.is_empty() && asked.lost.is_none() {
                return Err(format!("request {ticket} was acknowledged, and has no event"));
            }
            if let Some(id) = asked.events.iter().find(|id| !log.holds_event(**id)) {
                return Err(format!("event {id} of request {ticket} is gone from the log"));
            }
        }
        Ok(())
    }

    /// Rows have been added to the log.
    pub(super) fn committed(&mut self, log: &LogModel, from: usize) -> Promise {
        for (index, row) in log.rows().iter().enumerate().skip(from) {
            let before = index.checked_sub(1).map_or_else(Head::empty, |before| log.rows()[before].head());
            self.check_row(row, before)?;
            let position = row.event().position;
            for ticket in &self.open {
                self.asked[place(*ticket)].observe_if_touched(log, row.event().vtid, position);
            }
        }
        Ok(())
    }

    fn check_row(&mut self, row: &Row, mut before: Head) -> Promise {
        let event = row.event();
        let given_out = before.numbering.give_out(event.recorded_at);
        if event.version.get() == 1 && event.vtid != given_out {
            return Err(format!("{} is given out where {given_out} is the next number", event.vtid));
        }
        if let Some(transition) = &row.entry.transition
            && transition.after != row.after
        {
            return Err(format!("event {} was decided on a state that never was", event.position));
        }
        let ticket = event.origin.request_id.as_str().parse().map_err(|_| "an event of no request")?;
        let asked = &mut self.asked[place(ticket)];
        let excused = self.went_on_unchecked && asked.lost.is_some();
        if asked.told == Some(Told::NotWritten) && !excused {
            return Err(format!("request {ticket} was told that nothing was written, and goes in"));
        }
        if let Action::Patch(_, _, expected) = &asked.command.action
            && !expected.allows(Version::new(event.version.get() - 1))
        {
            return Err(format!("request {ticket} goes in on a version that it does not expect"));
        }
        if asked.events.len() as u64 + 1 != event.version.get().min(asked.events_of_command()) {
            return Err(format!("request {ticket} goes in twice"));
        }
        asked.events.push(event.id);
        Ok(())
    }

    /// The log has lost these rows.
    pub(super) fn lost(&mut self, gone: &[Row], database: &Database) {
        for row in gone {
            let ticket = row.event().origin.request_id.as_str().parse().unwrap();
            let asked = &mut self.asked[place(ticket)];
            asked.events.retain(|id| *id != row.event().id);
            asked.lost = Some(database.epoch);
        }
        for ticket in &self.open {
            let head = database.log.head().cursor.position();
            self.asked[place(*ticket)].observe(&database.log, head);
        }
    }

    /// A caller is answered, by what was seen in the database of that epoch.
    pub(super) fn answered(
        &mut self,
        ticket: Ticket,
        answer: &Result<Accepted, WriteError>,
        database: &Database,
        seen: Epoch,
    ) -> Promise {
        self.open.retain(|open| *open != ticket);
        let asked = &mut self.asked[place(ticket)];
        let told = match answer {
            Ok(Accepted { replayed: false, .. }) => Told::Accepted,
            Ok(_) => Told::Replayed,
            Err(WriteError::OutcomeUnknown) => Told::Unknown,
            Err(_) => Told::NotWritten,
        };
        if asked.told.replace(told).is_some() || asked.crashed {
            return Err(format!("request {ticket} is answered twice"));
        }
        let outdated = seen < database.epoch;
        let broken = match answer {
            Ok(accepted) if accepted.replayed => (!asked.is_replay(accepted, &database.log) && !outdated)
                .then_some("is called a replay of what is not in the log"),
            Ok(accepted) => asked.is_wrong(accepted, database, seen),
            Err(WriteError::OutcomeUnknown) => None,
            Err(_) if !asked.events.is_empty() => Some("is told that nothing was written, and is in the log"),
            Err(WriteError::Refused(refusal)) if !asked.refusals.contains(refusal) => {
                Some("is refused for what was true at no moment between question and answer")
            }
            Err(WriteError::KeyReused) => (!asked.is_key_reused(&database.log) && !outdated)
                .then_some("is told of another request under its key, and there is none"),
            Err(_) => None,
        };
        broken.map_or(Ok(()), |broken| Err(format!("request {ticket} {broken}: {answer:?}")))
    }

    /// Everything that is handed to the followers stands in the log, unless that was lost since.
    pub(super) fn handed_over(entries: &[Arc<Entry>], database: &Database, seen: Epoch) -> Promise {
        for entry in entries.iter().filter(|_| seen == database.epoch) {
            let cursor = Cursor::at(&entry.recorded.event);
            if !database.log.holds(cursor) {
                return Err(format!("event {} is handed over and not in the log", cursor.position()));
            }
        }
        Ok(())
    }
}

impl Asked {
    /// How many events one command can have.
    fn events_of_command(&self) -> u64 {
        match &self.command.action {
            Action::Create(_) => 2,
            Action::Patch(..) => 1,
            Action::Refuse(_) => 0,
        }
    }

    /// What it may be refused for at this moment: for nothing, if its key is known.
    fn observe(&mut self, log: &LogModel, position: Position) {
        if self.earlier(log, position).is_none()
            && let Err(refusal) =
                decide(&StateAt { log, position }, &self.command.origin.actor, &self.command.action)
            && !self.refusals.contains(&refusal)
        {
            self.refusals.push(refusal);
        }
    }

    fn observe_if_touched(&mut self, log: &LogModel, vtid: Vtid, position: Position) {
        let touched = match &self.command.action {
            Action::Patch(named, ..) => *named == vtid,
            Action::Refuse(_) => false,
            Action::Create(create) => create.parent == Some(ParentRef::Task(vtid)),
        };
        if touched {
            self.observe(log, position);
        }
    }

    fn is_wrong(&self, accepted: &Accepted, database: &Database, seen: Epoch) -> Option<&'static str> {
        let Some(last) = self.events.last() else {
            let lost_since = self.lost.is_some_and(|lost| lost > seen);
            return (!lost_since).then_some("is acknowledged and not in the log");
        };
        let row = database.log.at(accepted.task.position).filter(|row| row.event().id == *last);
        let right = row.is_some_and(|row| row.after == accepted.task);
        (!right && self.lost.is_none()).then_some("is answered with something else than the fold")
    }

    fn is_replay(&self, accepted: &Accepted, log: &LogModel) -> bool {
        self.earlier(log, END).is_some_and(|(same, task)| same && task == accepted.task)
    }

    fn is_key_reused(&self, log: &LogModel) -> bool {
        self.earlier(log, END).is_some_and(|(same, _)| !same)
    }

    /// The request under its key as of a position: whether it asked for the same, and the task after it.
    fn earlier(&self, log: &LogModel, at: Position) -> Option<(bool, Arc<Task>)> {
        let origin = &self.command.origin;
        let idempotency = origin.idempotency.as_ref()?;
        let key = (origin.actor.id.clone(), idempotency.key.clone());
        let earlier = log.key(&key, at)?;
        Some((earlier.hash == idempotency.hash, earlier.task))
    }
}

/// As far as it matters for what may come.
impl Hash for Promises {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.asked.len().hash(state);
        for asked in &self.asked {
            (&asked.command, asked.told, asked.crashed, asked.lost, asked.events.len()).hash(state);
            if asked.told.is_none() {
                asked.refusals.hash(state);
            }
        }
    }
}

fn place(ticket: Ticket) -> usize {
    usize::try_from(ticket - 1).unwrap()
}

/// The log as of a position.
struct StateAt<'a> {
    log: &'a LogModel,
    position: Position,
}

impl Known for StateAt<'_> {
    fn task(&self, vtid: Vtid) -> Option<&Task> {
        self.log.task(vtid, self.position).map(AsRef::as_ref)
    }

    fn exists(&self, vtid: Vtid) -> bool {
        self.task(vtid).is_some()
    }
}
