//! What the writer does: how many commands wait, how its appends end and how long they take.

use std::sync::Arc;
use std::time::Instant;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::events::EventMetrics;
use super::{Counters, counters};
use crate::log::entry::Entry;
use crate::writer::machine::{Closing, Failure, Input, Output};

/// In seconds. The writer gives up an append after three, unless it is told otherwise.
const BUCKETS: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];

/// How an append can end, as the label says it; in the order of [`index`].
const OUTCOMES: [&str; 8] =
    ["appended", "lost_race", "held", "time_refused", "conflict", "refused", "not_written", "unknown"];

/// The writer's metrics: cheap to clone.
#[derive(Debug, Clone)]
pub struct WriterMetrics {
    queue: Gauge,
    queue_max: Gauge,
    appends: Counters<8>,
    append_seconds: Histogram,
    turns: Counter,
    events: EventMetrics,
}

impl Default for WriterMetrics {
    fn default() -> Self {
        Self {
            queue: Gauge::default(),
            queue_max: Gauge::default(),
            appends: counters("outcome", OUTCOMES),
            append_seconds: Histogram::new(BUCKETS),
            turns: Counter::default(),
            events: EventMetrics::default(),
        }
    }
}

impl WriterMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let queue = "Commands that wait for the writer, or that it is at work on";
        registry.register("queue_commands", queue, self.queue.clone());
        let queue_max = "Commands that may wait: further ones are answered with 503";
        registry.register("queue_commands_max", queue_max, self.queue_max.clone());
        let appends =
            "Appends to the log by what was known of them at their end; lost_race: another process was first";
        registry.register("appends", appends, self.appends.family.clone());
        let append_seconds = "Seconds that an append to the log took, however it ended";
        registry.register("append_duration_seconds", append_seconds, self.append_seconds.clone());
        let turns = "Times that the writer took its turn under the append lock: to settle how an append had ended, or because others append too";
        registry.register("turns", turns, self.turns.clone());
        self.events.register(registry);
    }

    /// How many commands may wait.
    pub fn queue_max(&self, commands: usize) {
        self.queue_max.set(whole(commands));
    }

    /// How many commands wait or are being worked on.
    pub fn queue(&self, commands: usize) {
        self.queue.set(whole(commands));
    }

    /// These entries stand in the log.
    pub fn handed_over(&self, entries: &[Arc<Entry>]) {
        self.events.handed_over(entries);
    }

    /// An operation begins.
    #[must_use]
    pub fn begin(&self, operation: &Output) -> UnderWay {
        let appends = matches!(operation, Output::Append(..) | Output::CloseTurn(_, Closing::Append(..)));
        UnderWay { metrics: self.clone(), appends: appends.then(Instant::now) }
    }
}

/// An operation under way.
#[derive(Debug)]
pub struct UnderWay {
    metrics: WriterMetrics,
    /// When it began, if it appends.
    appends: Option<Instant>,
}

impl UnderWay {
    /// It ended so.
    pub fn end(self, input: &Input) {
        if let Input::TurnOpened(_, Some(_)) = input {
            self.metrics.turns.inc();
        }
        let (Input::Appended(_, outcome) | Input::TurnClosed(_, outcome)) = input else { return };
        if let Some(began) = self.appends {
            self.metrics.append_seconds.observe(began.elapsed().as_secs_f64());
            self.metrics.appends.each[index(*outcome)].inc();
        }
    }
}

/// Where [`OUTCOMES`] has it.
fn index(outcome: Result<(), Failure>) -> usize {
    match outcome {
        Ok(()) => 0,
        Err(Failure::NotTheHead) => 1,
        Err(Failure::Held) => 2,
        Err(Failure::TimeRefused) => 3,
        Err(Failure::Conflict) => 4,
        Err(Failure::Refused) => 5,
        Err(Failure::NotWritten) => 6,
        Err(Failure::Unknown) => 7,
    }
}

/// For a gauge.
pub(super) fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
