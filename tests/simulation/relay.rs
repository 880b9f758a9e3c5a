//! One relay as its shell runs it: the machine, and what is on its way between it and the rest.

use std::collections::VecDeque;

use uuid::Uuid;
use vtid_ledger::domain::position::Position;
use vtid_ledger::oasis::published::Found;
use vtid_ledger::oasis::relay::machine::{Generation, Input, Limits, Machine, Seen, State};

/// On its way to the log or the stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Request {
    Open {
        generation: Generation,
    },
    /// The second half of an open: the stream's end is known.
    Head {
        generation: Generation,
        last: Position,
    },
    AskLog {
        generation: Generation,
        position: Position,
        id: Uuid,
    },
    Read {
        generation: Generation,
        position: Position,
    },
    Publish {
        generation: Generation,
        position: Position,
        id: Uuid,
    },
    SetHold {
        position: Position,
        id: Uuid,
        seen: Seen,
    },
}

impl Request {
    /// Whether it goes over the connection to NATS, where it may still be when the relay is long gone.
    pub(super) fn is_publish(&self) -> bool {
        matches!(self, Self::Publish { .. })
    }

    fn is_of_an_attempt(&self) -> bool {
        matches!(self, Self::Open { .. } | Self::Head { .. } | Self::AskLog { .. })
    }
}

/// The reader of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Feed {
    pub(super) follow: Generation,
    pub(super) after: Position,
    /// The event there; none before it has been looked at.
    pub(super) id: Option<Uuid>,
}

#[derive(Clone, Debug, Hash)]
pub(super) struct Relay {
    pub(super) machine: Machine,
    pub(super) in_flight: usize,
    /// In the order of sending.
    pub(super) requests: VecDeque<Request>,
    /// Answers on their way back.
    pub(super) answers: Vec<Input>,
    pub(super) feed: Option<Feed>,
    /// Entries that the machine knows and has not proven.
    pub(super) ready: VecDeque<(Position, Uuid)>,
    /// Publishes of dead connections that may still arrive, in order.
    pub(super) dead: VecDeque<Request>,
    pub(super) connected: bool,
    /// Stream or log may have changed since it looked at them.
    pub(super) stale: bool,
    /// The stream when it looked last.
    pub(super) opened: Vec<Found>,
    /// Every hold that it has asked for.
    pub(super) holds: Vec<(Position, Uuid, Seen)>,
}

impl Relay {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            machine: Machine::new(limits),
            in_flight: limits.in_flight,
            requests: VecDeque::new(),
            answers: Vec::new(),
            feed: None,
            ready: VecDeque::new(),
            dead: VecDeque::new(),
            connected: true,
            stale: true,
            opened: Vec::new(),
            holds: Vec::new(),
        }
    }

    /// Asks; a new attempt gives up what an earlier one asked for, as far as that is not on the wire.
    pub(super) fn ask(&mut self, request: Request) {
        if matches!(request, Request::Open { .. }) {
            self.requests.retain(|earlier| !earlier.is_of_an_attempt());
        }
        self.requests.push_back(request);
    }

    /// The connection dies: what is in its buffers may still arrive, the rest does not.
    pub(super) fn cut(&mut self) {
        let requests = std::mem::take(&mut self.requests);
        let (publishes, rest): (VecDeque<_>, VecDeque<_>) =
            requests.into_iter().partition(Request::is_publish);
        self.dead.extend(publishes);
        self.requests = rest
            .into_iter()
            .filter(|r| matches!(r, Request::SetHold { .. } | Request::AskLog { .. }))
            .collect();
    }

    /// Whether it has compared stream and log, and has nothing to do until it looks again.
    pub(super) fn rests(&self) -> bool {
        let compared = self.machine.compared() == Some(self.machine.generation());
        compared
            && match self.machine.state() {
                State::Following | State::Failing => self.ready.is_empty(),
                State::Stopped { .. } | State::LedgerBehind { .. } => true,
                State::Connecting | State::StreamDiffers => false,
            }
    }

    /// Whether the present attempt waits for something that is under way. One that was given up waits for nothing but
    /// the next.
    pub(super) fn awaits(&self) -> bool {
        let present = self.machine.generation();
        let opening = self.requests.iter().any(|r| matches!(r, Request::Open { .. } | Request::Head { .. }))
            || self
                .answers
                .iter()
                .any(|a| matches!(a, Input::Opened { generation, .. } if *generation == present));
        let given_up = !opening && !self.machine.wants_entries() && self.ready.len() < self.in_flight;
        let mut answers = self.answers.iter().filter_map(generation_of);
        // One that does not lead waits for what it asked the stream alone.
        (!given_up || !self.machine.leads())
            && (!self.requests.is_empty() || answers.any(|generation| generation == present))
    }
}

/// Which attempt an answer belongs to.
pub(super) fn generation_of(answer: &Input) -> Option<Generation> {
    match answer {
        Input::Opened { generation, .. }
        | Input::OpenFailed { generation, .. }
        | Input::Read { generation, .. }
        | Input::LogSays { generation, .. }
        | Input::Acked { generation, .. }
        | Input::Failed { generation } => Some(*generation),
        Input::Tick
        | Input::Connected
        | Input::Disconnected
        | Input::Recheck
        | Input::Led(_)
        | Input::Entries { .. }
        | Input::LogLost { .. } => None,
    }
}
