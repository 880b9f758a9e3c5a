//! Events that this process's writer appended. Each event is counted by the one process that appended it, so that the
//! counters of all replicas add up to the ledger; a follower's would count every event once in each replica, and the past
//! again whenever it begins anew.

use std::sync::Arc;

use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{Counters, counters};
use crate::domain::event::EventType;
use crate::log::entry::Entry;

const HOUR: f64 = 3_600.0;
/// A minute, ten; 1, 4, 12 hours; 1, 3 days; 1, 4 weeks; a quarter.
const DURATION_BUCKETS: [f64; 10] = [
    60.0,
    600.0,
    HOUR,
    4.0 * HOUR,
    12.0 * HOUR,
    24.0 * HOUR,
    72.0 * HOUR,
    168.0 * HOUR,
    672.0 * HOUR,
    2_190.0 * HOUR,
];
const GROUP_BUCKETS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 256.0, 512.0];

/// What was appended.
#[derive(Debug, Clone)]
pub struct EventMetrics {
    by_type: Counters<3>,
    group: Histogram,
    duration: Histogram,
}

impl Default for EventMetrics {
    fn default() -> Self {
        Self {
            by_type: counters("type", EventType::ALL.map(EventType::as_str)),
            group: Histogram::new(GROUP_BUCKETS),
            duration: Histogram::new(DURATION_BUCKETS),
        }
    }
}

impl EventMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let by_type =
            "Events that this process appended, by type; those of type vtid-created are the tasks it created";
        registry.register("events_appended", by_type, self.by_type.family.clone());
        let group = "Events that this process appended at once";
        registry.register("group_events", group, self.group.clone());
        let duration =
            "Seconds from a task's creation to its completion, of tasks that this process completed";
        registry.register("task_duration_seconds", duration, self.duration.clone());
    }

    /// These stand in the log now. Another process's, which this writer found there, are not counted: of those it does not
    /// know what they did.
    pub fn handed_over(&self, entries: &[Arc<Entry>]) {
        let mut own = 0_u32;
        for entry in entries {
            let Some(transition) = &entry.transition else { continue };
            let event = &entry.recorded.event;
            let kind = event.data.event_type();
            own += 1;
            self.by_type.each[kind as usize].inc();
            if kind == EventType::Completed {
                let millis = event.recorded_at.millis() - transition.after.created_at.millis();
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "10,000 years have fewer than 2^53 milliseconds"
                )]
                self.duration.observe(millis as f64 / 1_000.0);
            }
        }
        if own > 0 {
            self.group.observe(f64::from(own));
        }
    }
}
