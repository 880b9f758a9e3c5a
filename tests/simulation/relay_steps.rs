//! Everything that can happen next in the relays' world, with so many faults of each kind: for the exhaustive walk.

use std::hash::{DefaultHasher, Hash, Hasher};

use vtid_ledger::oasis::relay::machine::{Answer, Input, Limits, State};

use super::explore::World;
use super::plain_log::at;
use super::relay::Request;
use super::relay_faults::Fault;
use super::relay_world::{Promise, RelayWorld};
use super::stream_model::Lookup;
use super::tally::Tally;

/// Waits end whenever the walk says so: no time stands in any state.
pub(super) const AT_ONCE: Limits = Limits {
    in_flight: 16,
    in_flight_bytes: 1 << 20,
    read_back: 16,
    reads: 16,
    answer_ms: 0,
    retry_first_ms: 0,
    retry_most_ms: 0,
    look_again_ms: 0,
    recheck_ms: 0,
    scrub_reads: 0,
    scrub_every_ms: 0,
    scrub_pass_ms: 0,
};

/// What happens next, mostly to one of the relays.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Its oldest request is served, and answered.
    Serve {
        relay: usize,
    },
    /// An answer that was late.
    Answer {
        relay: usize,
        nth: usize,
    },
    ReadLog {
        relay: usize,
    },
    Tick {
        relay: usize,
    },
    Connect {
        relay: usize,
    },
    LeaseBack {
        relay: usize,
    },
    LateArrives {
        relay: usize,
    },
    LateIsGone {
        relay: usize,
    },
    NatsBack,
    Append,
    /// `nth`: which request, or how much of stream or log is kept.
    Fault {
        fault: Fault,
        relay: usize,
        nth: usize,
    },
}

/// How often each fault may still strike.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Budget([u8; Fault::CAUSES.len()]);

impl Budget {
    fn left(&self) -> impl Iterator<Item = Fault> {
        Fault::CAUSES.into_iter().filter(|fault| self.0[*fault as usize] > 0)
    }
}

/// The world, and what may still go wrong in it.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    pub(super) world: RelayWorld,
    pub(super) faults: Budget,
    /// Events that are still to be written.
    pub(super) appends: u8,
    /// Answers come in any order, without that being a fault.
    pub(super) any_order: bool,
    /// The stream may lose its end and no connection shows it, as in a cluster.
    pub(super) silent: bool,
    /// Whatever the log has is read at once.
    pub(super) eager: bool,
    /// A relay that begins more attempts retries without end.
    pub(super) max_attempts: u64,
    pub(super) tally: Tally<Fault>,
    /// Of the state; zero at the start.
    pub(super) fingerprint: u64,
}

impl Walk {
    pub(super) fn new(relays: usize, events: u64, lookup: Lookup) -> Self {
        Self {
            world: RelayWorld::new(AT_ONCE, relays, events, lookup),
            faults: Budget::default(),
            appends: 0,
            any_order: false,
            silent: false,
            eager: false,
            max_attempts: 12,
            tally: Tally::default(),
            fingerprint: 0,
        }
    }

    pub(super) fn with(mut self, faults: &[Fault]) -> Self {
        for fault in faults {
            self.faults.0[*fault as usize] += 1;
        }
        self
    }

    /// With other bounds on the relays.
    pub(super) fn limited(mut self, limits: Limits) -> Self {
        self.world.limit(limits);
        self
    }

    fn steps_of(&self, relay: usize, steps: &mut Vec<Step>) {
        let one = &self.world.relays[relay];
        let feeds = self.world.next_of_log(relay, usize::MAX).is_some();
        if feeds {
            steps.push(Step::ReadLog { relay });
            if self.eager {
                return;
            }
        }
        if !one.requests.is_empty() {
            steps.push(Step::Serve { relay });
        }
        steps.extend((0..one.answers.len()).map(|nth| Step::Answer { relay, nth }));
        if !one.dead.is_empty() {
            steps.push(Step::LateArrives { relay });
            steps.push(Step::LateIsGone { relay });
        }
        if !one.machine.leads() {
            steps.push(Step::LeaseBack { relay });
        }
        if !one.connected {
            if !self.world.nats_away {
                steps.push(Step::Connect { relay });
            }
            return;
        }
        let settled = one.rests() && !one.stale;
        if !feeds && !settled && !one.awaits() {
            steps.push(Step::Tick { relay });
        }
        for fault in self.faults.left() {
            let count = match fault {
                Fault::RequestLost | Fault::AnswerLost | Fault::AnswerLate | Fault::AnswerTwice => {
                    usize::from(!one.requests.is_empty())
                }
                Fault::Overtaken => one.requests.len().saturating_sub(1),
                Fault::OpenSlow => usize::from(
                    matches!(one.requests.front(), Some(Request::Open { .. })) && !self.world.nats_away,
                ),
                Fault::TimedOut => usize::from(!one.rests() && (feeds || one.awaits())),
                Fault::Crashed | Fault::Disconnected => 1,
                Fault::LeaseLost => usize::from(one.machine.leads()),
                _ => 0,
            };
            steps.extend((0..count).map(|nth| Step::Fault { fault, relay, nth }));
        }
    }

    fn steps_of_servers(&self, steps: &mut Vec<Step>) {
        if self.world.nats_away {
            steps.push(Step::NatsBack);
        }
        if self.appends > 0 && !self.world.log.hold {
            steps.push(Step::Append);
        }
        let stream = self.world.stream.messages.len();
        let log = usize::try_from(self.world.log.head()).unwrap();
        for fault in self.faults.left() {
            let kept = match fault {
                Fault::NatsAway | Fault::Foreign if !self.world.nats_away => 0..1,
                Fault::TailLost => 1..stream,
                Fault::StoreLost if stream > 0 => 0..1,
                Fault::LogTailLost => 0..log,
                _ => 0..0,
            };
            steps.extend(kept.map(|nth| Step::Fault { fault, relay: 0, nth }));
        }
    }

    fn go(&mut self, step: &Step) -> Promise {
        match *step {
            Step::Serve { relay } => match self.serve(relay, 0) {
                Some(answer) if self.any_order => self.world.relays[relay].answers.push(answer),
                Some(answer) => return self.world.tell(relay, answer),
                None => {}
            },
            Step::Answer { relay, nth } => {
                let answer = self.world.relays[relay].answers.remove(nth);
                return self.world.tell(relay, answer);
            }
            Step::ReadLog { relay } => return self.world.read_log(relay, usize::MAX).map(drop),
            Step::Tick { relay } => return self.world.tell(relay, Input::Tick),
            Step::LeaseBack { relay } => return self.world.tell(relay, Input::Led(true)),
            Step::Connect { relay } => return self.world.connect(relay),
            Step::LateArrives { relay } => match self.world.arrive_late(relay) {
                Some(Answer::Stored { .. }) => self.tally.count(Fault::LateStored),
                _ => self.tally.count(Fault::LateRefused),
            },
            Step::LateIsGone { relay } => self.world.relays[relay].dead.clear(),
            Step::NatsBack => self.world.nats_away = false,
            Step::Append => {
                self.appends -= 1;
                self.world.log.append();
            }
            Step::Fault { fault, relay, nth } => {
                self.tally.count(fault);
                self.faults.0[fault as usize] -= 1;
                return self.fault(fault, relay, nth);
            }
        }
        Ok(())
    }
}

impl World for Walk {
    type Step = Step;

    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        (0..self.world.relays.len()).for_each(|relay| self.steps_of(relay, &mut steps));
        self.steps_of_servers(&mut steps);
        steps
    }

    fn take(&mut self, step: &Step) -> Promise {
        self.go(step)?;
        if self.faults.left().all(|fault| !matches!(fault, Fault::TailLost | Fault::StoreLost)) {
            self.world.forget_spent();
        }
        self.world.check_stream()?;
        let attempts = self.world.relays.iter().map(|relay| relay.machine.generation().0).max();
        self.fingerprint = self.fingerprint();
        let endless = attempts.is_some_and(|attempts| attempts > self.max_attempts);
        if endless {
            Err(format!("more than {} attempts: it retries without end", self.max_attempts))
        } else {
            Ok(())
        }
    }

    /// Every relay has caught up, or tells what is wrong; and writes are stopped if, and only if, history was lost.
    fn settled(&self) -> Promise {
        let verdict = self.world.verdict();
        if let Some(relay) = self.world.relays.iter().find(|relay| relay.machine.state() != verdict) {
            return Err(format!("a relay is {:?} in the end, not {verdict:?}", relay.machine.state()));
        }
        if matches!(verdict, State::LedgerBehind { .. }) && !self.world.log.hold {
            return Err("the ledger lost history, and no hold stands".to_owned());
        }
        let head = at(self.world.log.head());
        if verdict == State::Following && !self.world.caught_up() {
            let proven: Vec<_> = self.world.relays.iter().map(|relay| relay.machine.proven()).collect();
            let last = self.world.stream.last();
            return Err(format!("nothing is left to do: log {head}, stream {last}, relays {proven:?}"));
        }
        Ok(())
    }
}

impl Walk {
    /// Which relay is which makes no difference.
    fn fingerprint(&self) -> u64 {
        let mut relays: Vec<u64> = self.world.relays.iter().map(fingerprint).collect();
        relays.sort_unstable();
        let mut state = DefaultHasher::new();
        relays.hash(&mut state);
        self.world.hash_without_relays(&mut state);
        (&self.faults, self.appends).hash(&mut state);
        state.finish()
    }
}

/// Reckoned once a step: most of the walk's time goes into it.
impl Hash for Walk {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fingerprint.hash(state);
    }
}

fn fingerprint(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
