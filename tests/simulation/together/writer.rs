//! The writers of the two replicas, their callers, and the database that does what they ask.

use vtid_ledger::domain::event::IdSeed;
use vtid_ledger::domain::vtid::Vtid;
use vtid_ledger::oasis::published::Found;
use vtid_ledger::writer::answer::WriteError;
use vtid_ledger::writer::machine::{Failure, Input, Output, Submitted};

use super::replica::{Comparing, Loss};
use super::world::World;
use crate::simulation::commands::{Ask, Key, Patch, command};
use crate::simulation::database::{Epoch, Who};
use crate::simulation::faults::Fault;
use crate::simulation::promises::{Promise, Promises};
use crate::simulation::relay::Request;
use crate::simulation::writer_shell::Fate;

/// How long a writer waits for stream and log to be compared.
const COMPARE_PATIENCE_MS: u64 = 600;

impl World {
    pub(super) fn tell_writer(&mut self, who: Who, input: Input, seen: Epoch) -> Promise {
        let now = self.now(who);
        for output in self.replicas[who].writer.tell(now, input)? {
            match output {
                Output::Answer(ticket, answer) => {
                    match &answer {
                        Err(WriteError::OutcomeUnknown) => self.fire(Fault::DeadlinePassed),
                        Ok(accepted) if accepted.replayed => self.fire(Fault::Replayed),
                        _ => {}
                    }
                    self.callers.answered(ticket, &answer);
                    self.say(|| match &answer {
                        Ok(accepted) => format!(
                            "   {ticket}: {} v{} at {}{}",
                            accepted.task.vtid,
                            accepted.task.version,
                            accepted.task.position,
                            if accepted.replayed { ", a replay" } else { "" }
                        ),
                        Err(error) => format!("   {ticket}: {error}"),
                    });
                    self.promises.answered(ticket, &answer, &self.database, seen)?;
                }
                Output::HandOver(entries) => {
                    Promises::handed_over(&entries, &self.database, seen)?;
                    let losses = self.replicas[who].writer.writer.losses();
                    self.replicas[who].tail.push(entries, losses);
                }
                Output::ForgetTail => self.replicas[who].tail.clear(),
                _ => {}
            }
        }
        Ok(())
    }

    /// Some callers ask, all at once.
    pub(super) fn ask(&mut self, who: Who) -> Promise {
        let count = self.rng.usize(1..=3);
        let deadline_ms = self.elapsed_ms + self.rng.u64(60..1_500);
        let mut submitted = Vec::with_capacity(count);
        for _ in 0..count {
            let (ask, key) = match self.callers.ask_again(&mut self.rng) {
                Some(again) => {
                    self.fire(Fault::AskedAgain);
                    again
                }
                None => (self.some_ask(), self.some_key()),
            };
            self.callers.ask(ask, key);
            let command = command(self.promises.next_ticket(), ask, key);
            let ticket = self.promises.ask(who, &command, &self.database.log);
            self.say(|| format!("{ticket} asks writer {who}: {ask:?} {key:?}"));
            let seed = IdSeed(u128::from(ticket) << 32);
            submitted.push(Submitted { ticket, command, seed, deadline_ms });
        }
        self.tell_writer(who, Input::Submit(submitted), self.database.epoch)
    }

    fn some_ask(&mut self) -> Ask {
        match self.rng.u32(..38) {
            0..=9 => Ask::Create,
            10..=12 => Ask::CreateComplete,
            13..=14 => Ask::CreateUnder(self.some_vtid()),
            15 if !self.calm => Ask::Poison,
            16..=20 => Ask::Patch(self.some_vtid(), Patch::Complete),
            21..=23 => Ask::Patch(self.some_vtid(), Patch::Activate),
            24..=26 => Ask::Patch(self.some_vtid(), Patch::Block),
            27..=29 => Ask::PatchAt(self.some_vtid(), Patch::Note, self.rng.u64(1..6)),
            30..=31 => Ask::PatchAt(self.some_vtid(), Patch::Activate, self.rng.u64(1..4)),
            32 => Ask::Nonsense,
            _ => Ask::Patch(self.some_vtid(), Patch::Note),
        }
    }

    fn some_key(&mut self) -> Key {
        (self.rng.u32(..4) == 0).then(|| (self.rng.u8(..6), self.rng.u8(..4) > 0))
    }

    fn some_vtid(&mut self) -> Vtid {
        let year = if self.rng.bool() { 2025 } else { 2026 };
        (0..self.rng.u32(..4)).fold(Vtid::first_of(year), |vtid, _| vtid.next())
    }

    /// The writer's operation goes on, or something goes wrong with it.
    pub(super) fn writer_goes_on(&mut self, who: Who) -> Promise {
        let replica = &self.replicas[who];
        if replica.writer.coming.is_some() {
            return self.deliver(who);
        }
        let waits = replica.writer.is_locked_out(who, &self.database);
        if replica.writer.under_way.is_none() || waits {
            return Ok(());
        }
        if replica.writer.compares() && !replica.compared {
            return self.compare(who);
        }
        let fate = self.fate(who);
        self.replicas[who].compared = false;
        self.say(|| {
            format!("writer {who}: {}, {fate:?}", told(self.replicas[who].writer.under_way.as_ref()))
        });
        let before = self.database.log.len();
        self.replicas[who].writer.serve(who, &mut self.database, fate)?;
        let told = self.replicas[who].writer.coming.as_ref().map(|coming| &coming.input);
        if let Some(Input::Appended(_, Err(failure)) | Input::TurnClosed(_, Err(failure))) = told {
            match failure {
                Failure::Refused => self.fire(Fault::CommandRefused),
                Failure::TimeRefused => self.fire(Fault::TimeRefused),
                _ => {}
            }
        }
        let blind = self.replicas[who].compared_with != Some(self.database.epoch);
        if blind && self.database.log.len() > before {
            return Err(
                "a writer appends to a database that it has not had compared with the stream".to_owned()
            );
        }
        self.committed(before)?;
        if self.faulty(4) {
            self.fire(Fault::OutcomeLate);
            return Ok(());
        }
        self.deliver(who)
    }

    fn deliver(&mut self, who: Who) -> Promise {
        let replica = &mut self.replicas[who];
        let Some(coming) = replica.writer.take_coming(&self.database) else { return Ok(()) };
        replica.delivered = (!self.calm).then(|| coming.clone());
        self.tell_writer(who, coming.input, coming.epoch)
    }

    /// An outcome comes once more.
    pub(super) fn deliver_again(&mut self, who: Who) -> Promise {
        let Some(coming) = self.replicas[who].delivered.clone() else { return Ok(()) };
        self.fire(Fault::OutcomeTwice);
        self.tell_writer(who, coming.input, coming.epoch)
    }

    fn fate(&mut self, who: Who) -> Fate {
        let Some(operation) = &self.replicas[who].writer.under_way else { return Fate::Right };
        let fates = Fault::of(operation);
        if self.database_is_away() {
            self.fire(Fault::DatabaseAway);
            return fates.first().map_or(Fate::Right, |(_, fate)| *fate);
        }
        let rarity = if matches!(operation, Output::Append(..)) { 4 } else { 10 };
        if fates.is_empty() || !self.faulty(rarity) {
            return Fate::Right;
        }
        let (fault, fate) = fates[self.rng.usize(..fates.len())];
        self.fire(fault);
        fate
    }

    /// An append of a dead connection arrives.
    pub(super) fn late_append(&mut self) -> Promise {
        if self.database.lock.is_some() || self.database.late() == 0 {
            return Ok(());
        }
        let before = self.database.log.len();
        let index = self.rng.usize(..self.database.late());
        let went_in = self.database.arrive(index);
        self.fire(if went_in { Fault::LateAppendWentIn } else { Fault::LateAppendRefused });
        self.committed(before)
    }

    /// The writer has its own relay compare stream and log.
    fn compare(&mut self, who: Who) -> Promise {
        let Some(comparing) = self.replicas[who].comparing else {
            let connected = self.replicas[who].writer.connect(&self.database);
            self.replicas[who].compared_with = Some(connected);
            let lost = self.loss();
            self.tell_relay(who, vtid_ledger::oasis::relay::machine::Input::Recheck)?;
            let asked = self.replicas[who].relay.relay.machine.generation();
            let until_ms = self.elapsed_ms + COMPARE_PATIENCE_MS;
            self.say(|| format!("writer {who} has stream and log compared (attempt {})", asked.0));
            self.replicas[who].comparing = Some(Comparing { asked, until_ms, lost });
            return Ok(());
        };
        let relay = &self.replicas[who].relay.relay;
        let holding = relay.requests.iter().any(|request| matches!(request, Request::SetHold { .. }));
        let done = !holding && relay.machine.compared() >= Some(comparing.asked);
        if !done && self.elapsed_ms < comparing.until_ms {
            return Ok(());
        }
        self.replicas[who].comparing = None;
        self.replicas[who].compared = true;
        self.say(|| format!("writer {who}: compared: {done}"));
        if !done {
            self.fire(Fault::Uncompared);
            self.promises.went_on_unchecked |= self.database.epoch > 0;
        } else if comparing.lost.is_some() && comparing.lost == self.loss() {
            self.fire(Fault::LossFound);
            // What this process has in memory may hide a loss from its relay, but then its writer's head is lost too.
            let head = self.replicas[who].writer.writer.head();
            let turn_finds_it = head.is_some_and(|head| !self.database.log.holds(head.cursor));
            let found = self.database.log.hold.is_some() || turn_finds_it;
            if !found {
                return Err(format!("stream and log were compared for writer {who}, and no hold is set"));
            }
        }
        Ok(())
    }

    /// Whether what comes first in the stream that is not the log's is an event of this ledger.
    fn loss(&self) -> Option<Loss> {
        if self.database.epoch == 0 {
            return None;
        }
        let rows = self.database.log.rows();
        let differs = self.stream.messages.iter().enumerate().find(|(index, found)| {
            let id = rows.get(*index).map(|row| row.event().id);
            id.is_none_or(|id| **found != Found::Ours(id))
        });
        let (sequence, Found::Ours(id)) = differs? else { return None };
        let (database, stream) = (self.database.epoch, self.stream_epoch);
        Some(Loss { database, stream, accepted: self.database.log.losses, sequence, id: *id })
    }
}

fn told(operation: Option<&Output>) -> String {
    match operation {
        Some(Output::Append(attempt, head, entries)) => {
            format!("append {attempt}, {} events after {}", entries.len(), head.position())
        }
        Some(Output::OpenTurn { attempt, head, compare, .. }) => {
            let head = head.map_or(0, |head| head.position().get());
            format!("open turn {attempt} from {head}, compare: {compare}")
        }
        Some(Output::CloseTurn(attempt, closing)) => {
            let closing = format!("{closing:?}");
            format!("close turn {attempt}: {}", closing.split('(').next().unwrap_or_default())
        }
        Some(Output::Load(attempt, ..)) => format!("load {attempt}"),
        Some(Output::LoadInTurn(attempt, ..)) => format!("load in turn {attempt}"),
        Some(Output::LookAtHead(attempt, head)) => format!("look {attempt} at {}", head.position()),
        _ => String::new(),
    }
}
