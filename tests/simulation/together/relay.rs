//! The relays of the two replicas, and the stream that they publish to.

use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::domain::position::Position;
use vtid_ledger::log::hold::Hold;
use vtid_ledger::oasis::published::Found;
use vtid_ledger::oasis::relay::machine::{Answer, Input, Known, OpenFault, Output, Seen};

use super::world::World;
use crate::simulation::database::Who;
use crate::simulation::faults::Fault;
use crate::simulation::promises::Promise;
use crate::simulation::relay::{Feed, Request};

impl World {
    pub(super) fn tell_relay(&mut self, who: Who, input: Input) -> Promise {
        let shell = &mut self.replicas[who].relay;
        let told = self.loud.then(|| format!("relay {who} hears {input:?}"));
        let outputs = shell.relay.machine.handle(self.elapsed_ms, input);
        let proven = shell.relay.machine.proven();
        while shell.relay.ready.front().is_some_and(|(position, _)| *position <= proven) {
            shell.relay.ready.pop_front();
        }
        if let Some(told) = told {
            self.say(|| format!("{told}: {outputs:?}"));
        }
        outputs.into_iter().try_for_each(|output| self.perform(who, output))
    }

    fn perform(&mut self, who: Who, output: Output) -> Promise {
        let shell = &mut self.replicas[who].relay;
        let relay = &mut shell.relay;
        match output {
            Output::Open { generation } => relay.ask(Request::Open { generation }),
            Output::Follow { follow, after } => {
                relay.ready.clear();
                relay.feed = Some(Feed { follow, after, id: None });
                shell.begun = false;
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
            }
            Output::SetHold { position, id, seen } => {
                // What this process has in memory may be what was lost.
                self.replicas[who].tail.clear();
                let relay = &mut self.replicas[who].relay.relay;
                if !relay.requests.iter().any(|r| matches!(r, Request::SetHold { .. })) {
                    relay.ask(Request::SetHold { position, id, seen });
                }
            }
        }
        Ok(())
    }

    /// A few of the things that are under way between relay, log and stream.
    pub(super) fn relay_goes_on(&mut self, who: Who) -> Promise {
        self.lead_relay(who)?;
        if self.elapsed_ms >= self.replicas[who].relay.relay.machine.next_tick() {
            self.tell_relay(who, Input::Tick)?;
        }
        for _ in 0..6 {
            self.serve_relay(who)?;
            self.answer_relay(who)?;
        }
        self.feed_relay(who)
    }

    fn serve_relay(&mut self, who: Who) -> Promise {
        let waiting = self.replicas[who].relay.relay.requests.len();
        if waiting == 0 {
            return Ok(());
        }
        let mut index = 0;
        if waiting > 1 && self.faulty(6) {
            index = self.rng.usize(1..waiting);
        }
        let requests = &mut self.replicas[who].relay.relay.requests;
        if requests[index].is_publish() {
            // Those of one connection stay in order among themselves.
            index = requests.iter().position(Request::is_publish).unwrap_or(index);
        }
        if index > 0 {
            self.fire(Fault::RequestOvertaken);
        }
        let requests = &mut self.replicas[who].relay.relay.requests;
        let Some(request) = requests.remove(index) else { return Ok(()) };
        if matches!(request, Request::SetHold { .. }) && self.database.lock.is_some() {
            requests.insert(index, request);
            return Ok(());
        }
        let lossy = matches!(request, Request::Read { .. } | Request::Publish { .. });
        if lossy && self.faulty(24) {
            self.fire(Fault::RequestLost);
            return Ok(());
        }
        let Some(answer) = self.serve_request(who, &request)? else { return Ok(()) };
        if lossy && self.faulty(24) {
            self.fire(Fault::AnswerLost);
            return Ok(());
        }
        let answers = &mut self.replicas[who].relay.relay.answers;
        answers.push(answer.clone());
        if lossy && self.faulty(24) {
            self.fire(Fault::AnswerTwice);
            self.replicas[who].relay.relay.answers.push(answer);
        }
        Ok(())
    }

    fn answer_relay(&mut self, who: Who) -> Promise {
        let waiting = self.replicas[who].relay.relay.answers.len();
        if waiting == 0 {
            return Ok(());
        }
        let mut index = 0;
        if self.faulty(6) {
            self.fire(Fault::AnswerLate);
            index = self.rng.usize(..=waiting);
        }
        if index == waiting {
            return Ok(());
        }
        let answer = self.replicas[who].relay.relay.answers.remove(index);
        let refused = match &answer {
            Input::Acked { position, answer, .. } if !is_proof(*answer, *position) => Some(*position),
            _ => None,
        };
        let before = self.replicas[who].relay.relay.machine.proven();
        self.tell_relay(who, answer)?;
        let proven = self.replicas[who].relay.relay.machine.proven();
        match refused {
            Some(position) if before < position && position <= proven => {
                Err(format!("relay {who} counts {position} as published, for which it was told otherwise"))
            }
            _ => Ok(()),
        }
    }

    /// Log or stream do what a request says.
    fn serve_request(&mut self, who: Who, request: &Request) -> Result<Option<Input>, String> {
        let away = self.database_is_away();
        let connected = self.replicas[who].relay.relay.connected;
        Ok(match *request {
            Request::Open { generation } if away || !connected => {
                Some(Input::OpenFailed { generation, fault: OpenFault::Unreachable })
            }
            Request::Open { generation } => {
                // The stream's end first; the log's head when this comes to its turn.
                let last = Position::new(self.stream.last());
                let head = Request::Head { generation, last };
                if self.calm {
                    return self.serve_request(who, &head);
                }
                self.replicas[who].relay.relay.requests.push_back(head);
                None
            }
            Request::Head { generation, .. } if away => {
                Some(Input::OpenFailed { generation, fault: OpenFault::Unreachable })
            }
            Request::Head { generation, last } => {
                Some(Input::Opened { generation, last, head: self.database.log.head().cursor.position() })
            }
            Request::AskLog { generation, .. } if away => Some(Input::Failed { generation }),
            Request::AskLog { generation, position, id } => {
                let holds = self.database.log.id_at(position) == Some(id);
                Some(Input::LogSays { generation, position, holds })
            }
            Request::SetHold { position, id, seen } => {
                self.hold_by_relay(who, Cursor::At { position, id }, seen);
                None
            }
            Request::Read { .. } | Request::Publish { .. } if !connected => None,
            Request::Read { generation, position } => {
                Some(Input::Read { generation, position, found: self.stream.read(position) })
            }
            Request::Publish { generation, position, id } => {
                let answer = self.publish(position, id)?;
                self.say(|| format!("relay {who} publishes {position}: {answer:?}"));
                Some(Input::Acked { generation, position, answer })
            }
        })
    }

    /// Every message of the ledger's stands where its event stood in the log.
    fn publish(&mut self, position: Position, id: uuid::Uuid) -> Result<Answer, String> {
        let answer = self.stream.publish(id, position);
        match answer {
            Answer::Stored { sequence } => {
                let entry = self.archive.get(&id).filter(|(entry, _)| entry.position().get() == sequence);
                entry
                    .ok_or(format!("{id} stands at sequence {sequence}, and never stood there in the log"))?;
            }
            Answer::Duplicate => self.fire(Fault::RepeatTold),
            Answer::Refused => self.fire(Fault::PublishRefused),
        }
        Ok(answer)
    }

    /// A publish of a dead connection arrives.
    pub(super) fn late_publish(&mut self, who: Who) -> Promise {
        if self.nats_is_away() {
            return Ok(());
        }
        let late = self.replicas[who].relay.relay.dead.pop_front();
        let Some(Request::Publish { position, id, .. }) = late else { return Ok(()) };
        let stored = matches!(self.publish(position, id)?, Answer::Stored { .. });
        self.fire(if stored { Fault::LatePublishStored } else { Fault::LatePublishRefused });
        Ok(())
    }

    /// Under the lock: unless the log turns out to hold it, it was given up, or it is no longer in the stream.
    fn hold_by_relay(&mut self, who: Who, event: Cursor, seen: Seen) {
        let log = &self.database.log;
        let known = if seen == Seen::InLog { self.replicas[who].relay.losses } else { log.losses };
        let lost = log.losses <= known && log.id_at(event.position()) != event.id();
        self.say(|| format!("relay {who}: hold over {} ({seen:?})? lost: {lost}", event.position()));
        let stands = log.hold.as_ref().is_some_and(|hold| hold.position <= event.position());
        let seen = seen == Seen::InLog
            || event.id().is_some_and(|id| self.stream.read(event.position()) == Found::Ours(id));
        if !lost || stands || !seen {
            return;
        }
        if self.database_is_away() || self.faulty(12) {
            self.fire(Fault::HoldNotSet);
            // Whoever waits for the comparison must not write on it.
            let next = self.replicas[who].relay.relay.machine.generation().0 + 1;
            if let Some(comparing) = &mut self.replicas[who].comparing {
                comparing.asked.0 = comparing.asked.0.max(next);
            }
            return;
        }
        self.fire(Fault::HoldByRelay);
        let hold = Hold::at(event.position(), format!("by relay {who}"));
        self.database.set_hold(hold);
    }

    /// The reader of the log has something for the relay.
    fn feed_relay(&mut self, who: Who) -> Promise {
        let replica = &mut self.replicas[who];
        let machine = &replica.relay.relay.machine;
        let Some(mut feed) = replica.relay.relay.feed.filter(|_| machine.wants_entries()) else {
            return Ok(());
        };
        if self.database_is_away() {
            return Ok(());
        }
        let replica = &mut self.replicas[who];
        if !replica.relay.begun {
            replica.relay.begun = true;
            replica.relay.losses = self.database.log.losses;
            feed.id = self.database.log.id_at(feed.after);
            replica.relay.relay.feed = Some(feed);
            if feed.after > Position::ZERO && feed.id.is_none() {
                replica.relay.relay.feed = None;
                let generation = replica.relay.relay.machine.generation();
                return self.tell_relay(who, Input::Failed { generation });
            }
        }
        let cursor = feed.id.map_or(Cursor::Start, |id| Cursor::At { position: feed.after, id });
        let Some(batch) = replica.follow(&self.database.log, cursor, 3) else {
            replica.relay.relay.feed = None;
            let id = cursor.id().ok_or("the start is lost")?;
            let lost = Input::LogLost { follow: feed.follow, position: feed.after, id };
            return self.tell_relay(who, lost);
        };
        let Some((last, _)) = batch.last() else { return Ok(()) };
        let end = Cursor::at(&last.recorded.event);
        (feed.after, feed.id) = (end.position(), end.id());
        let known = batch.iter().map(|(entry, _)| {
            let event = &entry.recorded.event;
            Known { position: event.position, id: event.id, bytes: entry.approximate_bytes() }
        });
        let entries: Vec<Known> = known.collect();
        replica.relay.relay.ready.extend(entries.iter().map(|known| (known.position, known.id)));
        replica.relay.relay.feed = Some(feed);
        self.tell_relay(who, Input::Entries { follow: feed.follow, entries })
    }

    /// The connection to NATS breaks: what is in its buffers may still arrive.
    pub(super) fn disconnect(&mut self, who: Who) -> Promise {
        let shell = &mut self.replicas[who].relay;
        if !shell.relay.connected {
            return Ok(());
        }
        shell.relay.cut();
        shell.relay.connected = false;
        shell.disconnected_until_ms = self.elapsed_ms + 40;
        self.tell_relay(who, Input::Disconnected)
    }

    /// And is made again, once NATS is there.
    pub(super) fn connect(&mut self, who: Who) -> Promise {
        let shell = &mut self.replicas[who].relay;
        if shell.relay.connected || self.elapsed_ms < shell.disconnected_until_ms {
            return Ok(());
        }
        if self.nats_is_away() {
            return Ok(());
        }
        self.replicas[who].relay.relay.connected = true;
        self.tell_relay(who, Input::Connected)
    }
}

/// Whether the event at this position is in the stream, at its place, by what was answered to its publish.
fn is_proof(answer: Answer, position: Position) -> bool {
    answer == (Answer::Stored { sequence: position.get() })
}
