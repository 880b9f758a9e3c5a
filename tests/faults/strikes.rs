//! The faults: how each begins, how it ends, and what an operator does about it where one must.

use std::time::{Duration, Instant};

use fastrand::Rng;
use nix::sys::signal::{Signal, kill};

use super::callers::Callers;
use super::stage::{Need, Stage};
use super::wire::{Cut, Slow};
use super::{backends, flood, halves, limit, store};
use crate::support::probes::pid;

/// What is struck. Two faults strike together only where they strike different parts, in this order; they end in the
/// order of [`Part::ends`].
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Part {
    Nats,
    Callers,
    Clock,
    Wire,
    Postgres,
    Ledger,
}

macro_rules! faults {
    ($($fault:ident, $part:ident, $name:literal;)*) => {
        /// One kind of fault.
        #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
        pub(crate) enum Fault { $($fault,)* }

        impl Fault {
            /// All of them.
            pub(crate) const ALL: &[Self] = &[$(Self::$fault,)*];

            /// What the report calls it.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$fault => $name,)* }
            }

            /// What it strikes.
            pub(crate) fn part(self) -> Part {
                match self { $(Self::$fault => Part::$part,)* }
            }
        }
    };
}

faults! {
    LedgerKilled, Ledger, "ledger killed (SIGKILL) and started again";
    LedgerFrozen, Ledger, "one ledger of three frozen";
    PostgresKilled, Postgres, "PostgreSQL killed (SIGKILL) and started again";
    BackendsTerminated, Postgres, "its connections terminated (pg_terminate_backend)";
    BackendsCancelled, Postgres, "its statements cancelled (pg_cancel_backend)";
    PostgresPaused, Postgres, "PostgreSQL frozen for less than a time-out";
    PostgresFrozen, Postgres, "PostgreSQL frozen for longer than every time-out";
    CutBefore, Wire, "connection cut before the append arrives";
    CutDuring, Wire, "connection cut during the append";
    CutBeforeAnswer, Wire, "connection cut before COMMIT's answer";
    HeldBack, Wire, "the append's bytes held and let through seconds later";
    SlowNetwork, Wire, "network to PostgreSQL at 1 MB/s and 200 ms";
    NatsKilled, Nats, "NATS killed (SIGKILL) and started again";
    NatsFrozen, Nats, "NATS frozen";
    TailLost, Nats, "NATS back with an older store: its tail lost";
    StoreLost, Nats, "NATS back with an empty store";
    MessageRemoved, Nats, "a message removed from the middle of the stream";
    MessageDamaged, Nats, "a message damaged in NATS's file";
    ForeignMessage, Nats, "a foreign message in the stream";
    StreamFull, Nats, "JetStream over its limit";
    DiskFull, Postgres, "PostgreSQL's disk full";
    ClockBack, Clock, "the clock steps back an hour";
    ClockAhead, Clock, "the clock steps ahead a year, which PostgreSQL's does not bear out";
    NewYear, Clock, "the clock steps across a new year and back";
    HalfRequests, Callers, "clients that send half a request and go";
    Overload, Callers, "ten times more requests than are served at once";
}

const HOUR_S: i64 = 3_600;
const YEAR_S: i64 = 366 * 24 * HOUR_S;

impl Part {
    /// What has to be there again before the others can be looked at ends first; the ledger comes back last.
    pub(crate) fn ends(self) -> u8 {
        match self {
            Self::Postgres => 0,
            Self::Wire => 1,
            Self::Nats => 2,
            Self::Clock => 3,
            Self::Callers => 4,
            Self::Ledger => 5,
        }
    }
}

impl Fault {
    /// What the stage must have for it.
    pub(crate) fn needs(self) -> &'static [Need] {
        match self {
            Self::DiskFull => &[Need::SmallDisk],
            Self::ClockBack | Self::ClockAhead => &[Need::Clock],
            Self::NewYear => &[Need::Clock, Need::TrustInItsClock],
            Self::Overload => &[Need::FewRequests],
            Self::LedgerFrozen => &[Need::Replicas],
            _ => &[],
        }
    }

    /// For how long, from its beginning to its end.
    pub(crate) fn lasting(self, random: &mut Rng) -> Duration {
        let between = |from: u64, to: u64, random: &mut Rng| Duration::from_millis(random.u64(from..to));
        match self {
            Self::PostgresPaused => between(300, 900, random),
            // A read waits 5 s at most, and nothing waits longer.
            Self::PostgresFrozen => between(5_500, 7_000, random),
            // For less or more than its leases last.
            Self::NatsFrozen | Self::LedgerFrozen => between(500, 8_000, random),
            Self::SlowNetwork | Self::DiskFull => between(2_500, 4_500, random),
            Self::Overload => Duration::from_mins(1),
            _ => between(100, 2_500, random),
        }
    }

    /// Strikes; gives how often it did so, where that is known at once.
    pub(crate) async fn begin(self, stage: &mut Stage, callers: &mut Callers, random: &mut Rng) -> usize {
        match self {
            Self::LedgerKilled => stage.kill_ledger(&callers.scene),
            Self::LedgerFrozen => {
                stage.signal_ledger(Signal::SIGSTOP);
                // Those who wait for it already are left to it.
                callers.scene.retarget(stage.other_targets());
            }
            Self::PostgresKilled => stage.kill_postgres().await,
            Self::BackendsTerminated => return backends::strike(stage, "pg_terminate_backend", random).await,
            Self::BackendsCancelled => return backends::strike(stage, "pg_cancel_backend", random).await,
            Self::PostgresPaused | Self::PostgresFrozen => stage.signal_postgres(Signal::SIGSTOP),
            Self::CutBefore | Self::CutDuring | Self::CutBeforeAnswer | Self::HeldBack => {
                let count = random.usize(1..4);
                (0..count).for_each(|_| stage.wire.arm(self.cut(random)));
                return count;
            }
            Self::SlowNetwork => {
                let (latency, bytes_per_s) = (Duration::from_millis(100), 1e6);
                stage.wire.slow(Some(Slow { latency, bytes_per_s }));
            }
            Self::NatsKilled => stage.nats.kill().await,
            Self::NatsFrozen => kill(pid(stage.nats.server().pid()), Signal::SIGSTOP).unwrap(),
            Self::TailLost => {
                let older = stage.nats.snapshot_store().await;
                callers.scene.further(40).await;
                stage.nats.restore_store(&older).await;
            }
            Self::StoreLost => stage.nats.wipe_store().await,
            Self::MessageRemoved => store::remove_message(stage, random).await,
            Self::MessageDamaged => store::damage_message(stage, random).await,
            Self::ForeignMessage => store::publish_foreign(stage).await,
            Self::StreamFull => limit::lower(stage, &callers.scene).await,
            Self::DiskFull => stage.disk().fill(),
            Self::ClockBack => stage.set_clock(-HOUR_S).await,
            Self::ClockAhead | Self::NewYear => stage.set_clock(YEAR_S).await,
            Self::HalfRequests => return halves::send(&stage.target().base, random).await,
            Self::Overload => flood::begin(callers),
        }
        1
    }

    fn cut(self, random: &mut Rng) -> Cut {
        match self {
            Self::CutBefore => Cut::Before,
            Self::CutDuring => Cut::During(random.f64()),
            Self::CutBeforeAnswer => Cut::BeforeAnswer(random.usize(..40)),
            _ => Cut::Held(Duration::from_millis(random.u64(300..4_000))),
        }
    }

    /// Ends what began; gives when its cause had ended.
    pub(crate) async fn end(self, stage: &mut Stage, callers: &mut Callers) -> Instant {
        match self {
            Self::LedgerKilled => {
                let ended = Instant::now();
                stage.start_ledger();
                callers.scene.retarget(stage.targets());
                return ended;
            }
            Self::LedgerFrozen => {
                stage.signal_ledger(Signal::SIGCONT);
                callers.scene.retarget(stage.targets());
            }
            Self::PostgresKilled => stage.start_postgres().await,
            Self::PostgresPaused | Self::PostgresFrozen => stage.signal_postgres(Signal::SIGCONT),
            Self::SlowNetwork => stage.wire.slow(None),
            Self::NatsKilled => stage.nats.start().await,
            Self::NatsFrozen => kill(pid(stage.nats.server().pid()), Signal::SIGCONT).unwrap(),
            Self::StreamFull => stage.nats.limit_store(None).await,
            Self::DiskFull => stage.empty_disk().await,
            Self::ClockBack | Self::ClockAhead | Self::NewYear => stage.set_clock(0).await,
            Self::Overload => flood::end(callers).await,
            _ => {}
        }
        Instant::now()
    }

    /// Makes sure that it struck, now that writes go on or are about to.
    pub(crate) async fn has_struck(self, stage: &Stage, callers: &Callers) {
        match self {
            _ if self.part() == Part::Wire => stage.wire.until_fired().await,
            Self::DiskFull => {
                assert!(stage.postgres_said("No space left on device"), "the disk was not full");
            }
            Self::Overload => flood::has_struck(stage, callers).await,
            _ => {}
        }
    }

    /// What the operator does by the documented command, where the design asks for one; tells whether it does.
    pub(crate) async fn operate(self, stage: &Stage) -> bool {
        let must = |had_to: bool| {
            assert!(had_to, "`oasis check` found nothing wrong after {self:?}");
            had_to
        };
        match self {
            Self::MessageRemoved => must(store::check_and_rebuild(stage, "no message").await),
            Self::ForeignMessage => must(store::check_and_rebuild(stage, "foreign").await),
            Self::MessageDamaged => store::check_and_rebuild(stage, "no message").await,
            _ => false,
        }
    }
}
