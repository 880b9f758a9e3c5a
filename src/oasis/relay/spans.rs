//! The span of each publish, in the trace that the event bears; where traces are on.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, SpanKind, Status};
use opentelemetry_sdk::trace::Span;

use super::feed::Ready;
use super::machine::{Answer, Generation, Input};
use crate::domain::position::Position;
use crate::telemetry::traces::{Traces, age_of, context_of};

/// An event older than this is put back, not published for the first time: its trace was closed long ago.
const NEWS: Duration = Duration::from_hours(1);

/// Spans of publishes that have no answer yet: as many as are in flight, at most.
pub(super) struct PublishSpans {
    traces: Traces,
    generation: Generation,
    open: BTreeMap<Position, Span>,
}

impl PublishSpans {
    pub(super) fn new(traces: Traces) -> Self {
        Self { traces, generation: Generation::default(), open: BTreeMap::new() }
    }

    /// An event is published.
    pub(super) fn begin(&mut self, generation: Generation, ready: &Ready) {
        if !self.traces.are_on() {
            return;
        }
        if self.generation != generation {
            self.give_up();
            self.generation = generation;
        }
        let event = &ready.entry.recorded.event;
        let Some(parent) = event.origin.traceparent.as_ref().and_then(context_of) else { return };
        if age_of(event.recorded_at) > NEWS {
            return;
        }
        let Some(mut span) = self.traces.begin("publish", SpanKind::Producer, Some(parent)) else { return };
        if !span.is_recording() {
            return;
        }
        span.set_attributes([
            KeyValue::new("messaging.system", "nats"),
            KeyValue::new("messaging.operation.type", "send"),
            KeyValue::new("messaging.message.id", event.id.to_string()),
            KeyValue::new("vtid_ledger.vtid", event.vtid.to_string()),
            KeyValue::new("vtid_ledger.position", event.position.to_string()),
        ]);
        self.open.insert(event.position, span);
    }

    /// `JetStream` answered to a publish.
    pub(super) fn answered(&mut self, input: &Input) {
        let Input::Acked { generation, position, answer } = input else { return };
        if *generation != self.generation {
            return;
        }
        let Some(mut span) = self.open.remove(position) else { return };
        match answer {
            Answer::Stored { .. } => {}
            Answer::Duplicate => span.set_attribute(KeyValue::new("vtid_ledger.duplicate", true)),
            Answer::Refused => span.set_status(Status::error("JetStream did not take it")),
        }
        span.end();
    }

    /// A new attempt begins: what the last one left open was not answered.
    fn give_up(&mut self) {
        while let Some((_, mut span)) = self.open.pop_first() {
            span.set_status(Status::error("no answer"));
            span.end();
        }
    }
}
