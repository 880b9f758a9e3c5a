//! Leases: which replica projects, which relays and which seals. They save work, and nothing else rests on them: whatever two holders
//! at once would do, the compare-and-set of cursor and stream keeps right.
//!
//! [`machine`] decides, purely; [`shell`] runs one for each role; [`table`] is the rows in `PostgreSQL`.

pub mod machine;
mod shell;
pub mod table;

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::log::servers::Servers;

use table::Standing;

/// A job that one replica is enough for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Keeps the read table current.
    Projector,
    /// Publishes into the stream.
    Relay,
    /// Signs checkpoints of the log.
    Sealer,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Projector, Self::Relay, Self::Sealer];

    /// Its name, in the table and for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Projector => "projector",
            Self::Relay => "relay",
            Self::Sealer => "sealer",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Tells one process of the ledger from every other, those before it on the same machine included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId(pub Uuid);

impl ProcessId {
    /// One that nobody else has.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a process knows of a lease.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeaseStatus {
    /// This process holds it until then, unless it is renewed; none where it does not.
    pub held_until: Option<Instant>,
    /// Who held it when `PostgreSQL` was last asked; for whom another process holds it, up to some seconds ago.
    pub standing: Option<Standing>,
    /// Why it can't be asked for, where that has failed again and again.
    pub trouble: Option<String>,
}

/// Whether this process holds a lease, for whoever works by it: cheap to clone.
#[derive(Debug, Clone)]
pub struct Held(Option<watch::Receiver<LeaseStatus>>);

impl Held {
    /// Held without a lease: where nobody else can be at it, or it does not matter.
    #[must_use]
    pub fn always() -> Self {
        Self(None)
    }

    /// Whether it is held at this moment: not by what was told when the process was last awake, but by its clock.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|status| status.borrow().held_until.is_some_and(|until| Instant::now() < until))
    }

    /// Whether it is held, and by what `PostgreSQL` tells at this moment too.
    #[must_use]
    pub fn is_still(&self, standing: Option<&Standing>) -> bool {
        let (Some(_), Some(standing)) = (&self.0, standing) else { return self.0.is_none() };
        let own = self.status().standing;
        let same = own.is_some_and(|own| own.holder == standing.holder && own.term == standing.term);
        same && standing.left_ms > 0 && self.is_held()
    }

    /// Returns when it may have become held or free. Dropping the future loses nothing.
    pub async fn changed(&mut self) {
        let ended = match &mut self.0 {
            Some(status) => status.changed().await.is_err(),
            None => true,
        };
        if ended {
            std::future::pending::<()>().await;
        }
    }

    /// What is known of the lease.
    #[must_use]
    pub fn status(&self) -> LeaseStatus {
        self.0.as_ref().map(|status| status.borrow().clone()).unwrap_or_default()
    }
}

/// The leases of one process.
pub struct Leases {
    process: ProcessId,
    database: Servers,
    /// Changes whenever a lease was given back somewhere.
    freed: watch::Sender<u64>,
    /// How many this process holds.
    count: Arc<watch::Sender<usize>>,
}

/// Keeps one lease, once it is started.
pub struct Keeper {
    shell: shell::Parts,
}

impl Leases {
    /// Of `process`; each makes a connection of its own by `database`.
    #[must_use]
    pub fn new(process: ProcessId, database: &Servers) -> Self {
        let database = database.options([
            // A lease that a standby has not heard of, and that a failover loses, costs work done twice.
            ("synchronous_commit", "local"),
            // Rather an answer that says nothing than one that comes when the lease has run out.
            ("lock_timeout", "1000"),
            ("idle_in_transaction_session_timeout", "2000"),
        ]);
        Self { process, database, freed: watch::Sender::new(0), count: Arc::new(watch::Sender::new(0)) }
    }

    /// For whoever hears that a lease was given back, to tell.
    #[must_use]
    pub fn freed(&self) -> watch::Sender<u64> {
        self.freed.clone()
    }

    /// The lease of `role`: its keeper, to be started, and whether it is held.
    #[must_use]
    pub fn role(&self, role: Role) -> (Keeper, Held) {
        let (status, told) = watch::channel(LeaseStatus::default());
        let shell = shell::Parts {
            role,
            process: self.process,
            database: self.database.clone(),
            limits: machine::Limits::default(),
            freed: self.freed.subscribe(),
            count: Arc::clone(&self.count),
            status,
        };
        (Keeper { shell }, Held(Some(told)))
    }
}

impl Keeper {
    /// Asks for the lease at once, and keeps it, until `stop`: then gives it back. As long as `is_able` says of the
    /// worker's status that it can't do the work, others are let in.
    #[must_use]
    pub fn start<S: Send + Sync + 'static>(
        self,
        worker: watch::Receiver<S>,
        is_able: fn(&S) -> bool,
        stop: CancellationToken,
    ) -> JoinHandle<()> {
        tokio::spawn(shell::run(self.shell, worker, is_able, stop))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_lease_is_still_held_where_both_say_so() {
        let standing = Standing { holder: ProcessId::random(), term: 3, number: 9, left_ms: 2_000 };
        let until = |seconds: u64| Some(Instant::now() + Duration::from_secs(seconds));
        let held = |held_until| {
            let status = LeaseStatus { held_until, standing: Some(standing), trouble: None };
            Held(Some(watch::channel(status).1))
        };
        assert!(held(until(60)).is_still(Some(&standing)));
        assert!(held(until(60)).is_still(Some(&Standing { number: 10, ..standing })), "it was renewed");
        assert!(!held(until(0)).is_still(Some(&standing)));
        assert!(!held(None).is_still(Some(&standing)));
        for other in [
            Standing { holder: ProcessId::random(), term: 4, ..standing },
            Standing { term: 5, ..standing },
            Standing { left_ms: 0, ..standing },
        ] {
            assert!(!held(until(60)).is_still(Some(&other)), "{other:?}");
        }
        assert!(!held(until(60)).is_still(None));
        assert!(Held::always().is_still(None) && Held::always().is_still(Some(&standing)));
    }
}
