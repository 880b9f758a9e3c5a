//! Runs the machine: turns what happens into its inputs, and does what it puts out. No decision is made here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message, Subscriber};
use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::RelayOptions;
use super::feed::{Feed, FeedEvent, Ready};
use super::jobs::{Done, Jobs};
use super::machine::{Generation, Input, Known, Machine, State};
use super::spans::PublishSpans;
use super::status::RelayStatus;
use super::wire::Wire;
use crate::domain::position::Position;
use crate::leases::Held;
use crate::log::EventLog;
use crate::log::hold::Losses;
use crate::oasis::connect::{Link, Nats};
use crate::telemetry::metrics::relay::RelayMetrics;

/// Answers that are taken, where so many are there, before anything else is looked at: they come by the hundred.
const ANSWERS_AT_ONCE: usize = 256;

/// What the relay's task is made of.
pub(super) struct Parts {
    pub(super) log: EventLog,
    pub(super) nats: Nats,
    pub(super) options: RelayOptions,
    pub(super) status: watch::Sender<RelayStatus>,
    pub(super) checks: mpsc::Receiver<oneshot::Sender<()>>,
    pub(super) stop: CancellationToken,
}

/// Something happened.
enum Event {
    Answer(Message),
    Link,
    /// The stream has another leader, though our own connection may have stood all the while.
    Elected,
    Feed(FeedEvent),
    Done(Result<Done, JoinError>),
    Check(oneshot::Sender<()>),
    /// The lease may have changed hands.
    Lease,
    /// Whether it was settled.
    HoldDone(bool),
    Tick,
}

pub(super) struct Shell {
    machine: Machine,
    lease: Held,
    started: Instant,
    pub(super) wire: Wire,
    pub(super) jobs: Jobs,
    link: watch::Receiver<Link>,
    elections: Subscriber,
    connections: u64,
    pub(super) feed: Option<Feed>,
    /// Entries that the machine knows, from the one after its proven position on.
    pub(super) ready: VecDeque<Ready>,
    pub(super) requests: JoinSet<Done>,
    pub(super) holds: JoinSet<bool>,
    waiting: Vec<(Generation, oneshot::Sender<()>)>,
    /// The attempt in which a comparison was last asked for.
    asked: Generation,
    /// The losses that had been accepted when the log was last followed anew.
    pub(super) losses: Losses,
    status: watch::Sender<RelayStatus>,
    metrics: RelayMetrics,
    pub(super) spans: PublishSpans,
    unreadable: Option<(Position, String)>,
    trouble: Option<String>,
}

/// Relays until stopped.
pub(super) async fn run(parts: Parts) {
    let Parts { log, nats, options, status, mut checks, stop } = parts;
    let wire = Wire::new(nats.client.clone(), log.ledger(), options.stream.name.clone());
    let (mut answers, elections) = match wire.subscribe().await {
        Ok(subscribed) => subscribed,
        Err(error) => {
            tracing::error!(%error, "the NATS client has ended: nothing is relayed");
            return;
        }
    };
    let mut shell = Shell {
        machine: Machine::new(options.limits),
        lease: options.lease,
        started: Instant::now(),
        wire,
        jobs: Jobs { log, client: nats.client, stream: options.stream, was_there: Arc::default() },
        link: nats.link,
        elections,
        connections: 0,
        feed: None,
        ready: VecDeque::new(),
        requests: JoinSet::new(),
        holds: JoinSet::new(),
        waiting: Vec::new(),
        asked: Generation::default(),
        losses: Losses::default(),
        status,
        metrics: options.metrics,
        spans: PublishSpans::new(options.traces),
        unreadable: None,
        trouble: None,
    };
    while let Some(event) = shell.next(&mut answers, &mut checks, &stop).await {
        shell.take(event).await;
        for _ in 0..ANSWERS_AT_ONCE {
            let Some(Some(message)) = answers.next().now_or_never() else { break };
            shell.take(Event::Answer(message)).await;
        }
        shell.tell();
    }
}

impl Shell {
    /// The next thing that happens; none once stopped.
    async fn next(
        &mut self,
        answers: &mut Subscriber,
        checks: &mut mpsc::Receiver<oneshot::Sender<()>>,
        stop: &CancellationToken,
    ) -> Option<Event> {
        let due = self.started + Duration::from_millis(self.machine.next_tick());
        let hungry = self.machine.wants_entries();
        Some(tokio::select! {
            () = stop.cancelled() => return None,
            Ok(()) = self.link.changed() => Event::Link,
            Some(message) = answers.next() => Event::Answer(message),
            Some(_) = self.elections.next() => Event::Elected,
            event = next_of(&mut self.feed), if hungry => Event::Feed(event),
            Some(done) = self.requests.join_next() => Event::Done(done),
            Some(done) = self.holds.join_next() => Event::HoldDone(matches!(done, Ok(true))),
            Some(check) = checks.recv() => Event::Check(check),
            () = self.lease.changed() => Event::Lease,
            () = tokio::time::sleep_until(due) => Event::Tick,
        })
    }

    async fn take(&mut self, event: Event) {
        // First: a process that was frozen must not go on as if nothing had been.
        let leads = self.lease.is_held();
        if leads != self.machine.leads() {
            self.feed_machine(Input::Led(leads)).await;
        }
        match event {
            Event::Tick => self.feed_machine(Input::Tick).await,
            Event::Lease | Event::HoldDone(true) => {}
            // Whoever waits for the comparison must not write on it: the machine looks again soon.
            Event::HoldDone(false) => {
                let next = Generation(self.machine.generation().0 + 1);
                self.waiting.iter_mut().for_each(|(asked, _)| *asked = next.max(*asked));
            }
            Event::Answer(message) => {
                if let Some(answered) = self.wire.answered(&message) {
                    self.metrics.answered(&answered.input);
                    self.spans.answered(&answered.input);
                    self.note(answered.trouble);
                    self.feed_machine(answered.input).await;
                }
            }
            Event::Done(Ok(done)) => {
                self.note(done.trouble);
                self.feed_machine(done.input).await;
            }
            // Aborted, as a newer attempt has begun.
            Event::Done(Err(error)) if error.is_cancelled() => {}
            Event::Done(Err(error)) => {
                tracing::error!(%error, "a request of the relay ended badly");
                let generation = self.machine.generation();
                self.feed_machine(Input::Failed { generation }).await;
            }
            Event::Link => self.link_changed().await,
            Event::Elected => self.elected().await,
            Event::Feed(event) => self.log_event(event).await,
            Event::Check(done) => {
                self.feed_machine(Input::Recheck).await;
                self.asked = self.machine.generation();
                self.waiting.push((self.asked, done));
            }
        }
    }

    async fn link_changed(&mut self) {
        let link = *self.link.borrow_and_update();
        let made_anew = link.connections > self.connections;
        if !link.up || (made_anew && self.connections > 0) {
            self.feed_machine(Input::Disconnected).await;
        }
        self.connections = link.connections;
        if link.up && made_anew {
            self.feed_machine(Input::Connected).await;
        }
    }

    /// As on a new connection: what was under way may be lost, and the new leader may have less than the old one.
    async fn elected(&mut self) {
        tracing::info!(position = %self.machine.proven(), "the stream has another leader: it is looked at again");
        if self.link.borrow().up {
            self.feed_machine(Input::Connected).await;
        }
    }

    async fn log_event(&mut self, event: FeedEvent) {
        let Some(follow) = self.feed.as_ref().map(|feed| feed.follow) else { return };
        match event {
            FeedEvent::Entries(ready) => {
                self.unreadable = None;
                let entries = ready.iter().map(known).collect();
                self.ready.extend(ready);
                self.feed_machine(Input::Entries { follow, entries }).await;
            }
            FeedEvent::Begun(losses) => self.losses = losses,
            FeedEvent::NoStart => {
                let generation = self.machine.generation();
                self.feed_machine(Input::Failed { generation }).await;
            }
            FeedEvent::Lost { position, id } => {
                self.feed_machine(Input::LogLost { follow, position, id }).await;
            }
            FeedEvent::Unreadable(position, told) => {
                tracing::error!(error = %told, "the relay stands before a record that it can't read");
                self.unreadable = Some((position, told));
            }
        }
    }

    pub(super) fn note(&mut self, trouble: Option<String>) {
        if let Some(trouble) = trouble {
            tracing::debug!(%trouble, "relay");
            self.trouble = Some(trouble);
        }
    }

    /// Feeds the machine and does what it says, and what it says to what came of that.
    async fn feed_machine(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let before = self.machine.state();
            let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
            let outputs = self.machine.handle(now, input);
            self.log_state(before);
            self.drop_proven();
            for output in outputs {
                if let Err(generation) = self.perform(output).await {
                    inputs.push_back(Input::Failed { generation });
                    break;
                }
            }
        }
    }

    fn log_state(&self, before: State) {
        let state = self.machine.state();
        if state != before {
            let trouble = self.trouble.as_deref().unwrap_or("none");
            tracing::info!(position = %self.machine.proven(), trouble, "relay: {state}");
        }
    }

    fn drop_proven(&mut self) {
        let proven = self.machine.proven();
        while self.ready.front().is_some_and(|ready| ready.entry.position() <= proven) {
            self.ready.pop_front();
        }
    }

    /// Tells the status, and those who wait for a comparison.
    fn tell(&mut self) {
        self.metrics.scrubbed(self.machine.scrubbed());
        let compared = self.machine.compared();
        // A loss that was found counts once the hold is set: nothing may be written on an answer that came before it.
        let settled = self.holds.is_empty();
        for (_, done) in self.waiting.extract_if(.., |(asked, _)| settled && compared >= Some(*asked)) {
            // Whoever asked may have lost patience.
            let _ = done.send(());
        }
        let state = self.machine.state();
        if state == State::Following {
            self.trouble = None;
        }
        let now = RelayStatus {
            state,
            position: self.machine.proven(),
            waiting_since: self.ready.front().map(|ready| ready.entry.recorded.event.recorded_at),
            compared: compared.is_some_and(|compared| compared >= self.asked),
            unreadable: self.unreadable.clone(),
            trouble: self.trouble.clone(),
        };
        self.status.send_if_modified(|status| {
            let changed = *status != now;
            *status = now;
            changed
        });
    }
}

async fn next_of(feed: &mut Option<Feed>) -> FeedEvent {
    match feed {
        Some(feed) => feed.next().await,
        None => std::future::pending().await,
    }
}

fn known(ready: &Ready) -> Known {
    let event = &ready.entry.recorded.event;
    Known { position: event.position, id: event.id, bytes: ready.entry.approximate_bytes() }
}
