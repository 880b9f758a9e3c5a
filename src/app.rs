//! The parts put together: one process of the ledger.

mod ground;
mod sealing;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::auth::Auth;
use crate::auth::settings::AuthSettings;
use crate::clock::Clock;
use crate::config::TuningArgs;
use crate::database::DatabaseError;
use crate::health::{Watched, watch_over};
use crate::history::History;
use crate::http::ready::Readiness;
use crate::http::{Api, App as HttpApp, HttpLimits, MalformedOrigin, serve};
use crate::leases::{Held, Leases, Role};
use crate::log::connect::pool;
use crate::log::servers::Servers;
use crate::log::{EventLog, listen, notify};
use crate::oasis::connect::{NatsArgs, NatsSettingError};
use crate::oasis::relay::machine::Limits;
use crate::oasis::relay::{self, Comparer, RelayHandle, RelayOptions, RelayStatus};
use crate::oasis::stream::StreamArgs;
use crate::projections::connections::ReadConnections;
use crate::projections::elsewhere::ReadServers;
use crate::projections::memory::TaskMemory;
use crate::projections::projector::Projector;
use crate::projections::read::Reader;
use crate::projections::status::ProjectorStatus;
use crate::sealer::settings::AuditSettings;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::metrics::scrape::Sources;
use crate::telemetry::traces::{TraceError, Traces};
use crate::writer::handle::WriterHandle;
use crate::writer::machine::WriterLimits;
use crate::writer::shell::{self as writer, Compare, WriterOptions};
use ground::Ground;
use sealing::Sealing;

/// How long writes wait for stream and ledger to be compared, whenever the writer's connection is a new one.
const COMPARE_PATIENCE: Duration = Duration::from_secs(2);
/// How often it is looked whether every part still runs.
const PARTS_POLL: Duration = Duration::from_millis(500);
/// Within this time requests under way are answered once the process is told to stop…
const HTTP_GRACE: Duration = Duration::from_secs(7);
/// … and within this time after it each other part has ended.
const PART_GRACE: Duration = Duration::from_secs(1);

/// What a process of the ledger needs.
pub struct AppOptions {
    /// The primary's address.
    pub database_url: String,
    /// How to reach NATS.
    pub nats: NatsArgs,
    /// The stream.
    pub stream: StreamArgs,
    /// What seals the log; none: nothing does.
    pub audit: Option<AuditSettings>,
    /// Where to serve HTTP; port 0 takes any.
    pub listen: SocketAddr,
    /// Who may call.
    pub auth: AuthSettings,
    /// Everything else.
    pub tuning: TuningArgs,
}

/// Why a process can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database can't be used.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// NATS can't ever be reached so.
    #[error(transparent)]
    Nats(#[from] NatsSettingError),
    /// Keys can't ever be fetched so.
    #[error("keys can't be fetched: {0}")]
    Keys(#[from] reqwest::Error),
    /// Witnesses can't ever be asked so.
    #[error("witnesses can't be asked: {0}")]
    Witnesses(reqwest::Error),
    /// Where traces go.
    #[error(transparent)]
    Traces(#[from] TraceError),
    /// The origins whose pages may read answers.
    #[error("CORS_ORIGINS: {0}")]
    Origins(#[from] MalformedOrigin),
    /// The port is in use, or may not be taken.
    #[error("can't listen on {address}: {error} (another address: {flag} ADDRESS:PORT)")]
    Listen {
        /// The setting that says where.
        flag: &'static str,
        /// What was asked for.
        address: SocketAddr,
        /// What the machine said.
        error: std::io::Error,
    },
}

/// A running process of the ledger.
pub struct App {
    address: SocketAddr,
    readiness: watch::Receiver<Readiness>,
    stops: Stops,
    http: JoinHandle<()>,
    writer: JoinHandle<()>,
    relay: RelayHandle,
    followers: Vec<JoinHandle<()>>,
    traces: Traces,
}

/// HTTP stops first, then the writer, then the followers: whoever is answered is projected too.
#[derive(Default)]
struct Stops {
    http: CancellationToken,
    writer: CancellationToken,
    followers: CancellationToken,
}

impl App {
    /// Starts every part. HTTP is served when this returns; `/readyz` tells when the writer has found the head.
    ///
    /// # Errors
    /// [`StartError`], naming what stands in the way.
    pub async fn start(options: AppOptions, clock: Clock) -> Result<Self, StartError> {
        let ground = Ground::reach(&options).await?;
        let Ground { database, log, process, elsewhere, .. } = ground;
        let AppOptions { stream, audit, auth, tuning, .. } = options;
        let (metrics, traces) = (Arc::new(Metrics::default()), Traces::from_environment()?);
        let stops = Stops::default();
        let leases = Leases::new(process, &database);
        let [(keep_projecting, projects), (keep_relaying, relays)] =
            [Role::Projector, Role::Relay].map(|role| leases.role(role));
        let relaying = relay_options(stream, relays.clone(), &metrics, &traces);
        let relay = relay::spawn(log.clone(), ground.nats.clone(), relaying, stops.followers.clone());
        let reach = (&log, &ground.nats, &database);
        let sealing = Sealing::start(audit, reach, &leases, &clock, &metrics, &stops.followers);
        let sealing = sealing.map_err(StartError::Witnesses)?;
        let writing = writer_options(&tuning, database.clone(), relay.comparer(), sealing.as_ref(), &metrics);
        let (projector, projected) = Projector::new(log.clone(), &database);
        let (handle, writer_status, writer) =
            writer::spawn(writing, clock.clone(), log.clone(), stops.writer.clone());
        let (auth, keeping_keys) = Auth::start(auth, clock.clone(), stops.http.clone())?;
        let memory = tuning.read_memory().map(|limits| TaskMemory::new(log.clone(), limits));
        let watched = Watched {
            pool: pool(database.clone(), 1),
            keys: auth.keys(),
            clock: clock.clone(),
            writer: writer_status,
            projector: projected.clone(),
            relay: relay.status(),
            process,
            unreadable: memory.as_ref().map(TaskMemory::unreadable),
            elsewhere: elsewhere.as_ref().map(ReadServers::trouble),
            leases: [projects.clone(), relays],
            sealer: sealing.as_ref().map(Sealing::watched),
        };
        let [reader, past] = readers(&database, &tuning, &projector, &projected, &handle);
        let (told, readiness) = watch::channel(Readiness::starting());
        let sources = Sources::new(&metrics, &readiness, relay.status(), [&reader, &past], &ground.followers);
        let scraping = ground.scraped.map(|at| sources.serve(at, database.clone(), &stops.followers));
        let mut followers = vec![
            keep_projecting.start(projected.clone(), ProjectorStatus::is_able, stops.followers.clone()),
            keep_relaying.start(relay.status(), RelayStatus::is_able, stops.followers.clone()),
            tokio::spawn(projector.by_lease(projects.clone()).run(stops.followers.clone())),
            tokio::spawn(watch_over(watched, told, stops.http.clone())),
        ];
        let read_by = (elsewhere.as_ref(), memory.as_ref());
        followers.extend(watching((&log, &database), &leases, read_by, &stops.followers));
        let shown = sealing.as_ref().map(|sealing| sealing.shown.clone());
        let sealing = sealing.into_iter().flat_map(Sealing::tasks);
        followers.extend(sealing.chain(keeping_keys).chain(scraping.into_iter().flatten()));
        let api = Api {
            writer: handle,
            reader: reader.with_memory(memory).with_elsewhere(elsewhere),
            history: History::new(past, log.heard()),
            audit: shown,
            clock,
            readiness: readiness.clone(),
            auth: Arc::new(auth),
            limits: http_limits(&tuning),
            origins: ground.origins,
            metrics: metrics.requests.clone(),
            traces: traces.clone(),
        };
        let http = tokio::spawn(serve(ground.listener, HttpApp::new(api), stops.http.clone()));
        Ok(Self { address: ground.address, readiness, stops, http, writer, relay, followers, traces })
    }

    /// Where HTTP is served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the process can take writes.
    pub async fn until_ready(&self) {
        // The sender lives as long as the process; were it gone, there would be nothing to wait for.
        let _ = self.readiness.clone().wait_for(|readiness| readiness.obstacle.is_none()).await;
    }

    /// Returns if a part has ended by itself, which none does but by a bug: the process is of no use then.
    pub async fn broken(&self) {
        let parts = || [&self.http, &self.writer].into_iter().chain(&self.followers);
        while !parts().any(JoinHandle::is_finished) {
            tokio::time::sleep(PARTS_POLL).await;
        }
    }

    /// Answers what is under way, and ends every part, within 10 seconds.
    pub async fn stop(self) {
        tracing::info!("stopping");
        self.stops.http.cancel();
        ended("HTTP", self.http, HTTP_GRACE + PART_GRACE).await;
        self.stops.writer.cancel();
        ended("the writer", self.writer, PART_GRACE).await;
        self.stops.followers.cancel();
        ended("the relay", tokio::spawn(self.relay.stopped()), PART_GRACE).await;
        for follower in self.followers {
            ended("a follower", follower, PART_GRACE / 4).await;
        }
        self.traces.stop().await;
        tracing::info!("stopped");
    }
}

/// Reads of what is, and of the past: each has connections of its own, so that neither can starve the other.
fn readers(
    database: &Servers,
    tuning: &TuningArgs,
    projector: &Projector,
    projected: &watch::Receiver<ProjectorStatus>,
    writer: &WriterHandle,
) -> [Reader; 2] {
    [tuning.read_connections, tuning.history_connections].map(|max| {
        let connections = ReadConnections::new(database.clone(), max);
        Reader::new(connections, projected.clone(), writer).hurrying(projector.demand())
    })
}

fn relay_options(stream: StreamArgs, lease: Held, metrics: &Metrics, traces: &Traces) -> RelayOptions {
    let (metrics, traces) = (metrics.relay.clone(), traces.clone());
    RelayOptions { stream, limits: Limits::default(), lease, metrics, traces }
}

/// Keeps what reads go to, other servers and the memory; and hears of other processes.
fn watching(
    (log, database): (&EventLog, &Servers),
    leases: &Leases,
    (elsewhere, memory): (Option<&ReadServers>, Option<&TaskMemory>),
    stop: &CancellationToken,
) -> impl Iterator<Item = JoinHandle<()>> {
    let elsewhere = elsewhere.map(|them| tokio::spawn(them.clone().watch(log.clone(), stop.clone())));
    let memory = memory.map(|memory| tokio::spawn(memory.clone().follow(stop.clone())));
    hearing(log, database, leases, stop).into_iter().chain(elsewhere).chain(memory)
}

/// Hears of other processes, tells them, and keeps looking which server is the primary.
fn hearing(
    log: &EventLog,
    database: &Servers,
    leases: &Leases,
    stop: &CancellationToken,
) -> [JoinHandle<()>; 3] {
    let (log, database) = (|| log.clone(), || database.clone());
    [
        tokio::spawn(listen::listen(log(), database(), leases.freed(), stop.clone())),
        tokio::spawn(notify::notify(log(), database(), stop.clone())),
        tokio::spawn(database().keep_lookout(stop.clone())),
    ]
}

fn writer_options(
    tuning: &TuningArgs,
    database: Servers,
    comparer: Comparer,
    sealing: Option<&Sealing>,
    metrics: &Metrics,
) -> WriterOptions {
    let doubts = sealing.map(|sealing| sealing.doubts.clone());
    // A restored database may lack what the stream has already. Whoever relays, each process looks for itself. It may have
    // another past than was sealed, too; writes do not wait for that.
    let compare: Compare = Arc::new(move || {
        if let Some(doubts) = &doubts {
            doubts.send_modify(|count| *count = count.wrapping_add(1));
        }
        let comparer = comparer.clone();
        Box::pin(async move { comparer.compare(COMPARE_PATIENCE).await })
    });
    WriterOptions {
        database,
        limits: WriterLimits { queue_commands: tuning.queue_commands as usize, ..WriterLimits::default() },
        deadline: tuning.write_deadline(),
        operation_timeout: tuning.database_timeout(),
        max_ahead: tuning.clock_ahead_max(),
        compare: Some(compare),
        metrics: metrics.writer.clone(),
    }
}

fn http_limits(tuning: &TuningArgs) -> HttpLimits {
    HttpLimits {
        connections_max: tuning.http_connections as usize,
        requests_max: tuning.http_requests as usize,
        rate: tuning.rate_limit(),
        shutdown_grace: HTTP_GRACE,
        ..HttpLimits::default()
    }
}

async fn ended(what: &str, part: JoinHandle<()>, grace: Duration) {
    let abort = part.abort_handle();
    match tokio::time::timeout(grace, part).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "{what} ended badly"),
        Err(_) => {
            tracing::warn!("{what} was cut off");
            abort.abort();
        }
    }
}
