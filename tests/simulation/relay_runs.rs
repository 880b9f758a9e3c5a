//! Thousands of seeded runs of relays: longer logs, real waits, faults at any time. Whatever is lost, doubled, late or
//! reordered, the stream stays a prefix of the log, and once the faults end the relays catch up.

use std::collections::BTreeSet;

use vtid_ledger::oasis::published::Found;
use vtid_ledger::oasis::relay::machine::{Answer, Input, State};

use super::plain_log::at;
use super::relay::Request;
use super::relay_calm::LIMITS;
use super::relay_faults::Fault;
use super::relay_world::{Promise, RelayWorld};
use super::stream_model::Lookup;
use super::tally::Tally;

const SEEDS: u64 = 4_000;
const STEPS: usize = 250;
const BATCH: usize = 3;

struct Run {
    world: RelayWorld,
    random: fastrand::Rng,
    tally: Tally<Fault>,
}

impl Run {
    fn new(seed: u64, tally: &Tally<Fault>) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let lookup = if random.bool() { Lookup::IdFirst } else { Lookup::SequenceFirst };
        let world = RelayWorld::new(LIMITS, random.usize(1..=2), random.u64(0..6), lookup);
        Self { world, random, tally: tally.clone() }
    }

    fn step(&mut self) -> Promise {
        let relay = self.random.usize(..self.world.relays.len());
        match self.random.u32(..100) {
            0..60 => self.deliver_one(relay)?,
            60..72 => drop(self.world.read_log(relay, BATCH)?),
            72..80 if self.world.log.head() < 24 => self.world.log.append(),
            80..90 => {
                self.world.now += self.random.u64(1..60);
                self.world.tell(relay, Input::Tick)?;
            }
            90..92 => self.world.stream.forget_ids(),
            92..94 => self.arrive_late(relay),
            94.. => self.fault(relay)?,
            _ => {}
        }
        self.world.check_stream()
    }

    /// Any request or answer, not only the first: some arrive late, twice or never.
    fn deliver_one(&mut self, index: usize) -> Promise {
        let relay = &self.world.relays[index];
        let (requests, answers) = (relay.requests.len(), relay.answers.len());
        if requests + answers == 0 {
            return self.world.tell(index, Input::Tick);
        }
        let late = self.random.u32(..4) == 0;
        let nth = if late { self.random.usize(..requests + answers) } else { 0 };
        let (lost, twice) = (self.random.u32(..40) == 0, self.random.u32(..40) == 0);
        if let Some(answer) = nth.checked_sub(requests).or((answers > 0 && !late).then_some(0)) {
            let answer = self.world.relays[index].answers.remove(answer);
            self.count(nth > 0, Fault::AnswerLate);
            self.count(lost, Fault::AnswerLost);
            if lost {
                return Ok(());
            }
            if twice {
                self.tally.count(Fault::AnswerTwice);
                self.world.relays[index].answers.push(answer.clone());
            }
            return self.world.tell(index, answer);
        }
        let request = self.world.relays[index].requests.remove(nth).unwrap();
        self.count(nth > 0, Fault::Overtaken);
        self.count(lost, Fault::RequestLost);
        if lost && !matches!(request, Request::SetHold { .. }) {
            return Ok(());
        }
        let answer = self.world.serve(index, &request);
        let repeat = matches!(&answer, Some(Input::Acked { answer: Answer::Duplicate, .. }));
        self.count(repeat, Fault::RepeatTold);
        self.world.relays[index].answers.extend(answer);
        Ok(())
    }

    fn count(&self, happened: bool, fault: Fault) {
        if happened {
            self.tally.count(fault);
        }
    }

    fn arrive_late(&mut self, relay: usize) {
        match self.world.arrive_late(relay) {
            Some(Answer::Stored { .. }) => self.tally.count(Fault::LateStored),
            Some(_) => self.tally.count(Fault::LateRefused),
            None => {}
        }
    }

    fn fault(&mut self, relay: usize) -> Promise {
        match self.random.u32(..7) {
            0 => {
                self.tally.count(Fault::Crashed);
                self.world.crash(relay);
            }
            1 => {
                self.tally.count(Fault::Disconnected);
                self.world.disconnect(relay)?;
                self.world.connect(relay)?;
            }
            2 => {
                self.tally.count(Fault::NatsAway);
                self.world.nats_away = !self.world.nats_away;
            }
            3 => {
                let last = self.world.stream.messages.len();
                let kept = self.random.usize(..=last);
                self.count(kept < last, Fault::TailLost);
                self.world.lose_tail(kept);
            }
            4 if self.random.u32(..4) == 0 => {
                self.tally.count(Fault::StoreLost);
                self.world.lose_tail(0);
            }
            5 => {
                let leads = self.world.relays[relay].machine.leads();
                self.count(leads, Fault::LeaseLost);
                self.world.tell(relay, Input::Led(!leads))?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Runs a seed; a failing one is named, and runs the same again by itself.
fn run(seed: u64, tally: &Tally<Fault>) -> Result<Vec<Found>, String> {
    let mut run = Run::new(seed, tally);
    let ended = (0..STEPS).try_for_each(|_| run.step()).and_then(|()| {
        run.world.nats_away = false;
        run.world.stream.forget_ids();
        (0..run.world.relays.len()).try_for_each(|relay| run.world.tell(relay, Input::Led(true)))?;
        run.world.settle(RelayWorld::caught_up)?;
        let holds: BTreeSet<_> =
            run.world.relays.iter().flat_map(|relay| relay.holds.iter().copied()).collect();
        if holds.is_empty() { Ok(()) } else { Err(format!("a hold without need: {holds:?}")) }
    });
    ended.map(|()| run.world.stream.messages).map_err(|broken| format!("seed {seed}: {broken}"))
}

#[test]
fn the_stream_stays_a_prefix_of_the_log_and_the_relays_catch_up() {
    let tally = Tally::default();
    for seed in 0..SEEDS {
        run(seed, &tally).unwrap_or_else(|broken| panic!("{broken}"));
    }
    let never = [Fault::OpenSlow, Fault::TimedOut, Fault::Foreign, Fault::LogTailLost];
    for fault in Fault::CAUSES.into_iter().chain(Fault::OUTCOMES).filter(|fault| !never.contains(fault)) {
        assert!(tally.of(fault) > 0, "{fault:?} never came to pass");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let tally = Tally::default();
    for seed in 0..20 {
        assert_eq!(run(seed, &tally), run(seed, &tally));
    }
}

/// A foreign message at any time: no relay passes it, and both name it in the end.
#[test]
fn no_relay_passes_a_foreign_message() {
    let (tally, mut under_way) = (Tally::default(), 0);
    for seed in 0..SEEDS / 2 {
        let ended = pass_foreign(&mut Run::new(seed, &tally), &mut under_way);
        ended.unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
    }
    assert!(under_way > 100, "hardly ever under publishes in flight: {under_way}");
}

fn pass_foreign(run: &mut Run, under_way: &mut u64) -> Promise {
    let foreign_at = run.random.usize(..STEPS / 2);
    let mut sequence = at(0);
    for step in 0..STEPS {
        if step == foreign_at {
            run.world.stream.publish_foreign();
            sequence = at(run.world.stream.last());
            let publishes = run.world.relays.iter().flat_map(|relay| &relay.requests);
            *under_way += u64::from(publishes.into_iter().any(Request::is_publish));
        }
        let relay = run.random.usize(..run.world.relays.len());
        match run.random.u32(..30) {
            0..20 => run.deliver_one(relay)?,
            20..24 => drop(run.world.read_log(relay, BATCH)?),
            24..27 => run.world.log.append(),
            27 => run.world.crash(relay),
            _ => {
                run.world.now += run.random.u64(1..60);
                run.world.tell(relay, Input::Tick)?;
            }
        }
    }
    let stopped = State::Stopped { sequence };
    run.world.settle(|world| world.relays.iter().all(|relay| relay.machine.state() == stopped))?;
    let held = run.world.relays.iter().any(|relay| !relay.holds.is_empty());
    if held { Err("a hold without need".to_owned()) } else { Ok(()) }
}
