//! What `JetStream` answers to the relay.

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{Counters, counters};
use crate::domain::position::Position;
use crate::oasis::relay::machine::{Answer, Input};

/// The relay's metrics: cheap to clone.
#[derive(Debug, Clone)]
pub struct RelayMetrics {
    publishes: Counters<3>,
    scrubbed: Gauge,
}

impl Default for RelayMetrics {
    fn default() -> Self {
        Self {
            publishes: counters("outcome", ["published", "duplicate", "refused"]),
            scrubbed: Gauge::default(),
        }
    }
}

impl RelayMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let publishes = "Publishes by JetStream's answer. Some refusals are as they should be: where two relays publish the \
                         same event, and behind a message that was refused";
        registry.register("relay_publishes", publishes, self.publishes.family.clone());
        let scrubbed = "How far the present walk over the whole stream has come, which finds what was damaged since it was \
                        published; it begins again and again";
        registry.register("relay_scrubbed_position", scrubbed, self.scrubbed.clone());
    }

    /// How far the stream has been read again.
    pub fn scrubbed(&self, position: Position) {
        self.scrubbed.set(position.to_i64());
    }

    /// An answer came in, also one to an earlier attempt.
    pub fn answered(&self, input: &Input) {
        let Input::Acked { answer, .. } = input else { return };
        let index = match answer {
            Answer::Stored { .. } => 0,
            Answer::Duplicate => 1,
            Answer::Refused => 2,
        };
        self.publishes.each[index].inc();
    }
}
