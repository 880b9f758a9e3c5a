//! Publishing, many in flight, and taking acknowledgements.

use std::collections::BTreeSet;

use super::{Answer, Following, Generation, Look, Machine, Millis, Output, Phase, Position, State};

impl Machine {
    /// The stream's end is reached, all of it the ledger's: from here on the log is published.
    pub(super) fn follow_on(&mut self, now: Millis, out: &mut Vec<Output>) {
        self.state = State::Following;
        self.compared = Some(self.generation);
        self.look = Look::Further;
        self.stand_by(out);
        self.scrub_on();
        self.phase = Phase::Following(Following {
            sent: self.proven.position,
            sent_bytes: 0,
            acked: BTreeSet::new(),
            deadline: now + self.limits.answer_ms,
            recheck_at: now + self.limits.recheck_ms,
        });
        self.publish(now, out);
    }

    /// Publishes what is known and not under way yet, as far as there is room.
    pub(super) fn publish(&mut self, now: Millis, out: &mut Vec<Output>) {
        let Phase::Following(following) = &mut self.phase else { return };
        let in_flight = following.sent.get() - self.proven.position.get();
        let in_flight = usize::try_from(in_flight).unwrap_or(usize::MAX);
        if in_flight == 0 {
            following.deadline = now + self.limits.answer_ms;
        }
        let stood_still = in_flight == 0 && !self.known.is_empty();
        for known in self.known.iter().skip(in_flight).take(self.limits.in_flight.saturating_sub(in_flight)) {
            let fits = following.sent_bytes + known.bytes <= self.limits.in_flight_bytes;
            if !fits && following.sent > self.proven.position {
                break;
            }
            following.sent = known.position;
            following.sent_bytes += known.bytes;
            out.push(Output::Publish { generation: self.generation, position: known.position });
        }
        if stood_still {
            self.scrub_below(self.proven.position);
        }
    }

    pub(super) fn acked(
        &mut self,
        now: Millis,
        generation: Generation,
        position: Position,
        answer: Answer,
        out: &mut Vec<Output>,
    ) {
        let Phase::Following(following) = &mut self.phase else { return };
        let in_flight = position > self.proven.position && position <= following.sent;
        if generation != self.generation || !in_flight {
            return;
        }
        if answer != (Answer::Stored { sequence: position.get() }) {
            // Refused, or unproven: what stands there has to be read.
            return self.failed(now);
        }
        following.acked.insert(position);
        following.deadline = now + self.limits.answer_ms;
        following.recheck_at = now + self.limits.recheck_ms;
        self.failures = 0;
        self.advance();
        self.publish(now, out);
    }

    /// Passes the positions whose turn has come.
    fn advance(&mut self) {
        while let Some(known) = self.known.front().copied() {
            let Phase::Following(following) = &mut self.phase else { return };
            if !following.acked.remove(&known.position) {
                return;
            }
            following.sent_bytes -= known.bytes;
            self.prove_next(known.id);
        }
    }
}
