//! Looking behind a message that is not the ledger's: it may hide that the ledger lost history.
//!
//! While another's message takes a sequence, the ledger's own that were under way behind it are accepted. Should the
//! ledger then lose them, nobody who stopped at the foreign message would ever see it. The last event of the ledger in
//! the stream tells: where the log has it, it has those before it.

use super::{Foreign, Found, Generation, Machine, Millis, Output, Phase, Position, Seen};

impl Machine {
    /// The message at `sequence` is foreign: looks at the stream's end, if it is not that.
    pub(super) fn look_behind(&mut self, now: Millis, sequence: Position, out: &mut Vec<Output>) {
        let Phase::Reading(reading) = &mut self.phase else { return };
        reading.found.clear();
        let last = reading.last;
        self.look_at(now, Foreign { sequence, looks_at: last, left: self.limits.read_back }, out);
    }

    fn look_at(&mut self, now: Millis, foreign: Foreign, out: &mut Vec<Output>) {
        if foreign.looks_at <= foreign.sequence || foreign.left == 0 {
            return self.stop(now, foreign.sequence);
        }
        let deadline = now + self.limits.answer_ms;
        let Phase::Reading(reading) = &mut self.phase else { return };
        (reading.foreign, reading.log_asked, reading.deadline) = (Some(foreign), false, deadline);
        out.push(Output::Read { generation: self.generation, position: foreign.looks_at });
    }

    /// What stands there: if it is foreign too, the one before it is looked at.
    pub(super) fn read_behind(&mut self, now: Millis, foreign: Foreign, found: Found, out: &mut Vec<Output>) {
        let position = foreign.looks_at;
        let deadline = now + self.limits.answer_ms;
        if let Found::Ours(id) = found {
            if let Phase::Reading(reading) = &mut self.phase {
                reading.found.insert(position, found);
            }
            return self.ask_log(position, id, deadline, out);
        }
        let before = Position::new(position.get() - 1);
        self.look_at(now, Foreign { looks_at: before, left: foreign.left - 1, ..foreign }, out);
    }

    /// Whether the log has the event there.
    pub(super) fn log_says_behind(
        &mut self,
        now: Millis,
        foreign: Foreign,
        (generation, position, holds): (Generation, Position, bool),
        out: &mut Vec<Output>,
    ) {
        let Phase::Reading(reading) = &self.phase else { return };
        let found = reading.found.get(&position).copied();
        let asked = reading.log_asked && position == foreign.looks_at && generation == self.generation;
        match found {
            Some(Found::Ours(id)) if asked && !holds => self.behind(now, position, id, Seen::InStream, out),
            Some(Found::Ours(_)) if asked => self.stop(now, foreign.sequence),
            _ => {}
        }
    }
}
