//! What only the database knows, looked up in the background with a connection of its own.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use sqlx::PgConnection;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::tasks::TaskCounts;
use super::{Counters, counters};
use crate::log::servers::{Kept, Servers};
use crate::log::transactions::{OpenTransactions, open_transactions};
use crate::projections::counts::count_tasks;

/// How often transactions are looked at, which costs next to nothing.
const EVERY: Duration = Duration::from_secs(5);
/// How often tasks are counted at most. A count reads the whole table, which no index spares it: of a million tasks (488
/// MB) it took one second on a busy machine of two cores, and 2.3 seconds without PostgreSQL's parallel workers.
const COUNT_EVERY: Duration = Duration::from_secs(30);
/// A count that took long is followed by a pause so many times as long: three replicas together take a tenth of one of the
/// database's cores, however many tasks there are.
const COUNT_SHARE: u32 = 30;
/// `PostgreSQL` ends a count that takes longer, which may be so from some four million tasks on: there are then no numbers,
/// and the failures say so. No transaction of the service may last over ten seconds.
const STATEMENT_TIMEOUT: &str = "9s";
/// Longer than that: the connection is broken.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// Sets of labels whose tasks are told each.
const LABEL_SETS_MAX: u16 = 100;

/// The database's metrics: cheap to clone.
#[derive(Debug, Clone)]
pub struct DatabaseMetrics {
    tasks: TaskCounts,
    oldest_seconds: Gauge<f64, AtomicU64>,
    sees_all: Gauge,
    failures: Counters<2>,
}

impl Default for DatabaseMetrics {
    fn default() -> Self {
        Self {
            tasks: TaskCounts::default(),
            oldest_seconds: Gauge::default(),
            sees_all: Gauge::default(),
            failures: counters("look", ["transactions", "tasks"]),
        }
    }
}

impl DatabaseMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let oldest =
            "Age of the oldest open transaction on this database, of those that the service's login may see";
        registry.register("database_oldest_transaction_seconds", oldest, self.oldest_seconds.clone());
        let sees_all =
            "1 where the service's login sees everybody's transactions (pg_read_all_stats), 0: only its own";
        registry.register("database_sees_all_transactions", sees_all, self.sees_all.clone());
        let failures = "Looks at the database that failed or took too long: what they tell is as old as the last good one";
        registry.register("database_look_failures", failures, self.failures.family.clone());
        registry.register_collector(Box::new(self.tasks.clone()));
    }

    /// Looks again and again, until cancelled.
    pub async fn keep(self, database: Servers, stop: CancellationToken) {
        let database = database
            .application_name("vtid-ledger metrics")
            .options([("statement_timeout", STATEMENT_TIMEOUT), ("default_transaction_read_only", "on")]);
        let _ = stop.run_until_cancelled(self.look_on(&database)).await;
    }

    async fn look_on(&self, database: &Servers) -> std::convert::Infallible {
        let (mut connection, mut count_at) = (Kept::default(), Instant::now());
        loop {
            self.look(database, &mut connection, &mut count_at).await;
            sleep(EVERY).await;
        }
    }

    fn failed(&self, look: usize) {
        self.failures.each[look].inc();
    }

    async fn look(&self, database: &Servers, connection: &mut Kept, count_at: &mut Instant) {
        let transactions = looked(database, connection, async |c| open_transactions(c).await).await;
        match transactions {
            Some(OpenTransactions { oldest, sees_all }) => {
                self.oldest_seconds.set(oldest.as_secs_f64());
                self.sees_all.set(sees_all.into());
            }
            None => self.failed(0),
        }
        let began = Instant::now();
        if began < *count_at {
            return;
        }
        let counted = looked(database, connection, async |c| count_tasks(c, LABEL_SETS_MAX).await).await;
        match counted {
            Some(counts) => self.tasks.set(counts),
            None => self.failed(1),
        }
        *count_at = Instant::now() + COUNT_EVERY.max(began.elapsed() * COUNT_SHARE);
    }
}

/// What a look finds; none where it fails, and then with the next look on a new connection.
async fn looked<T>(
    database: &Servers,
    connection: &mut Kept,
    look: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
) -> Option<T> {
    let looking = async {
        let mut taken = connection.take(database).await?;
        let found = look(&mut taken).await?;
        connection.give_back(taken);
        Ok::<T, sqlx::Error>(found)
    };
    match tokio::time::timeout(LOOK_TIMEOUT, looking).await {
        Ok(Ok(found)) => return Some(found),
        Ok(Err(error)) => tracing::debug!(%error, "metrics: the database does not tell"),
        Err(_) => tracing::debug!("metrics: the database takes too long"),
    }
    None
}
