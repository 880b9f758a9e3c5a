//! The sealer with its lease.

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::health::WatchedSealer;
use crate::leases::{Held, Leases, Role};
use crate::log::EventLog;
use crate::log::connect::pool;
use crate::log::servers::Servers;
use crate::oasis::connect::Nats;
use crate::sealer::cosigning::Unsigned;
use crate::sealer::reader::AuditReader;
use crate::sealer::settings::AuditSettings;
use crate::sealer::status::SealerStatus;
use crate::sealer::{SealerHandle, SealerOptions, spawn};
use crate::telemetry::metrics::Metrics;
use crate::witness::client::WitnessClient;

/// Connections of reads of the transparency log.
const AUDIT_CONNECTIONS: u32 = 4;

/// The part of a process that seals the log.
pub(super) struct Sealing {
    /// To be changed by whoever has reason to believe that the database is another one.
    pub(super) doubts: watch::Sender<u64>,
    /// What auditors read, by connections of their own.
    pub(super) shown: AuditReader,
    status: watch::Receiver<SealerStatus>,
    publishing: watch::Receiver<Option<String>>,
    unsigned: watch::Receiver<Unsigned>,
    lease: Held,
    tasks: [JoinHandle<()>; 2],
}

impl Sealing {
    /// Begins to seal, if there is a key.
    ///
    /// # Errors
    /// Witnesses can't ever be asked from here: the machine has no certificates, say.
    pub(super) fn start(
        audit: Option<AuditSettings>,
        (log, nats, database): (&EventLog, &Nats, &Servers),
        leases: &Leases,
        clock: &Clock,
        metrics: &Metrics,
        stop: &CancellationToken,
    ) -> Result<Option<Self>, reqwest::Error> {
        let Some(audit) = audit else { return Ok(None) };
        tracing::info!(origin = %audit.keys.origin(), "the log is sealed under this name");
        for witness in audit.witnesses.iter().filter(|witness| witness.is_in_the_open()) {
            let name = witness.key.name();
            tracing::warn!(witness = %name, "a witness elsewhere is asked without TLS: whoever is on the way there can answer in \
                its name that the past is another one, which stops all writes; use https");
        }
        let (keep_sealing, lease) = leases.role(Role::Sealer);
        let auditors = pool(database.clone(), AUDIT_CONNECTIONS);
        let shown = AuditReader::new(auditors, audit.keys.origin().clone());
        let asked = audit.witnesses.iter().cloned();
        let options = SealerOptions {
            witnesses: asked.map(WitnessClient::new).collect::<Result<_, _>>()?,
            audit,
            database: database.clone(),
            lease: lease.clone(),
            clock: clock.clone(),
            metrics: metrics.sealer.clone(),
        };
        let SealerHandle { status, publishing, unsigned, doubts, task } =
            spawn(log.clone(), nats.clone(), options, stop.clone());
        let keeping = keep_sealing.start(status.clone(), SealerStatus::is_able, stop.clone());
        Ok(Some(Self { doubts, shown, status, publishing, unsigned, lease, tasks: [keeping, task] }))
    }

    /// For whoever looks how the process stands.
    pub(super) fn watched(&self) -> WatchedSealer {
        let (status, publishing) = (self.status.clone(), self.publishing.clone());
        WatchedSealer { status, publishing, unsigned: self.unsigned.clone(), lease: self.lease.clone() }
    }

    pub(super) fn tasks(self) -> [JoinHandle<()>; 2] {
        self.tasks
    }
}
