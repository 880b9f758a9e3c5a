//! What the process knows of itself: looked at a few times a second, told by `/readyz`.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::auth::jwks;
use crate::clock::Clock;
use crate::domain::position::Position;
use crate::http::ready::{FollowerProgress, Obstacle, Readiness};
use crate::leases::{Held, LeaseStatus, ProcessId, Role};
use crate::log::pool::Pool;
use crate::log::probe::{Probe, probe};
use crate::oasis::relay::RelayStatus;
use crate::projections::memory::Unreadable;
use crate::projections::status::{ProjectorState, ProjectorStatus};
use crate::sealer::cosigning::Unsigned;
use crate::sealer::status::SealerStatus;
use crate::writer::shell::WriterStatus;

/// How often.
const EVERY: Duration = Duration::from_millis(250);
/// A database that takes longer to answer counts as away.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Whom to look at.
pub struct Watched {
    /// For looking at the log.
    pub pool: Pool,
    /// The time of day.
    pub clock: Clock,
    /// The keys that tokens are checked with, if any are fetched.
    pub keys: Option<jwks::Watch>,
    /// The writer.
    pub writer: watch::Receiver<WriterStatus>,
    /// The projector.
    pub projector: watch::Receiver<ProjectorStatus>,
    /// The relay.
    pub relay: watch::Receiver<RelayStatus>,
    /// Which process this is.
    pub process: ProcessId,
    /// What the memory of states can't read of the log, where there is one.
    pub unreadable: Option<watch::Receiver<Option<Unreadable>>>,
    /// What is wrong with the servers that reads may go to besides the primary, where there are any.
    pub elsewhere: Option<watch::Receiver<Option<String>>>,
    /// The projector's lease and the relay's.
    pub leases: [Held; 2],
    /// The sealer, where there is a key to seal with.
    pub sealer: Option<WatchedSealer>,
}

/// The sealer, to be looked at.
pub struct WatchedSealer {
    /// How it stands.
    pub status: watch::Receiver<SealerStatus>,
    /// Why its checkpoints are not published.
    pub publishing: watch::Receiver<Option<String>>,
    /// Which witnesses do not sign.
    pub unsigned: watch::Receiver<Unsigned>,
    /// Its lease.
    pub lease: Held,
}

/// A follower as it tells of itself.
struct Told {
    name: &'static str,
    position: Position,
    error: Option<String>,
    lease: Held,
}

/// Keeps `readiness` current until cancelled; then it says that the process shuts down.
pub async fn watch_over(watched: Watched, readiness: watch::Sender<Readiness>, stop: CancellationToken) {
    loop {
        let now = watched.look().await;
        readiness.send_if_modified(|known| {
            let changed = *known != now;
            *known = now;
            changed
        });
        if stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            readiness.send_modify(|known| known.obstacle = Some(Obstacle::ShuttingDown));
            return;
        }
    }
}

impl Watched {
    async fn look(&self) -> Readiness {
        let (projector, relay) = (self.projector.borrow().clone(), self.relay.borrow().clone());
        let told = self.told(&projector, &relay);
        let positions: Vec<Position> = told.iter().map(|follower| follower.position).collect();
        let probed = tokio::time::timeout(PROBE_TIMEOUT, probe(&self.pool, &positions)).await;
        let probe = match probed {
            Ok(Ok(probe)) => Some(probe),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the database does not answer");
                None
            }
            Err(_) => {
                tracing::warn!("the database takes too long to answer");
                None
            }
        };
        let started = self.writer.borrow().head.is_some();
        let unreadable = self.unreadable.as_ref().and_then(|told| told.borrow().clone());
        let obstacle = obstacle(started, probe.as_ref(), &projector, &relay, unreadable);
        let head = probe.as_ref().map_or(Position::ZERO, |probe| probe.head);
        let followers = told.into_iter().enumerate();
        let followers = followers.map(|(index, told)| self.follower(told, index, probe.as_ref()));
        let followers: Vec<FollowerProgress> = followers.collect();
        let hold = probe.and_then(|probe| probe.hold);
        let is_held = hold.is_some();
        let hold = hold.map(|hold| format!("ledger_behind: {}; writes are on hold", hold.reason));
        let told = |follower: &FollowerProgress| {
            follower.error.as_ref().map(|error| format!("{}: {error}", follower.name))
        };
        let degraded = followers.iter().filter_map(told).chain(hold);
        let elsewhere = self.elsewhere.as_ref().and_then(|told| told.borrow().clone());
        let elsewhere = elsewhere.map(|why| format!("standby: {why}; reads go to the primary"));
        let publishing = self.sealer.as_ref().and_then(|sealer| sealer.publishing.borrow().clone());
        let unsigned =
            self.sealer.as_ref().map(|sealer| sealer.unsigned.borrow().clone()).unwrap_or_default();
        let unsigned =
            unsigned.into_iter().map(|(name, why)| format!("the witness {name} does not sign: {why}"));
        let degraded = degraded.chain(publishing).chain(unsigned).chain(elsewhere);
        let degraded = degraded.chain(self.keys.as_ref().and_then(jwks::Watch::trouble)).collect();
        Readiness { process: Some(self.process), obstacle, head, held: is_held, followers, degraded }
    }

    /// Each follower that this process runs.
    fn told(&self, projector: &ProjectorStatus, relay: &RelayStatus) -> Vec<Told> {
        let [projects, relays] = self.leases.clone();
        let mut told = vec![
            Told {
                name: Role::Projector.name(),
                position: projector.position,
                error: projector.state.trouble(),
                lease: projects,
            },
            Told {
                name: Role::Relay.name(),
                position: relay.position,
                error: relay.degraded(),
                lease: relays,
            },
        ];
        told.extend(self.sealer.as_ref().map(|sealer| {
            let status = sealer.status.borrow().clone();
            let (position, error) = (status.position, status.state.trouble());
            Told { name: Role::Sealer.name(), position, error, lease: sealer.lease.clone() }
        }));
        told
    }

    fn follower(&self, told: Told, index: usize, probe: Option<&Probe>) -> FollowerProgress {
        let Told { name, position, error, lease } = told;
        let (leads, LeaseStatus { standing, trouble, .. }) = (lease.is_held(), lease.status());
        let lease_trouble = trouble.filter(|_| !leads);
        let lease_trouble = lease_trouble.map(|trouble| format!("the lease can't be asked for: {trouble}"));
        let head = probe.map_or(position, |probe| probe.head);
        let waiting_since = probe.and_then(|probe| probe.next_recorded_at.get(index).copied().flatten());
        let now = self.clock.now();
        let lag_ms = waiting_since.map_or(0, |since| now.millis().saturating_sub(since.millis()));
        FollowerProgress {
            name: name.to_owned(),
            position,
            lag_events: head.get().saturating_sub(position.get()),
            lag: Duration::from_millis(u64::try_from(lag_ms).unwrap_or(0)),
            error: error.or(lease_trouble),
            leads,
            holder: standing.map(|standing| standing.holder),
        }
    }
}

fn obstacle(
    started: bool,
    probe: Option<&Probe>,
    projector: &ProjectorStatus,
    relay: &RelayStatus,
    unreadable: Option<Unreadable>,
) -> Option<Obstacle> {
    if probe.is_none() {
        return Some(Obstacle::DatabaseAway);
    }
    if let ProjectorState::Stopped { position, reason, unreadable: true } = &projector.state {
        return Some(Obstacle::UnknownEvent { position: *position, what: reason.clone() });
    }
    if let Some((position, what)) = &relay.unreadable {
        return Some(Obstacle::UnknownEvent { position: *position, what: what.clone() });
    }
    // Where another process projects and relays, those two have not come by.
    if let Some(Unreadable { position, what }) = unreadable {
        return Some(Obstacle::UnknownEvent { position, what });
    }
    (!started).then_some(Obstacle::Starting)
}
