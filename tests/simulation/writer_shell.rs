//! One writer as its shell runs it: the machine, the operation under way, the outcome on its way back, the connection.

use std::sync::Arc;

use uuid::Uuid;
use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::log::entry::Entry;
use vtid_ledger::writer::machine::{Attempt, Closing, Failure, Input, Now, Output, Writer};

use super::database::{Database, Epoch, Who};

/// What becomes of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Fate {
    Right,
    /// The database says that it can't.
    NotWritten,
    /// It never reaches the database; no answer.
    LostBefore,
    /// It has its effect; no answer.
    LostAfter,
    /// No answer; it has its effect at any later moment.
    Late,
}

/// A world that is known to be wrong: it tells the writer what is not so, or does not do what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Flaw {
    /// An append without an answer is looked up, and what is not there is called not written.
    LooksUp,
    /// A refusal is answered from a head that was never confirmed.
    Unconfirmed,
    /// An exclusive lock that others ignore.
    LockIgnored,
    /// Stream and log are not compared after a reconnect.
    Uncompared,
    /// The turn asks for the first event of an append alone.
    FirstEventOnly,
}

/// An outcome, and the database that it is about.
#[derive(Debug, Clone, Hash)]
pub(super) struct Coming {
    pub(super) input: Input,
    pub(super) epoch: Epoch,
}

#[derive(Debug, Clone, Hash)]
pub(super) struct WriterShell {
    pub(super) writer: Writer,
    pub(super) under_way: Option<Output>,
    pub(super) coming: Option<Coming>,
    /// The database that its connection leads to; none if it has to make one.
    connection: Option<Epoch>,
    flaw: Option<Flaw>,
    /// The first event of the last append, for the flaws that ask for it alone.
    first_sent: Option<Uuid>,
}

impl WriterShell {
    pub(super) fn new(writer: Writer, flaw: Option<Flaw>) -> Self {
        Self { writer, under_way: None, coming: None, connection: None, flaw, first_sent: None }
    }

    /// The machine takes what happened. Its operation begins; gives what else it says.
    pub(super) fn tell(&mut self, now: Now, input: Input) -> Result<Vec<Output>, String> {
        let mut told = self.writer.handle(now, input);
        let is_operation = |output: &Output| {
            !matches!(
                output,
                Output::Answer(..) | Output::HandOver(_) | Output::ForgetTail | Output::Alarm(_)
            )
        };
        if let Some(index) = told.iter().position(is_operation) {
            let operation = told.remove(index);
            if self.under_way.is_some() || self.coming.is_some() || told.iter().any(is_operation) {
                return Err(format!("two operations at once: {operation:?}"));
            }
            self.under_way = Some(operation);
        }
        Ok(told)
    }

    /// Whether the operation has to wait for another's turn to end.
    pub(super) fn is_locked_out(&self, who: Who, database: &Database) -> bool {
        let needs_lock = match self.under_way {
            Some(Output::Append(..)) => self.flaw != Some(Flaw::LockIgnored),
            Some(Output::OpenTurn { .. }) => true,
            _ => false,
        };
        needs_lock && database.locked_for(who)
    }

    /// Whether stream and log are to be compared before the operation.
    pub(super) fn compares(&self) -> bool {
        self.flaw != Some(Flaw::Uncompared)
            && matches!(self.under_way, Some(Output::OpenTurn { compare: true, .. }))
    }

    /// Reaches the database, if it does not yet: which one it is connected to.
    pub(super) fn connect(&mut self, database: &Database) -> Epoch {
        *self.connection.get_or_insert(database.epoch)
    }

    /// The database does what is under way, or something goes wrong with it.
    pub(super) fn serve(&mut self, who: Who, database: &mut Database, fate: Fate) -> Result<(), String> {
        let Some(operation) = self.under_way.take() else { return Ok(()) };
        let epoch = self.connect(database);
        let alive = epoch == database.epoch;
        let answers = alive && fate == Fate::Right;
        let input = match operation {
            Output::Load(attempt, wanted, at) => {
                self.connection = self.connection.filter(|_| answers);
                Input::Loaded(attempt, answers.then(|| database.log.load(&wanted, at)))
            }
            Output::LoadInTurn(attempt, wanted, at) => {
                let answers = answers && database.lock == Some(who);
                if !answers {
                    self.lose(who, database);
                }
                Input::Loaded(attempt, answers.then(|| database.log.load(&wanted, at)))
            }
            Output::LookAtHead(attempt, head) => {
                self.connection = self.connection.filter(|_| answers);
                Input::HeadSeen(attempt, answers.then(|| self.is_head(head, database)))
            }
            Output::Append(attempt, head, entries) => {
                let outcome = self.append(alive.then_some(database), head, entries, fate);
                if outcome == Err(Failure::Unknown) {
                    self.connection = None;
                }
                Input::Appended(attempt, outcome)
            }
            Output::OpenTurn { attempt, head, unsettled, .. } => {
                if answers {
                    database.lock = Some(who);
                } else {
                    self.lose(who, database);
                }
                Input::TurnOpened(attempt, answers.then(|| self.view(head, unsettled, database)))
            }
            Output::CloseTurn(attempt, closing) => self.close(who, database, attempt, closing, fate)?,
            other => return Err(format!("not an operation: {other:?}")),
        };
        self.coming = Some(Coming { input, epoch });
        Ok(())
    }

    /// The connection is given up, and the turn with it.
    fn lose(&mut self, who: Who, database: &mut Database) {
        self.connection = None;
        database.release(who);
    }

    fn is_head(&self, head: Cursor, database: &Database) -> bool {
        self.flaw == Some(Flaw::Unconfirmed)
            || (database.log.head().cursor == head && database.log.hold.is_none())
    }

    fn append(
        &mut self,
        database: Option<&mut Database>,
        head: Cursor,
        entries: Vec<Arc<Entry>>,
        fate: Fate,
    ) -> Result<(), Failure> {
        if matches!(self.flaw, Some(Flaw::FirstEventOnly | Flaw::LooksUp)) {
            self.first_sent = entries.first().map(|entry| entry.recorded.event.id);
        }
        let Some(database) = database else { return Err(Failure::Unknown) };
        let losses = self.writer.losses();
        match fate {
            Fate::Right => return database.append(head, losses, &entries),
            Fate::NotWritten => return Err(Failure::NotWritten),
            Fate::LostBefore => {}
            Fate::LostAfter => drop(database.append(head, losses, &entries)),
            Fate::Late => database.send_late(head, losses, entries),
        }
        Err(Failure::Unknown)
    }

    fn view(
        &self,
        head: Option<Cursor>,
        unsettled: Option<Cursor>,
        database: &Database,
    ) -> vtid_ledger::log::view::TurnView {
        let mut view = database.log.view(head, unsettled);
        if self.flaw == Some(Flaw::FirstEventOnly) {
            view.went_in = unsettled.is_some() && view.tail.next() == self.first_sent;
        }
        view
    }

    fn close(
        &mut self,
        who: Who,
        database: &mut Database,
        attempt: Attempt,
        closing: Closing,
        fate: Fate,
    ) -> Result<Input, String> {
        let appends = matches!(closing, Closing::Append(..));
        let in_turn = self.connection == Some(database.epoch) && database.lock == Some(who);
        database.release(who);
        let outcome = match (closing, fate) {
            // Its session is dead: the append within it fails, and nothing is committed.
            _ if !in_turn => Err(if appends { Failure::NotWritten } else { Failure::Unknown }),
            (_, Fate::LostBefore) => Err(Failure::Unknown),
            (_, Fate::NotWritten) => Err(Failure::NotWritten),
            (Closing::Append(head, entries), _) => match database.append(head, database.log.losses, &entries)
            {
                Err(Failure::NotTheHead) => return Err("an append within the turn was beaten".to_owned()),
                outcome => outcome,
            },
            (Closing::Hold(hold), _) => {
                database.set_hold(hold);
                Ok(())
            }
            (Closing::Confirm | Closing::End, _) => Ok(()),
        };
        let outcome =
            if fate == Fate::LostAfter && outcome.is_ok() { Err(Failure::Unknown) } else { outcome };
        if !in_turn || outcome == Err(Failure::Unknown) {
            self.connection = None;
        }
        Ok(Input::TurnClosed(attempt, outcome))
    }

    /// The outcome arrives.
    pub(super) fn take_coming(&mut self, database: &Database) -> Option<Coming> {
        let mut coming = self.coming.take()?;
        if let Input::Appended(_, outcome @ Err(Failure::Unknown)) = &mut coming.input
            && self.flaw == Some(Flaw::LooksUp)
            && let Some(first) = self.first_sent
        {
            let there = database.log.rows().iter().any(|row| row.event().id == first);
            *outcome = if there { Ok(()) } else { Err(Failure::NotWritten) };
        }
        Some(coming)
    }

    /// The process ends. What it was doing is not done, unless it comes late.
    pub(super) fn crash(&mut self, who: Who, database: &mut Database, late: bool, writer: Writer) {
        if let (Some(Output::Append(_, head, entries)), true, true) =
            (self.under_way.take(), late, self.connection.is_none_or(|epoch| epoch == database.epoch))
        {
            database.send_late(head, self.writer.losses(), entries);
        }
        self.lose(who, database);
        *self = Self::new(writer, self.flaw);
    }
}
