//! The writer's shell: performs what the machine says, and feeds back what happened. Nothing is decided here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::answer::{Accepted, WriteError};
use super::handle::{Acknowledged, Submission, WriterHandle};
use super::machine::{Alarm, Input, Now, Output, Submitted, Ticket, Writer, WriterLimits};
use super::operations::Operations;
use super::spans::LastAppend;
use crate::clock::Clock;
use crate::domain::event::IdSeed;
use crate::domain::position::Position;
use crate::log::EventLog;
use crate::log::servers::Servers;
use crate::telemetry::metrics::writer::WriterMetrics;
use crate::telemetry::traces::Below;

/// Submissions taken from the queue at once.
const SUBMISSIONS: usize = 512;
/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(50);

/// The writer's settings.
#[derive(Clone)]
pub struct WriterOptions {
    /// How to reach the primary.
    pub database: Servers,
    /// How much is taken on.
    pub limits: WriterLimits,
    /// How long a caller waits at most.
    pub deadline: Duration,
    /// How long one operation on the database may take before its connection is given up.
    pub operation_timeout: Duration,
    /// How far ahead of the database's clock an event's time may lie.
    pub max_ahead: Duration,
    /// Has the stream compared with the log, and the hold set where history was lost; false where that took too long.
    /// Called whenever the writer's connection is a new one, before anything is appended. None: there is no stream.
    pub compare: Option<Compare>,
    /// Where it counts what it does.
    pub metrics: WriterMetrics,
}

/// See [`WriterOptions::compare`].
pub type Compare = Arc<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>;

/// What the writer knows of itself, for readiness.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WriterStatus {
    /// The log's head as far as the writer knows it: none before it has first looked.
    pub head: Option<Position>,
}

/// Starts the writer; it ends, with every caller answered, once `stop` is cancelled and nothing waits any more.
#[must_use]
pub fn spawn(
    options: WriterOptions,
    clock: Clock,
    log: EventLog,
    stop: CancellationToken,
) -> (WriterHandle, watch::Receiver<WriterStatus>, tokio::task::JoinHandle<()>) {
    let (handle, submissions) = WriterHandle::new(options.limits.queue_commands);
    let (status, watching) = watch::channel(WriterStatus::default());
    options.metrics.queue_max(options.limits.queue_commands);
    let shell = Shell {
        machine: Writer::new(log.ledger(), options.limits.clone()),
        begun: Instant::now(),
        acknowledged: handle.acknowledgements(),
        tickets: BTreeMap::new(),
        next_ticket: 0,
        deadline_ms: u64::try_from(options.deadline.as_millis()).unwrap_or(u64::MAX),
        under_way: None,
        last_append: None,
        answered_append: None,
        metrics: options.metrics.clone(),
        operations: Some(Operations::new(options)),
        clock,
        log,
        status,
    };
    (handle, watching, tokio::spawn(shell.run(submissions, stop)))
}

/// Who waits for a command's answer.
struct Caller {
    answer: oneshot::Sender<Result<Accepted, WriteError>>,
    below: Option<Below>,
}

struct Shell {
    machine: Writer,
    begun: Instant,
    acknowledged: Acknowledged,
    tickets: BTreeMap<Ticket, Caller>,
    next_ticket: Ticket,
    deadline_ms: u64,
    /// The operation under way, which has the connection meanwhile.
    under_way: Option<BoxFuture<'static, (Operations, Input)>>,
    operations: Option<Operations>,
    last_append: Option<LastAppend>,
    /// The append that answers are about: the machine may ask for the next one first.
    answered_append: Option<LastAppend>,
    metrics: WriterMetrics,
    clock: Clock,
    log: EventLog,
    status: watch::Sender<WriterStatus>,
}

impl Shell {
    async fn run(mut self, mut submissions: mpsc::Receiver<Submission>, stop: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut arrived = Vec::with_capacity(SUBMISSIONS);
        let mut open = true;
        self.feed(Input::Start);
        while open || !self.tickets.is_empty() {
            let input = tokio::select! {
                biased;
                (operations, input) = under_way(&mut self.under_way) => {
                    self.under_way = None;
                    self.operations = Some(operations);
                    input
                }
                _ = tick.tick() => Input::Tick,
                count = submissions.recv_many(&mut arrived, SUBMISSIONS), if open => {
                    open = count > 0;
                    Input::Submit(self.ticketed(&mut arrived))
                }
                () = stop.cancelled(), if open && !submissions.is_closed() => {
                    submissions.close();
                    continue;
                }
            };
            self.feed(input);
            self.metrics.queue(self.tickets.len() + submissions.len());
        }
    }

    fn ticketed(&mut self, arrived: &mut Vec<Submission>) -> Vec<Submitted> {
        let deadline_ms = self.elapsed_ms().saturating_add(self.deadline_ms);
        let ticketed = arrived.drain(..).map(|Submission { command, answer, below }| {
            self.next_ticket += 1;
            self.tickets.insert(self.next_ticket, Caller { answer, below });
            let seed = IdSeed(uuid::Uuid::new_v4().as_u128());
            Submitted { ticket: self.next_ticket, command: Arc::new(command), seed, deadline_ms }
        });
        ticketed.collect()
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn feed(&mut self, input: Input) {
        let now = Now { wall: self.clock.now(), elapsed_ms: self.elapsed_ms() };
        self.answered_append = self.last_append;
        if matches!(input, Input::TurnOpened(..)) {
            self.log.set_awaits_turn(false);
        }
        for output in self.machine.handle(now, input) {
            self.perform(output);
        }
        let head = self.machine.head().map(|head| head.cursor.position());
        self.status.send_if_modified(|status| std::mem::replace(&mut status.head, head) != head);
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Answer(ticket, answer) => {
                if let Ok(accepted) = &answer {
                    self.acknowledged.raise_to(accepted.task.position);
                }
                if let Some(caller) = self.tickets.remove(&ticket) {
                    if let (Some(below), Some(append)) = (&caller.below, self.answered_append) {
                        append.answered(below, &answer);
                    }
                    // A caller that has gone away needs no answer.
                    let _ = caller.answer.send(answer);
                }
            }
            Output::HandOver(entries) => {
                self.metrics.handed_over(&entries);
                self.log.hand_over(entries, self.machine.losses());
            }
            Output::ForgetTail => {
                self.log.forget_tail();
                self.acknowledged.forget();
            }
            Output::Alarm(alarm) => sound(&alarm),
            operation => self.begin(operation),
        }
    }

    fn begin(&mut self, operation: Output) {
        // Invariant: the machine asks for one operation at a time, and the connection came back with the last.
        let Some(mut operations) = self.operations.take() else {
            tracing::error!(?operation, "an operation was asked for while another one is under way");
            return;
        };
        // One that has to be retried or compared first may take seconds.
        if matches!(operation, Output::OpenTurn { delay_ms: 0, compare: false, .. }) {
            self.log.set_awaits_turn(true);
        }
        let losses = self.machine.losses();
        let counted = self.metrics.begin(&operation);
        self.last_append = LastAppend::of(&operation).or(self.last_append);
        self.under_way = Some(Box::pin(async move {
            let input = match operation {
                Output::Load(attempt, wanted, at) => operations.load(attempt, wanted, at).await,
                Output::LoadInTurn(attempt, wanted, at) => operations.load_in_turn(attempt, wanted, at).await,
                Output::Append(attempt, head, entries) => {
                    operations.append(attempt, head, losses, entries).await
                }
                Output::LookAtHead(attempt, head) => operations.look_at_head(attempt, head).await,
                Output::OpenTurn { attempt, head, unsettled, delay_ms, compare } => {
                    let delay = Duration::from_millis(delay_ms);
                    operations.open_turn(attempt, head, unsettled, delay, compare).await
                }
                Output::CloseTurn(attempt, closing) => operations.close_turn(attempt, closing).await,
                Output::Answer(..) | Output::HandOver(_) | Output::ForgetTail | Output::Alarm(_) => {
                    Input::Tick
                }
            };
            counted.end(&input);
            (operations, input)
        }));
    }
}

/// The end of the operation under way; never, where none is.
async fn under_way(operation: &mut Option<BoxFuture<'static, (Operations, Input)>>) -> (Operations, Input) {
    match operation {
        Some(operation) => operation.await,
        None => std::future::pending().await,
    }
}

fn sound(alarm: &Alarm) {
    match alarm {
        Alarm::TimeRefused => tracing::error!(
            "nothing is written: this machine's clock is too far ahead of the database's; set the clocks right"
        ),
        Alarm::LedgerBehind(hold) => tracing::error!(
            reason = hold.reason,
            position = hold.position.get(),
            "the ledger lost history: writes are on hold until an operator decides (vtid-ledger oasis recover)"
        ),
        Alarm::CommandRefused => {
            tracing::error!("the database refuses a command that the rules allow: a bug");
        }
    }
}
