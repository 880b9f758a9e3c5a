//! The span of each traced command's append: from when its group was sent until it was known to be in.

use std::time::Instant;

use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, SpanKind, Status};

use super::answer::{Accepted, WriteError};
use super::machine::{Closing, Output};
use crate::telemetry::traces::Below;

/// The append that began last.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastAppend {
    began: Instant,
    events: usize,
}

impl LastAppend {
    /// Of an operation that appends.
    pub(super) fn of(operation: &Output) -> Option<Self> {
        let (Output::Append(_, _, entries) | Output::CloseTurn(_, Closing::Append(_, entries))) = operation
        else {
            return None;
        };
        Some(Self { began: Instant::now(), events: entries.len() })
    }

    /// A traced command of its group is answered so. Of what was refused, or had gone in before, there is no append.
    pub(super) fn answered(self, below: &Below, answer: &Result<Accepted, WriteError>) {
        let task = match answer {
            Ok(accepted) if accepted.replayed => return,
            Ok(accepted) => Some(&accepted.task),
            Err(WriteError::OutcomeUnknown) => None,
            Err(_) => return,
        };
        let Some(mut span) = below.began("append", SpanKind::Client, self.began) else { return };
        span.set_attributes([
            KeyValue::new("db.system.name", "postgresql"),
            KeyValue::new("db.operation.batch.size", i64::try_from(self.events).unwrap_or(i64::MAX)),
        ]);
        match task {
            Some(task) => span.set_attributes([
                KeyValue::new("vtid_ledger.vtid", task.vtid.to_string()),
                KeyValue::new("vtid_ledger.position", task.position.to_string()),
            ]),
            None => span.set_status(Status::error("it may have been written")),
        }
        span.end();
    }
}
