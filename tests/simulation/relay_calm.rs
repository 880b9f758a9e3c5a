//! The relays' world without faults: what is under way arrives in order, and time passes when nothing else does.

use vtid_ledger::oasis::relay::machine::{Input, Limits};

use super::relay_world::{Promise, RelayWorld};

/// Small bounds and real waits.
pub(super) const LIMITS: Limits = Limits {
    in_flight: 4,
    in_flight_bytes: 40,
    read_back: 4,
    reads: 3,
    answer_ms: 100,
    retry_first_ms: 5,
    retry_most_ms: 40,
    look_again_ms: 30,
    recheck_ms: 60,
    scrub_reads: 2,
    scrub_every_ms: 10,
    scrub_pass_ms: 400,
};
/// Relays that have come no further after so many steps never will.
const MOST_STEPS: usize = 20_000;
const BATCH: usize = 3;

impl RelayWorld {
    /// One step of one relay.
    pub(super) fn calm_step(&mut self, index: usize) -> Promise {
        let relay = &mut self.relays[index];
        if !relay.answers.is_empty() {
            let answer = relay.answers.remove(0);
            return self.tell(index, answer);
        }
        if let Some(request) = relay.requests.pop_front() {
            let answer = self.serve(index, &request);
            self.relays[index].answers.extend(answer);
            return Ok(());
        }
        if self.read_log(index, BATCH)? {
            return Ok(());
        }
        self.now = self.now.max(self.relays[index].machine.next_tick());
        self.tell(index, Input::Tick)
    }

    /// Goes on until `done`.
    pub(super) fn settle(&mut self, done: impl Fn(&Self) -> bool) -> Promise {
        for step in 0..MOST_STEPS {
            if done(self) {
                return Ok(());
            }
            self.calm_step(step % self.relays.len())?;
            self.check_stream()?;
        }
        Err(format!("no progress: stream {:?}, relays {:#?}", self.stream.messages, self.relays))
    }
}
