//! The sealer: a follower that keeps the records' Merkle tree, signs its head, and looks whether the past that it is about
//! to seal over is the one that it sealed.
//!
//! [`machine`] decides, purely; [`shell`] runs it. Beside it, [`publish`] puts every checkpoint into a stream of its own, so
//! that whoever subscribes holds a copy that the database can't take back, [`cosigning`] asks others to sign, and [`walk`] looks
//! at the older past in the background. What is on record is in [`table`] and [`tiles`].

mod backwards;
pub mod bundle;
mod check;
pub mod cosigning;
mod leaves;
pub mod machine;
pub mod message;
mod outside;
mod past;
mod publish;
pub mod reader;
mod recent;
mod report;
mod session;
pub mod settings;
mod shell;
pub mod status;
pub mod stream;
pub mod table;
pub mod tiles;
mod walk;
mod witnesses;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::domain::position::Position;
use crate::leases::Held;
use crate::log::EventLog;
use crate::log::servers::Servers;
use crate::oasis::connect::{Link, Nats};
use crate::telemetry::metrics::sealer::SealerMetrics;
use crate::witness::client::WitnessClient;
use cosigning::Unsigned;
use publish::{Compared, Publisher};
use settings::{AuditKeys, AuditSettings, OnTamper};
use shell::Shell;
use status::{Finding, SealerStatus};
use stream::AuditStream;
use walk::Walk;
use witnesses::Heard;

/// What a sealer needs.
pub struct SealerOptions {
    /// Keys, stream, and what to do with writes.
    pub audit: AuditSettings,
    /// The primary, for connections of its own.
    pub database: Servers,
    /// Nothing is sealed but while this is held.
    pub lease: Held,
    /// For the times at which checkpoints are signed.
    pub clock: Clock,
    /// Where it counts what it does.
    pub metrics: SealerMetrics,
    /// Who is asked to sign too.
    pub witnesses: Vec<WitnessClient>,
}

/// What does not change.
struct Parts {
    log: EventLog,
    database: Servers,
    keys: AuditKeys,
    on_tamper: OnTamper,
    stream: AuditStream,
    link: watch::Receiver<Link>,
    lease: Held,
    clock: Clock,
    metrics: SealerMetrics,
    witnesses: Vec<WitnessClient>,
}

/// What the tasks tell each other.
struct Shared {
    status: watch::Sender<SealerStatus>,
    /// Changes when there is reason to look at the past again.
    doubts: watch::Sender<u64>,
    /// Up to where the log is sealed, as far as the process knows that seals.
    sealed: watch::Sender<Position>,
    /// What the past was held against, where it fits.
    compared: watch::Sender<Option<Compared>>,
    /// What the walk has found and is still so.
    walked: watch::Sender<Option<Finding>>,
    /// Why checkpoints are not published.
    publishing: watch::Sender<Option<String>>,
    /// What witnesses said last of the past.
    heard: Heard,
    /// Which of them do not sign.
    unsigned: watch::Sender<Unsigned>,
}

impl Shared {
    fn doubt(&self) {
        self.doubts.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// A running sealer.
pub struct SealerHandle {
    /// How it stands; changes are told.
    pub status: watch::Receiver<SealerStatus>,
    /// Why checkpoints are not published, where they are not.
    pub publishing: watch::Receiver<Option<String>>,
    /// Which witnesses do not sign, and why.
    pub unsigned: watch::Receiver<Unsigned>,
    /// To be changed by whoever has reason to believe that the database is not the one that it was.
    pub doubts: watch::Sender<u64>,
    /// Its task.
    pub task: JoinHandle<()>,
}

/// Begins to seal the log, until `stop` is cancelled. Neither NATS nor the database need be there.
#[must_use]
pub fn spawn(log: EventLog, nats: Nats, options: SealerOptions, stop: CancellationToken) -> SealerHandle {
    let SealerOptions { audit, database, lease, clock, metrics, witnesses } = options;
    let parts = Parts {
        log,
        database: database.application_name("vtid-ledger sealer"),
        keys: audit.keys,
        on_tamper: audit.on_tamper,
        stream: AuditStream::new(nats.client, audit.stream),
        link: nats.link,
        lease,
        clock,
        metrics,
        witnesses,
    };
    let shared = Shared {
        status: watch::Sender::default(),
        doubts: watch::Sender::default(),
        sealed: watch::Sender::default(),
        compared: watch::Sender::default(),
        walked: watch::Sender::default(),
        publishing: watch::Sender::default(),
        heard: Heard::default(),
        unsigned: watch::Sender::default(),
    };
    let (status, doubts) = (shared.status.subscribe(), shared.doubts.clone());
    let (publishing, unsigned) = (shared.publishing.subscribe(), shared.unsigned.subscribe());
    let task = tokio::spawn(async move {
        let sealing = Shell::new(&parts, &shared).run();
        let publishing = Publisher::new(&parts, &shared).run();
        let asking = cosigning::ask_on(&parts, &shared);
        let walking = Walk::new(&parts, &shared).run();
        tokio::select! {
            () = stop.cancelled() => {}
            never = sealing => match never {},
            never = publishing => match never {},
            never = walking => match never {},
            never = asking => match never {},
        }
    });
    SealerHandle { status, publishing, unsigned, doubts, task }
}
