//! How the process stands: read from what its parts know when Prometheus asks.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::OneLabel;
use super::writer::whole;
use crate::http::ready::{FollowerProgress, Obstacle, Readiness};
use crate::oasis::relay::{RelayStatus, State};
use crate::projections::connections::PoolUse;

type Gauges<L> = Family<L, Gauge>;
type FractionGauge = Gauge<f64, AtomicU64>;
type FollowerLabel = [(&'static str, String); 1];
type RoleLabel = FollowerLabel;

/// What the relay can be doing, as the label says it; in the order of [`relay_state`].
const RELAY_STATES: [&str; 6] =
    ["following", "connecting", "failing", "stopped", "ledger_behind", "stream_differs"];

/// Gauges of the process.
#[derive(Debug, Clone, Default)]
pub struct ProcessMetrics {
    ready: Gauge,
    degraded: Gauge,
    held: Gauge,
    head: Gauge,
    position: Gauges<FollowerLabel>,
    lag_events: Gauges<FollowerLabel>,
    lag_seconds: Family<FollowerLabel, FractionGauge>,
    follower_trouble: Gauges<FollowerLabel>,
    relay_state: Gauges<OneLabel>,
    connections: Gauges<[(&'static str, &'static str); 2]>,
    connections_max: Gauges<OneLabel>,
    lease_held: Gauges<RoleLabel>,
}

impl ProcessMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("ready", "1 where /readyz answers 200, else 0", self.ready.clone());
        let degraded = "How many things are wrong although the process works, as /readyz names them";
        registry.register("degraded", degraded, self.degraded.clone());
        let held = "1 while writes are on hold because the ledger lost history, else 0";
        registry.register("hold", held, self.held.clone());
        registry.register("head", "The log's last position, as last seen", self.head.clone());
        let position = "Up to which position a follower has worked";
        registry.register("follower_position", position, self.position.clone());
        let lag_events = "How many events a follower has yet to work on";
        registry.register("follower_lag_events", lag_events, self.lag_events.clone());
        let lag_seconds = "How old the oldest event is that a follower has yet to work on";
        registry.register("follower_lag_seconds", lag_seconds, self.lag_seconds.clone());
        let trouble = "1 while a follower can't work, as /readyz says, else 0";
        registry.register("follower_trouble", trouble, self.follower_trouble.clone());
        let relay_state = "1 for what the relay does, 0 for all else";
        registry.register("relay_state", relay_state, self.relay_state.clone());
        let connections = "Connections to PostgreSQL that are there, by pool, used and idle";
        registry.register("pool_connections", connections, self.connections.clone());
        let connections_max = "Connections that a pool may have";
        registry.register("pool_connections_max", connections_max, self.connections_max.clone());
        let lease_held = "1 where this process holds the lease of a role, else 0";
        registry.register("lease_held", lease_held, self.lease_held.clone());
    }

    pub(super) fn read(&self, readiness: &Readiness, relay: &RelayStatus) {
        self.ready.set(readiness.obstacle.is_none().into());
        self.degraded.set(whole(readiness.degraded.len()));
        let state = relay_state(&relay.state);
        for known in RELAY_STATES {
            self.relay_state.get_or_create(&[("state", known)]).set((known == state).into());
        }
        // Without the database nobody knows these; what was last known says more than a zero.
        if readiness.obstacle == Some(Obstacle::DatabaseAway) {
            return;
        }
        self.held.set(readiness.held.into());
        self.head.set(readiness.head.to_i64());
        readiness.followers.iter().for_each(|follower| self.read_follower(follower));
    }

    fn read_follower(&self, follower: &FollowerProgress) {
        let label = [("follower", follower.name.clone())];
        self.position.get_or_create(&label).set(follower.position.to_i64());
        self.lag_events.get_or_create(&label).set(i64::try_from(follower.lag_events).unwrap_or(i64::MAX));
        self.lag_seconds.get_or_create(&label).set(follower.lag.as_secs_f64());
        self.follower_trouble.get_or_create(&label).set(follower.error.is_some().into());
        self.lease_held.get_or_create(&[("role", follower.name.clone())]).set(follower.leads.into());
    }

    pub(super) fn read_pool(&self, pool: &'static str, use_now: PoolUse) {
        let PoolUse { used, idle, max } = use_now;
        self.connections.get_or_create(&[("pool", pool), ("state", "used")]).set(whole(used));
        self.connections.get_or_create(&[("pool", pool), ("state", "idle")]).set(whole(idle));
        self.connections_max.get_or_create(&[("pool", pool)]).set(whole(max));
    }
}

/// As [`RELAY_STATES`] has it.
fn relay_state(state: &State) -> &'static str {
    match state {
        State::Following => "following",
        State::Connecting => "connecting",
        State::Failing => "failing",
        State::Stopped { .. } => "stopped",
        State::LedgerBehind { .. } => "ledger_behind",
        State::StreamDiffers => "stream_differs",
    }
}
