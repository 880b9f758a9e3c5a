//! Thousands of seeded runs: whatever is lost, doubled, late or reordered, the stream stays a prefix of the log, and
//! once the faults end the relays catch up.

use super::world::{Parcel, Stream, World, at};
use crate::oasis::published::Found;
use crate::oasis::relay::machine::{Input, Output, State};

const SEEDS: u64 = 4_000;
const STEPS: usize = 250;

/// How often each fault came to pass, over all runs.
#[derive(Default, Debug)]
struct Fired {
    lost: u64,
    doubled: u64,
    late: u64,
    crashed: u64,
    disconnected: u64,
    away: u64,
    tail_lost: u64,
    store_lost: u64,
    repeats_told: u64,
}

struct Run {
    world: World,
    random: fastrand::Rng,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let relays = random.usize(1..=2);
        let mut world = World::new(relays, random.u64(0..6));
        world.stream.repeats_first = random.bool();
        Self { world, random }
    }

    fn step(&mut self, fired: &mut Fired) {
        let relay = self.random.usize(..self.world.relays.len());
        match self.random.u32(..100) {
            0..60 => self.deliver_one(relay, fired),
            60..72 => drop(self.world.read_log(relay, 3)),
            72..80 => {
                let next = self.world.log.len() as u64 + 1;
                self.world.log.extend((self.world.log.len() < 24).then_some(next));
            }
            80..90 => {
                self.world.now += self.random.u64(1..60);
                self.world.feed(relay, Input::Tick);
            }
            90..93 => self.world.stream.recent.clear(),
            _ => self.fault(relay, fired),
        }
    }

    /// Any parcel, not only the first: some arrive late, twice or never.
    fn deliver_one(&mut self, relay: usize, fired: &mut Fired) {
        let count = self.world.relays[relay].parcels.len();
        if count == 0 {
            return self.world.feed(relay, Input::Tick);
        }
        let index = if self.random.u32(..4) == 0 { self.random.usize(..count) } else { 0 };
        fired.late += u64::from(index > 0);
        let parcel = self.world.relays[relay].parcels.remove(index);
        match self.random.u32(..40) {
            0 => fired.lost += 1,
            1 => {
                fired.doubled += 1;
                self.world.relays[relay].parcels.push(parcel.clone());
                self.world.deliver(relay, parcel);
            }
            _ => {
                let acked = matches!(
                    &parcel,
                    Parcel::Answer(Input::Acked { answer, .. })
                        if *answer == crate::oasis::relay::machine::Answer::Duplicate
                );
                fired.repeats_told += u64::from(acked);
                self.world.deliver(relay, parcel);
            }
        }
    }

    fn fault(&mut self, relay: usize, fired: &mut Fired) {
        match self.random.u32(..6) {
            0 => {
                fired.crashed += 1;
                self.world.crash(relay);
            }
            1 => {
                fired.disconnected += 1;
                self.world.feed(relay, Input::Disconnected);
                self.world.feed(relay, Input::Connected);
            }
            2 => {
                fired.away += 1;
                self.world.nats_away = !self.world.nats_away;
            }
            3 => {
                let last = self.world.stream.messages.len();
                let kept = self.random.usize(..=last);
                fired.tail_lost += u64::from(kept < last);
                self.world.stream.messages.truncate(kept);
            }
            4 if self.random.u32(..4) == 0 => {
                fired.store_lost += 1;
                let repeats_first = self.world.stream.repeats_first;
                self.world.stream = Stream { repeats_first, ..Stream::default() };
            }
            _ => {}
        }
    }
}

#[test]
fn the_stream_stays_a_prefix_of_the_log_and_the_relays_catch_up() {
    let mut fired = Fired::default();
    for seed in 0..SEEDS {
        let mut run = Run::new(seed);
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..STEPS {
                run.step(&mut fired);
                run.world.assert_prefix();
            }
            run.world.nats_away = false;
            run.world.stream.recent.clear();
            run.world.settle(World::caught_up);
            run.world.assert_prefix();
            assert!(run.world.relays.iter().all(|relay| relay.holds.is_empty()), "a hold without need");
        }));
        assert!(told.is_ok(), "seed {seed}");
    }
    let counts = [
        fired.lost,
        fired.doubled,
        fired.late,
        fired.crashed,
        fired.disconnected,
        fired.away,
        fired.tail_lost,
        fired.store_lost,
        fired.repeats_told,
    ];
    assert!(counts.iter().all(|n| *n > 0), "a fault that never came to pass: {fired:?}");
}

/// A foreign message at any time: no relay passes it, and both name it in the end.
#[test]
fn no_relay_passes_a_foreign_message() {
    let mut under_way = 0;
    for seed in 0..SEEDS / 2 {
        let mut run = Run::new(seed);
        let mut fired = Fired::default();
        let foreign_at = run.random.usize(..STEPS / 2);
        let mut sequence = None;
        for step in 0..STEPS {
            if step == foreign_at {
                run.world.stream.messages.push(Found::Foreign);
                sequence = Some(at(run.world.stream.last()));
                let sent = |p: &Parcel| matches!(p, Parcel::Request(Output::Publish { .. }));
                under_way += u64::from(run.world.relays.iter().any(|relay| relay.parcels.iter().any(sent)));
            }
            let (relay, roll) = (run.random.usize(..run.world.relays.len()), run.random.u32(..30));
            match roll {
                0..20 => run.deliver_one(relay, &mut fired),
                20..24 => drop(run.world.read_log(relay, 3)),
                24..27 => run.world.log.push(run.world.log.len() as u64 + 1),
                27 => run.world.crash(relay),
                _ => {
                    run.world.now += run.random.u64(1..60);
                    run.world.feed(relay, Input::Tick);
                }
            }
            for relay in &run.world.relays {
                assert!(sequence.is_none_or(|s| relay.machine.proven() < s), "seed {seed}: passed it");
            }
        }
        let stopped = State::Stopped { sequence: sequence.unwrap() };
        run.world.settle(|world| world.relays.iter().all(|relay| relay.machine.state() == stopped));
        assert!(run.world.relays.iter().all(|relay| relay.holds.is_empty()), "seed {seed}: a hold");
    }
    assert!(under_way > 100, "hardly ever under publishes in flight: {under_way}");
}
