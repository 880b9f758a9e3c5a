//! One seed's run: first everything goes wrong that can, then nothing any more, and all must come to rest.

use vtid_ledger::oasis::published::Found;
use vtid_ledger::oasis::relay::machine::State;
use vtid_ledger::writer::machine::Input;

use super::counts::Counts;
use super::world::World;
use crate::simulation::promises::Promise;

/// Steps at most before anything goes wrong.
const WARM_STEPS: u32 = 12;
/// Steps in which things go wrong.
const FAULTY_STEPS: u32 = 120;
/// Once they no longer do, all is at rest within so many.
const CALM_STEPS: u32 = 1_500;

impl World {
    /// Runs to the end; gives how often each fault came to pass.
    pub(super) fn run(mut self) -> Result<(Counts, impl PartialEq + std::fmt::Debug), String> {
        // A ledger that is at work already, mostly.
        for _ in 0..self.rng.u32(..=WARM_STEPS) {
            let who = self.replica();
            self.ask(who)?;
            self.calm_step(1)?;
        }
        self.calm = false;
        for _ in 0..FAULTY_STEPS {
            self.faulty_step()?;
        }
        self.calm = true;
        self.database_away_until = 0;
        self.nats_away_until = 0;
        self.replicas.iter_mut().for_each(|replica| replica.frozen_until_ms = 0);
        self.say(|| "nothing goes wrong any more".to_owned());
        let mut steps = 0;
        while !self.over && !self.is_at_rest() {
            steps += 1;
            if steps > CALM_STEPS {
                return Err(format!("does not come to rest: {}", self.what_is_open()));
            }
            self.calm_step(steps)?;
        }
        if !self.over {
            self.check_rows()?;
            self.promises.kept(&self.database.log)?;
        }
        let digest = self.digest();
        Ok((self.counts, digest))
    }

    fn faulty_step(&mut self) -> Promise {
        self.begin_step(25);
        let who = self.replica();
        if self.over {
            return Ok(());
        }
        if self.is_frozen(who) {
            return Ok(());
        }
        self.connect(who)?;
        self.leases_go_on(who)?;
        if self.rng.u32(..4) == 0 {
            self.audit()?;
        }
        match self.rng.u32(..64) {
            0..=5 => self.ask(who),
            6..=32 => {
                self.writer_goes_on(who)?;
                self.writer_goes_on(who)
            }
            33..=42 => self.projector_goes_on(who),
            43..=53 => self.relay_goes_on(who),
            54..=56 => self.late_append(),
            57 => self.late_apply(who),
            58 => self.late_publish(who),
            59 => self.deliver_again(who),
            60 => self.tell_writer(who, Input::Tick, self.database.epoch),
            61 if self.needs_operator() || self.task.is_some() => self.operate(),
            62..=63 => self.disaster(who),
            _ => Ok(()),
        }
    }

    fn calm_step(&mut self, steps: u32) -> Promise {
        self.begin_step(40);
        for who in self.everybody() {
            self.connect(who)?;
            self.leases_go_on(who)?;
            self.writer_goes_on(who)?;
            self.projector_goes_on(who)?;
            self.relay_goes_on(who)?;
            self.late_apply(who)?;
            self.late_publish(who)?;
            self.tell_writer(who, Input::Tick, self.database.epoch)?;
        }
        self.late_append()?;
        self.audit()?;
        if steps.is_multiple_of(8) && (self.needs_operator() || self.task.is_some()) {
            self.operate()?;
        }
        Ok(())
    }

    /// Everybody is answered, stream and rows are the log's, nothing is on its way.
    fn is_at_rest(&self) -> bool {
        let log = &self.database.log;
        let head = log.head().cursor;
        let caught_up = self.replicas.iter().all(|replica| {
            let relay = &replica.relay.relay;
            relay.machine.proven() == head.position()
                && relay.machine.state() == State::Following
                && relay.dead.is_empty()
                && replica.late_applies.is_empty()
                && replica.writer.coming.is_none()
                && replica.writer.under_way.is_none()
                && replica.projector.machine.status().position == head.position()
        });
        caught_up
            && self.promises.waiting() == 0
            && self.database.late() == 0
            && self.task.is_none()
            && log.hold.is_none()
            && self.database.cursor == head
            && self.auditor.cursor() == head
            && self.stream_is_the_log()
    }

    fn stream_is_the_log(&self) -> bool {
        let rows = self.database.log.rows();
        self.stream.messages.len() == rows.len()
            && rows
                .iter()
                .zip(&self.stream.messages)
                .all(|(row, found)| *found == Found::Ours(row.event().id))
    }

    fn what_is_open(&self) -> String {
        let log = &self.database.log;
        let replicas = self.replicas.iter().map(|replica| {
            let relay = &replica.relay.relay;
            format!(
                "relay {:?} at {}, projector {:?}, writer {:?}",
                relay.machine.state(),
                relay.machine.proven(),
                replica.projector.machine.status(),
                replica.writer.under_way
            )
        });
        format!(
            "{} wait; hold {:?}; log {}, stream {} (the same: {}), cursor {}; {}",
            self.promises.waiting(),
            log.hold,
            log.len(),
            self.stream.last(),
            self.stream_is_the_log(),
            self.database.cursor.position(),
            replicas.collect::<Vec<_>>().join("; ")
        )
    }
}
