//! How many tasks there are, by status, family and tenant: the last count as a whole, never half of two.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::projections::counts::TaskCount;

/// The last count: cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct TaskCounts {
    last: Arc<Mutex<Vec<TaskCount>>>,
}

impl TaskCounts {
    /// Puts a count in the last one's place. No two may have the same labels.
    pub fn set(&self, counts: Vec<TaskCount>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }
}

impl Collector for TaskCounts {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let help =
            "Tasks by status, family and tenant: of the largest such sets each, of all others together";
        let mut metric = encoder.encode_descriptor("tasks", help, None, MetricType::Gauge)?;
        for TaskCount { status, family, tenant, tasks } in last {
            let labels =
                [("status", status.as_str()), ("family", family.as_str()), ("tenant", tenant.as_str())];
            ConstGauge::new(tasks).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
