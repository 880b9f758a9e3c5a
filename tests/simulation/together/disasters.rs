//! What strikes from outside: crashes, failovers, outages, a store that is lost, somebody else's message.

use vtid_ledger::oasis::published::Found;

use super::replica::new_writer;
use super::world::{MAX_AHEAD_MS, World};
use crate::simulation::database::Who;
use crate::simulation::faults::Fault;
use crate::simulation::promises::Promise;

impl World {
    pub(super) fn disaster(&mut self, who: Who) -> Promise {
        match self.rng.u32(..23) {
            0..=1 => self.crash(who)?,
            2..=4 => self.fail_over(3, Fault::FailedOver),
            5 => self.fail_over(24, Fault::OlderCopy),
            6..=7 => {
                self.database_away_until = self.elapsed_ms + self.rng.u64(..800);
                self.say(|| "the database is away".to_owned());
            }
            8..=10 => {
                self.fire(Fault::NatsAway);
                self.nats_away_until = self.elapsed_ms + self.rng.u64(..1_500);
                self.everybody().try_for_each(|who| self.disconnect(who))?;
            }
            11..=12 => self.lose_stream(3, Fault::StreamTailLost)?,
            13 => self.lose_stream(1_000, Fault::StreamStoreLost)?,
            14 if self.rng.bool() => {
                self.fire(Fault::ForeignMessage);
                self.stream.publish_foreign();
            }
            20 | 21 => self.freeze(who),
            22 => self.damage_a_message(),
            15 => self.stream.forget_ids(),
            16 => {
                self.fire(Fault::ClockWrong);
                self.replicas[who].skew_ms = self.rng.i64(-MAX_AHEAD_MS..3 * MAX_AHEAD_MS);
            }
            _ => {
                self.fire(Fault::RelayDisconnected);
                self.disconnect(who)?;
            }
        }
        Ok(())
    }

    fn crash(&mut self, who: Who) -> Promise {
        self.fire(Fault::Crashed);
        let late = self.rng.bool();
        let replica = &mut self.replicas[who];
        replica.writer.crash(who, &mut self.database, late, new_writer());
        replica.relay.crash();
        replica.projector = super::replica::Projector::default();
        replica.tail.clear();
        replica.frozen_until_ms = 0;
        (replica.comparing, replica.compared, replica.delivered) = (None, false, None);
        replica.compared_with = None;
        let unanswered = self.promises.crashed(who);
        self.callers.unanswered(unanswered);
        self.forget_leases(who);
        self.start(who)
    }

    /// Another database stands behind the address, without some of the last commits.
    fn fail_over(&mut self, most: usize, fault: Fault) {
        let commits = self.database.commits();
        let lost = self.rng.usize(..=most.min(commits));
        self.fire(fault);
        let gone = self.database.fail_over(commits - lost);
        self.say(|| format!("{} events are lost, {} are left", gone.len(), self.database.log.len()));
        self.promises.lost(&gone, &self.database);
        self.replicas.iter_mut().for_each(|replica| replica.late_applies.clear());
        if self.rng.bool() {
            // The leases of a database that is older.
            self.leases = [None; 2];
        }
    }

    /// A message can't be read any more, or another stands in its place.
    fn damage_a_message(&mut self) {
        let messages = self.stream.messages.len();
        if messages > 0 {
            self.fire(Fault::MessageDamaged);
            let found = if self.rng.bool() { Found::Nothing } else { Found::Foreign };
            self.stream.messages[self.rng.usize(..messages)] = found;
        }
    }

    /// NATS comes back without the newest messages, or with none.
    fn lose_stream(&mut self, most: usize, fault: Fault) -> Promise {
        let messages = self.stream.messages.len();
        let lost = if most > messages { messages } else { self.rng.usize(..=most) };
        self.fire(fault);
        self.cut_stream(messages - lost);
        self.say(|| format!("{lost} messages are lost"));
        if self.rng.u32(..4) > 0 {
            self.everybody().try_for_each(|who| self.disconnect(who))?;
        }
        Ok(())
    }
}
