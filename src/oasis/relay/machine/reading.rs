//! Reading the stream back and comparing it with the log.

use uuid::Uuid;

use super::{Found, Generation, Look, Machine, Millis, Output, Phase, Position, Reading, Seen};

/// What a message is to the log.
enum Verdict {
    /// Its event, at its place.
    Proven,
    /// The log's event there has not come yet.
    Wait,
    /// Only the log itself can tell.
    AskLog(Uuid),
    /// No event of this ledger, or none at all.
    Foreign,
    /// What was proven is no longer there.
    Lost,
}

impl Machine {
    pub(super) fn read(
        &mut self,
        now: Millis,
        generation: Generation,
        position: Position,
        found: Found,
        out: &mut Vec<Output>,
    ) {
        let deadline = now + self.limits.answer_ms;
        if generation != self.generation {
            return;
        }
        let reading = match &mut self.phase {
            Phase::Reading(reading) => reading,
            Phase::Following(_) => return self.scrubbed_one(now, position, found, out),
            Phase::Waiting { .. } | Phase::Opening { .. } => return,
        };
        if let Some(suspect) = reading.suspect {
            if position == suspect {
                (reading.suspect, reading.deadline) = (None, deadline);
                self.suspect_read(now, suspect, found, out);
            }
            return;
        }
        if let Some(foreign) = reading.foreign {
            if position == foreign.looks_at && !reading.log_asked {
                self.read_behind(now, foreign, found, out);
            }
            return;
        }
        if position < reading.cursor || position >= reading.ask {
            return;
        }
        reading.found.insert(position, found);
        reading.deadline = deadline;
        self.compare(now, out);
    }

    pub(super) fn log_says(
        &mut self,
        now: Millis,
        generation: Generation,
        position: Position,
        holds: bool,
        out: &mut Vec<Output>,
    ) {
        let Phase::Reading(reading) = &mut self.phase else { return };
        if let Some(foreign) = reading.foreign {
            return self.log_says_behind(now, foreign, (generation, position, holds), out);
        }
        let asked = reading.log_asked && reading.cursor == position;
        let Some(Found::Ours(id)) = reading.found.get(&position).copied() else { return };
        if generation != self.generation || !asked {
            return;
        }
        match self.known.front().copied() {
            _ if !holds => self.behind(now, position, id, Seen::InStream, out),
            // The log had shown another event there: its past has changed.
            Some(known) if known.id != id => self.behind(now, position, known.id, Seen::InLog, out),
            _ => {
                reading.step(now + self.limits.answer_ms);
                self.prove_next(id);
                self.compare(now, out);
            }
        }
    }

    /// Compares what has come, in order, and asks for more.
    pub(super) fn compare(&mut self, now: Millis, out: &mut Vec<Output>) {
        loop {
            let Phase::Reading(reading) = &mut self.phase else { return };
            if reading.foreign.is_some() || reading.suspect.is_some() {
                return;
            }
            if reading.cursor > reading.last {
                self.follow_on(now, out);
                return;
            }
            let Some(found) = reading.found.get(&reading.cursor).copied().filter(|_| !reading.log_asked)
            else {
                break;
            };
            let (position, deadline) = (reading.cursor, now + self.limits.answer_ms);
            match self.verdict(position, found) {
                Verdict::Proven => self.step(position, found, deadline),
                Verdict::Wait => break,
                Verdict::AskLog(id) => {
                    self.ask_log(position, id, deadline, out);
                    break;
                }
                Verdict::Foreign => return self.look_behind(now, position, out),
                Verdict::Lost => {
                    self.look = Look::Back;
                    return self.failed(now);
                }
            }
        }
        self.ask_for_more(out);
    }

    fn verdict(&self, position: Position, found: Found) -> Verdict {
        if position == self.proven.position {
            let intact = matches!(found, Found::Ours(id) if Some(id) == self.proven.id);
            return if intact { Verdict::Proven } else { Verdict::Lost };
        }
        let Found::Ours(id) = found else { return Verdict::Foreign };
        let Phase::Reading(reading) = &self.phase else { return Verdict::Wait };
        match self.known.front() {
            // Past the head that the primary told, an entry may be of this process's memory alone.
            Some(known) if known.id == id && position <= reading.head => Verdict::Proven,
            None if position <= reading.head && self.follow.is_some() => Verdict::Wait,
            _ => Verdict::AskLog(id),
        }
    }

    fn step(&mut self, position: Position, found: Found, deadline: Millis) {
        if let Phase::Reading(reading) = &mut self.phase {
            reading.step(deadline);
        }
        if let (true, Found::Ours(id)) = (position > self.proven.position, found) {
            self.prove_next(id);
        }
    }

    pub(super) fn ask_log(&mut self, position: Position, id: Uuid, deadline: Millis, out: &mut Vec<Output>) {
        if let Phase::Reading(reading) = &mut self.phase {
            reading.log_asked = true;
            reading.deadline = deadline;
        }
        out.push(Output::AskLog { generation: self.generation, position, id });
    }

    fn ask_for_more(&mut self, out: &mut Vec<Output>) {
        let Phase::Reading(reading) = &mut self.phase else { return };
        while reading.ask <= reading.last && reading.ask.get() - reading.cursor.get() < self.limits.reads {
            out.push(Output::Read { generation: self.generation, position: reading.ask });
            reading.ask = reading.ask.next();
        }
    }
}

impl Reading {
    /// The message at the cursor is settled.
    fn step(&mut self, deadline: Millis) {
        self.found.remove(&self.cursor);
        self.cursor = self.cursor.next();
        self.log_asked = false;
        self.deadline = deadline;
    }
}
