//! What the sealer does.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::domain::position::Position;

type WitnessLabel = [(&'static str, String); 1];

/// The sealer's metrics: cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct SealerMetrics {
    checkpoints: Counter,
    walked: Gauge,
    tampered: Gauge,
    unsigned: Family<WitnessLabel, Gauge>,
}

impl SealerMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let checkpoints = "Checkpoints that this process signed and put on record";
        registry.register("checkpoints_signed", checkpoints, self.checkpoints.clone());
        let walked = "How far the present walk over all that was sealed has come, which finds what was changed since; it \
                      begins again and again";
        registry.register("sealer_walked_position", walked, self.walked.clone());
        let tampered = "1 while this process finds that the past is not the one that was sealed, and seals nothing, else 0";
        registry.register("tampered", tampered, self.tampered.clone());
        let unsigned = "1 while a witness does not sign what this process seals, as /readyz says, else 0";
        registry.register("witness_trouble", unsigned, self.unsigned.clone());
    }

    /// A checkpoint was put on record.
    pub fn sealed(&self) {
        self.checkpoints.inc();
    }

    /// How far the past has been looked at.
    pub fn walked(&self, position: Position) {
        self.walked.set(position.to_i64());
    }

    /// Whether the past is another one.
    pub fn tampered(&self, is: bool) {
        self.tampered.set(is.into());
    }

    /// Whether a witness does not sign.
    pub fn unsigned(&self, witness: &str, is: bool) {
        self.unsigned.get_or_create(&[("witness", witness.to_owned())]).set(is.into());
    }
}
