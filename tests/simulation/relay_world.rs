//! A log, a stream and relays between them, and what must never be seen there. Who moves next is for others to say.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};

use vtid_ledger::domain::position::Position;
use vtid_ledger::oasis::published::Found;
use vtid_ledger::oasis::relay::machine::{Answer, Input, Known, Limits, Millis, OpenFault, Output, Seen};

use super::plain_log::{Log, at};
use super::relay::{Feed, Relay, Request};
use super::stream_model::{Lookup, StreamModel};

/// Kept, or in words what was broken.
pub(super) type Promise = Result<(), String>;

/// A relay that is known to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Flaw {
    /// It takes whatever stands in the stream for the log's events, and goes on from the last sequence.
    GoesOnFromTheLast,
    /// It takes every answer for one to its present attempt.
    NoGenerations,
}

#[derive(Clone, Debug, Hash)]
pub(super) struct RelayWorld {
    pub(super) now: Millis,
    pub(super) limits: Limits,
    pub(super) log: Log,
    pub(super) stream: StreamModel,
    pub(super) relays: Vec<Relay>,
    pub(super) nats_away: bool,
    /// What the stream has held, and lost.
    pub(super) lost: BTreeSet<(Position, Found)>,
    pub(super) flaw: Option<Flaw>,
}

impl RelayWorld {
    pub(super) fn new(limits: Limits, relays: usize, events: u64, lookup: Lookup) -> Self {
        Self {
            now: 0,
            limits,
            log: Log::of(events),
            stream: StreamModel::new(lookup),
            relays: (0..relays).map(|_| Relay::new(limits)).collect(),
            nats_away: false,
            lost: BTreeSet::new(),
            flaw: None,
        }
    }

    /// Relays that know nothing yet, with other bounds.
    pub(super) fn limit(&mut self, limits: Limits) {
        self.limits = limits;
        self.relays.iter_mut().for_each(|relay| *relay = Relay::new(limits));
    }

    /// Something happens to a relay, and it does what its machine says.
    pub(super) fn tell(&mut self, index: usize, mut input: Input) -> Promise {
        let relay = &mut self.relays[index];
        if self.flaw == Some(Flaw::NoGenerations) {
            renumber(&mut input, relay);
        }
        let opens = matches!(input, Input::Opened { .. });
        let mut proven = relay.machine.proven();
        let outputs = relay.machine.handle(self.now, input);
        let now_proven = relay.machine.proven();
        while relay.ready.front().is_some_and(|(position, _)| *position <= now_proven) {
            relay.ready.pop_front();
        }
        for output in outputs {
            if let Output::Follow { after, .. } = output {
                // Taken on trust, as far back as no relay has anything in flight.
                proven = after;
            }
            self.perform(index, output)?;
        }
        if opens && !self.relays[index].machine.leads() {
            // What others have published it takes on trust, but for the last.
            proven = proven.max(now_proven);
        }
        (proven.get() + 1..=now_proven.get()).try_for_each(|position| self.check_proven(at(position)))
    }

    fn perform(&mut self, index: usize, output: Output) -> Promise {
        let relay = &mut self.relays[index];
        match output {
            Output::Open { generation } => relay.ask(Request::Open { generation }),
            Output::Follow { follow, after } => {
                relay.ready.clear();
                relay.feed = Some(Feed { follow, after, id: None });
            }
            Output::Unfollow => {
                relay.ready.clear();
                relay.feed = None;
            }
            Output::Read { generation, position } => relay.ask(Request::Read { generation, position }),
            Output::AskLog { generation, position, id } => {
                relay.ask(Request::AskLog { generation, position, id });
            }
            Output::Publish { generation, position } => {
                let ready = relay.ready.iter().find(|(ready, _)| *ready == position);
                let (_, id) = *ready.ok_or(format!("publishes {position}, which is not at hand"))?;
                relay.ask(Request::Publish { generation, position, id });
                self.check_publish(index, position, id)?;
            }
            Output::SetHold { position, id, seen } => {
                relay.holds.push((position, id, seen));
                // What it saw in the log is gone from its memory now.
                relay.stale |= seen == Seen::InLog;
                if !relay.requests.iter().any(|r| matches!(r, Request::SetHold { .. })) {
                    relay.ask(Request::SetHold { position, id, seen });
                }
                if self.log.holds(position, id) {
                    return Err(format!("asks for a hold over event {position}, which the log holds"));
                }
            }
        }
        Ok(())
    }

    /// Stream or log have changed: everybody has to look again.
    pub(super) fn changed(&mut self, by: Option<usize>) {
        for (index, relay) in self.relays.iter_mut().enumerate() {
            relay.stale |= Some(index) != by;
        }
    }

    /// Log or stream do what a request says; the answer is not with the relay yet.
    pub(super) fn serve(&mut self, index: usize, request: &Request) -> Option<Input> {
        match *request {
            Request::Open { generation } if self.nats_away => {
                Some(Input::OpenFailed { generation, fault: OpenFault::Unreachable })
            }
            Request::Open { generation } => {
                let last = self.end(index);
                Some(Input::Opened { generation, last, head: at(self.log.head()) })
            }
            Request::Head { generation, last } => {
                Some(Input::Opened { generation, last, head: at(self.log.head()) })
            }
            Request::AskLog { generation, position, id } => {
                Some(Input::LogSays { generation, position, holds: self.log.holds(position, id) })
            }
            Request::SetHold { position, id, seen } => {
                let seen = seen == Seen::InLog || self.stream.read(position) == Found::Ours(id);
                self.log.hold |= seen && !self.log.holds(position, id);
                None
            }
            Request::Read { .. } | Request::Publish { .. } if self.nats_away => None,
            Request::Read { generation, position } => {
                let trusted = self.log.id_at(position).filter(|_| self.flaw == Some(Flaw::GoesOnFromTheLast));
                let found = trusted.map_or_else(|| self.stream.read(position), Found::Ours);
                Some(Input::Read { generation, position, found })
            }
            Request::Publish { generation, position, id } => {
                let answer = self.stream.publish(id, position);
                if matches!(answer, Answer::Stored { .. }) {
                    let present = generation == self.relays[index].machine.generation();
                    self.changed(present.then_some(index));
                }
                Some(Input::Acked { generation, position, answer })
            }
        }
    }

    /// Where the stream ends, as a relay sees it that begins an attempt.
    pub(super) fn end(&mut self, index: usize) -> Position {
        let relay = &mut self.relays[index];
        relay.stale = false;
        relay.opened.clone_from(&self.stream.messages);
        at(self.stream.last())
    }

    /// What the reader of the log has for a relay, `max` entries at most.
    pub(super) fn next_of_log(&self, index: usize, max: usize) -> Option<(Option<Feed>, Input)> {
        let relay = &self.relays[index];
        let mut feed = relay.feed.filter(|_| relay.machine.wants_entries())?;
        if feed.after > Position::ZERO && feed.id.is_none() {
            feed.id = self.log.id_at(feed.after);
            if feed.id.is_none() {
                return Some((None, Input::Failed { generation: relay.machine.generation() }));
            }
        }
        if let Some(id) = feed.id.filter(|id| !self.log.holds(feed.after, *id)) {
            return Some((None, Input::LogLost { follow: feed.follow, position: feed.after, id }));
        }
        let known = |(position, id)| Known { position, id, bytes: 7 };
        let entries: Vec<Known> = self.log.after(feed.after, max).map(known).collect();
        let last = entries.last()?;
        (feed.after, feed.id) = (last.position, Some(last.id));
        Some((Some(feed), Input::Entries { follow: feed.follow, entries }))
    }

    /// The relay gets it. False if there was nothing.
    pub(super) fn read_log(&mut self, index: usize, max: usize) -> Result<bool, String> {
        let Some((feed, input)) = self.next_of_log(index, max) else { return Ok(false) };
        let relay = &mut self.relays[index];
        relay.feed = feed;
        if let Input::Entries { entries, .. } = &input {
            relay.ready.extend(entries.iter().map(|known| (known.position, known.id)));
        }
        self.tell(index, input).map(|()| true)
    }

    /// A crash: what was known is gone, what is on the wire may still arrive.
    pub(super) fn crash(&mut self, index: usize) {
        let relay = &mut self.relays[index];
        relay.cut();
        let dead = std::mem::take(&mut relay.dead);
        *relay = Relay { dead, connected: !self.nats_away, ..Relay::new(self.limits) };
    }

    /// The connection breaks.
    pub(super) fn disconnect(&mut self, index: usize) -> Promise {
        self.relays[index].cut();
        self.relays[index].connected = false;
        self.tell(index, Input::Disconnected)
    }

    /// And is made again.
    pub(super) fn connect(&mut self, index: usize) -> Promise {
        self.relays[index].connected = true;
        self.tell(index, Input::Connected)
    }

    /// A publish whose connection is long dead arrives: what would be answered, nobody hears.
    pub(super) fn arrive_late(&mut self, index: usize) -> Option<Answer> {
        let Some(Request::Publish { position, id, .. }) = self.relays[index].dead.pop_front() else {
            return None;
        };
        let answer = self.stream.publish(id, position);
        if matches!(answer, Answer::Stored { .. }) {
            self.changed(None);
        }
        Some(answer)
    }

    /// Late publishes that can only be refused, as the stream will not shrink any more.
    pub(super) fn forget_spent(&mut self) {
        let last = at(self.stream.last());
        for relay in &mut self.relays {
            relay.dead.retain(|late| matches!(late, Request::Publish { position, .. } if *position > last));
        }
    }

    /// The stream's newest messages are gone.
    pub(super) fn lose_tail(&mut self, kept: usize) {
        let sequences = (1..=self.stream.last()).map(at).zip(self.stream.messages.iter().copied());
        self.lost.extend(sequences.skip(kept));
        self.stream.lose_tail(kept);
        self.changed(None);
    }

    pub(super) fn hash_without_relays(&self, state: &mut impl Hasher) {
        (&self.log, &self.stream, &self.lost, self.nats_away).hash(state);
    }
}

/// The answer is taken for one to the present attempt.
fn renumber(input: &mut Input, relay: &Relay) {
    let present = relay.machine.generation();
    match input {
        Input::Opened { generation, .. }
        | Input::OpenFailed { generation, .. }
        | Input::Read { generation, .. }
        | Input::LogSays { generation, .. }
        | Input::Acked { generation, .. }
        | Input::Failed { generation } => *generation = present,
        Input::Tick
        | Input::Connected
        | Input::Disconnected
        | Input::Recheck
        | Input::Led(_)
        | Input::Entries { .. }
        | Input::LogLost { .. } => {}
    }
}
