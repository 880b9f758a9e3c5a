//! The leases of the two replicas: each projects and relays only with its own.

use vtid_ledger::leases::machine::{Input, Limits, Machine, Output};
use vtid_ledger::oasis::relay::machine::Input as RelayInput;

use super::world::World;
use crate::simulation::database::Who;
use crate::simulation::faults::Fault;
use crate::simulation::lease_model::serve;
use crate::simulation::promises::Promise;

/// A lease of some steps.
const LIMITS: Limits = Limits {
    lasts_ms: 300,
    drift_ms: 0,
    renew_ms: 100,
    answer_ms: 100,
    retry_ms: 20,
    margin_ms: 2,
    busy_ms: 20,
    unable_ms: 50,
    trial_ms: 150,
    rest_ms: 400,
};
/// The leases, by their numbers.
pub(super) const PROJECTOR: usize = 0;
pub(super) const RELAY: usize = 1;
pub(super) const LEASES: [usize; 2] = [PROJECTOR, RELAY];

/// One lease as its shell runs it.
pub(super) struct Lease {
    /// Which process asks: another one, once it has crashed.
    process: u32,
    machine: Machine,
    asked: Option<Output>,
    coming: Option<Input>,
}

impl Lease {
    pub(super) fn new(process: u32) -> Self {
        Self { process, machine: Machine::new(LIMITS), asked: None, coming: None }
    }
}

impl World {
    pub(super) fn holds(&self, who: Who, lease: usize) -> bool {
        self.replicas[who].leases[lease].machine.held_until(self.elapsed_ms).is_some()
    }

    pub(super) fn is_frozen(&self, who: Who) -> bool {
        self.elapsed_ms < self.replicas[who].frozen_until_ms
    }

    /// Another process in this place.
    pub(super) fn forget_leases(&mut self, who: Who) {
        self.processes += 1;
        self.replicas[who].leases = LEASES.map(|_| Lease::new(self.processes));
    }

    pub(super) fn freeze(&mut self, who: Who) {
        if LEASES.into_iter().any(|lease| self.holds(who, lease)) {
            self.fire(Fault::HolderFrozen);
        }
        self.replicas[who].frozen_until_ms = self.elapsed_ms + self.rng.u64(50..800);
    }

    fn tell_lease(&mut self, who: Who, lease: usize, input: Input) {
        let shell = &mut self.replicas[who].leases[lease];
        for output in shell.machine.handle(self.elapsed_ms, input) {
            (shell.asked, shell.coming) = (Some(output), None);
        }
    }

    /// The relay hears of its lease before anything else.
    pub(super) fn lead_relay(&mut self, who: Who) -> Promise {
        let leads = self.holds(who, RELAY);
        if self.replicas[who].relay.relay.machine.leads() == leads {
            return Ok(());
        }
        self.tell_relay(who, RelayInput::Led(leads))
    }

    pub(super) fn leases_go_on(&mut self, who: Who) -> Promise {
        for lease in LEASES {
            if let Some(input) = self.replicas[who].leases[lease].coming.take() {
                self.tell_lease(who, lease, input);
            }
            let due = self.replicas[who].leases[lease].machine.next_tick();
            if due.is_some_and(|due| due <= self.elapsed_ms) {
                self.tell_lease(who, lease, Input::Tick);
            }
            let able = match lease {
                PROJECTOR => self.replicas[who].projector.machine.status().is_able(),
                _ => self.replicas[who].relay.relay.connected,
            };
            self.tell_lease(who, lease, Input::Able(able));
            self.serve_lease(who, lease);
        }
        self.lead_relay(who)
    }

    fn serve_lease(&mut self, who: Who, lease: usize) {
        let Some(question) = self.replicas[who].leases[lease].asked else { return };
        if self.database_is_away() {
            return;
        }
        self.replicas[who].leases[lease].asked = None;
        if self.faulty(8) {
            return self.fire(Fault::LeaseQuestionLost);
        }
        let moment = i64::try_from(self.elapsed_ms).unwrap();
        let before = self.leases[lease];
        let process = self.replicas[who].leases[lease].process;
        let served = serve(&mut self.leases[lease], process, question, moment, LIMITS.lasts_ms);
        if before.is_some() && before.map(|row| row.holder) != self.leases[lease].map(|row| row.holder) {
            self.fire(Fault::LeaseMoved);
        }
        for other in self.everybody() {
            if served.freed && !self.is_frozen(other) {
                self.tell_lease(other, lease, Input::Freed);
            }
        }
        if self.faulty(8) {
            self.fire(Fault::LeaseAnswerLost);
        } else if self.faulty(6) {
            self.fire(Fault::LeaseAnswerLate);
            self.replicas[who].leases[lease].coming = Some(served.answer);
        } else {
            self.tell_lease(who, lease, served.answer);
        }
    }
}
