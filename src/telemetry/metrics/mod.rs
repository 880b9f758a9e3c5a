//! What an operator's Prometheus reads of this process.
//!
//! Each part is handed its own metrics and counts as it goes, in its shell: the machines know nothing of it. A count costs
//! an atomic addition, a histogram's a short lock besides; label sets are made once, not for each request. What is a state
//! rather than a count is read when Prometheus asks ([`scrape`]), from memory alone: a scrape never waits for the database.
//! What only the database knows is looked up in the background ([`database`]).

pub mod database;
pub mod events;
pub mod process;
pub mod relay;
pub mod requests;
pub mod scrape;
pub mod sealer;
pub mod tasks;
pub mod writer;

use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use database::DatabaseMetrics;
use process::ProcessMetrics;
use relay::RelayMetrics;
use requests::RequestMetrics;
use sealer::SealerMetrics;
use writer::WriterMetrics;

/// The media type of [`Metrics::text`].
pub const TEXT: &str = prometheus_text::CONTENT_TYPE;

/// In front of every name.
const PREFIX: &str = "vtid_ledger";

/// One label with a value known beforehand.
type OneLabel = [(&'static str, &'static str); 1];

/// All metrics of one process.
#[derive(Debug)]
pub struct Metrics {
    /// What HTTP answers.
    pub requests: RequestMetrics,
    /// What the writer does.
    pub writer: WriterMetrics,
    /// What the relay does.
    pub relay: RelayMetrics,
    /// What the sealer does.
    pub sealer: SealerMetrics,
    /// How the process stands.
    pub process: ProcessMetrics,
    /// What only the database knows.
    pub database: DatabaseMetrics,
    registry: Registry,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "The version that runs", Info::new(version));
        let all = Self {
            requests: RequestMetrics::default(),
            writer: WriterMetrics::default(),
            relay: RelayMetrics::default(),
            sealer: SealerMetrics::default(),
            process: ProcessMetrics::default(),
            database: DatabaseMetrics::default(),
            registry: Registry::default(),
        };
        all.requests.register(&mut registry);
        all.writer.register(&mut registry);
        all.relay.register(&mut registry);
        all.sealer.register(&mut registry);
        all.process.register(&mut registry);
        all.database.register(&mut registry);
        Self { registry, ..all }
    }
}

impl Metrics {
    /// All of them in Prometheus' text format.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Err(error) = prometheus_text::encode(&mut text, &self.registry) {
            // Nothing in here refuses to be written to a string.
            tracing::error!(%error, "metrics can't be written");
        }
        text
    }
}

/// A counter for each value of a label, all of them there from the start: a rate needs the zero that comes first.
fn counters<const N: usize>(label: &'static str, values: [&'static str; N]) -> Counters<N> {
    let family = Family::default();
    let each = values.map(|value| family.get_or_create_owned(&[(label, value)]));
    Counters { family, each }
}

/// See [`counters`].
#[derive(Debug, Clone)]
struct Counters<const N: usize> {
    family: Family<OneLabel, Counter>,
    each: [Counter; N],
}
