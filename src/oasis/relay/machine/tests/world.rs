//! A log, a stream as `JetStream` keeps it, and relays between which messages are lost, doubled, late and reordered.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::domain::position::Position;
use crate::oasis::published::Found;
use crate::oasis::relay::machine::{
    Answer, Generation, Input, Known, Limits, Machine, Millis, OpenFault, Output, State,
};

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
};

pub(super) fn id(number: u64) -> Uuid {
    Uuid::from_u128(u128::from(number))
}

pub(super) fn at(position: u64) -> Position {
    Position::new(position)
}

/// The stream, and the memory of ids by which a repeat is told.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    pub(super) messages: Vec<Found>,
    pub(super) recent: BTreeMap<Uuid, u64>,
    /// 2.9 looks for a repeat before it looks at the expected sequence.
    pub(super) repeats_first: bool,
}

impl Stream {
    pub(super) fn last(&self) -> u64 {
        self.messages.len() as u64
    }

    /// What a power cut does: the newest messages are gone, and with them the memory of their ids.
    pub(super) fn truncate(&mut self, kept: usize) {
        self.messages.truncate(kept);
        self.recent.clear();
    }

    fn publish(&mut self, id: Uuid, expected_last: u64) -> Answer {
        let expected = expected_last == self.last();
        if self.recent.contains_key(&id) && (self.repeats_first || expected) {
            return Answer::Duplicate;
        }
        if !expected {
            return Answer::Refused;
        }
        self.messages.push(Found::Ours(id));
        self.recent.insert(id, self.last());
        Answer::Stored { sequence: self.last() }
    }

    fn read(&self, position: Position) -> Found {
        let index = usize::try_from(position.get() - 1).unwrap();
        self.messages.get(index).copied().unwrap_or(Found::Nothing)
    }
}

/// On its way to the world, or back to the relay.
#[derive(Clone, Debug)]
pub(super) enum Parcel {
    Request(Output),
    Answer(Input),
}

pub(super) struct Relay {
    pub(super) machine: Machine,
    /// In the order of sending.
    pub(super) parcels: Vec<Parcel>,
    follow: Option<(Generation, u64)>,
    pub(super) holds: Vec<Output>,
}

impl Relay {
    fn new() -> Self {
        Self { machine: Machine::new(LIMITS), parcels: Vec::new(), follow: None, holds: Vec::new() }
    }
}

pub(super) struct World {
    pub(super) now: Millis,
    /// Ids; position n is at n − 1.
    pub(super) log: Vec<u64>,
    pub(super) stream: Stream,
    pub(super) relays: Vec<Relay>,
    pub(super) nats_away: bool,
}

impl World {
    pub(super) fn new(relays: usize, events: u64) -> Self {
        Self {
            now: 0,
            log: (1..=events).collect(),
            stream: Stream::default(),
            relays: (0..relays).map(|_| Relay::new()).collect(),
            nats_away: false,
        }
    }

    pub(super) fn feed(&mut self, relay: usize, input: Input) {
        let relay = &mut self.relays[relay];
        for output in relay.machine.handle(self.now, input) {
            match output {
                Output::Follow { follow, after } => relay.follow = Some((follow, after.get())),
                Output::SetHold { .. } => relay.holds.push(output),
                _ => relay.parcels.push(Parcel::Request(output)),
            }
        }
    }

    /// A crash: what was sent stays under way, what was known is gone.
    pub(super) fn crash(&mut self, relay: usize) {
        let parcels = std::mem::take(&mut self.relays[relay].parcels);
        let sent = parcels.into_iter().filter(|p| matches!(p, Parcel::Request(Output::Publish { .. })));
        self.relays[relay] = Relay { parcels: sent.collect(), ..Relay::new() };
    }

    /// Up to `max` entries of the log reach the relay, if it wants them.
    pub(super) fn read_log(&mut self, relay: usize, max: usize) -> bool {
        let Some((follow, after)) = self.relays[relay].follow else { return false };
        if !self.relays[relay].machine.wants_entries() {
            return false;
        }
        let skip = usize::try_from(after).unwrap();
        let ids = self.log.iter().skip(skip).take(max);
        let entries: Vec<Known> =
            ids.zip(after + 1..).map(|(n, p)| Known { position: at(p), id: id(*n), bytes: 7 }).collect();
        if entries.is_empty() {
            return false;
        }
        self.relays[relay].follow = Some((follow, after + entries.len() as u64));
        self.feed(relay, Input::Entries { follow, entries });
        true
    }

    /// The world does what a parcel asks for; or the relay gets its answer.
    pub(super) fn deliver(&mut self, relay: usize, parcel: Parcel) {
        match parcel {
            Parcel::Answer(input) => self.feed(relay, input),
            Parcel::Request(output) => {
                if let Some(answer) = self.perform(output) {
                    self.relays[relay].parcels.push(Parcel::Answer(answer));
                }
            }
        }
    }

    fn perform(&mut self, output: Output) -> Option<Input> {
        let head = self.log.len() as u64;
        let event_at =
            |position: Position| self.log.get(usize::try_from(position.get() - 1).unwrap()).map(|n| id(*n));
        match output {
            Output::Open { generation } if self.nats_away => {
                Some(Input::OpenFailed { generation, fault: OpenFault::Unreachable })
            }
            Output::Open { generation } => {
                Some(Input::Opened { generation, last: at(self.stream.last()), head: at(head) })
            }
            Output::AskLog { generation, position, id } => {
                Some(Input::LogSays { generation, position, holds: event_at(position) == Some(id) })
            }
            _ if self.nats_away => None,
            Output::Read { generation, position } => {
                Some(Input::Read { generation, position, found: self.stream.read(position) })
            }
            Output::Publish { generation, position } => {
                let answer = self.stream.publish(event_at(position)?, position.get() - 1);
                Some(Input::Acked { generation, position, answer })
            }
            Output::Follow { .. } | Output::SetHold { .. } => None,
        }
    }

    /// The stream holds nothing but the log's events, each at its place.
    pub(super) fn assert_prefix(&self) {
        for (index, message) in self.stream.messages.iter().enumerate() {
            assert_eq!(
                Some(*message),
                self.log.get(index).map(|n| Found::Ours(id(*n))),
                "sequence {}",
                index + 1
            );
        }
    }

    /// One step without faults: whatever is under way, in order, or else time until something is due.
    pub(super) fn calm_step(&mut self, relay: usize) {
        if self.relays[relay].parcels.is_empty() {
            if self.read_log(relay, 3) {
                return;
            }
            let due = self.relays[relay].machine.next_tick();
            self.now = self.now.max(due);
            return self.feed(relay, Input::Tick);
        }
        let parcel = self.relays[relay].parcels.remove(0);
        self.deliver(relay, parcel);
    }

    /// Goes on without faults until `done`, or fails.
    pub(super) fn settle(&mut self, done: impl Fn(&Self) -> bool) {
        for step in 0..20_000 {
            if done(self) {
                return;
            }
            self.calm_step(step % self.relays.len());
        }
        let told: Vec<_> = self.relays.iter().map(|relay| &relay.machine).collect();
        panic!("no progress: stream {:?}, relays {told:#?}", self.stream.messages);
    }

    pub(super) fn caught_up(&self) -> bool {
        let head = self.log.len() as u64;
        self.stream.last() == head
            && self
                .relays
                .iter()
                .all(|relay| relay.machine.proven() == at(head) && relay.machine.state() == State::Following)
    }
}
