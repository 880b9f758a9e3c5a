//! The connections that reads of the read table go through. The driver's own pool asks the server whether it is there
//! before and after every use, which is two round trips more than a read needs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::log::connect::connect;

/// A connection that nobody has used for so long is given up: something on the way may have forgotten it.
const IDLE_MAX: Duration = Duration::from_mins(5);

/// Up to a number of connections, made when they are needed: cheap to clone.
#[derive(Clone)]
pub struct ReadConnections {
    shared: Arc<Shared>,
}

struct Shared {
    options: PgConnectOptions,
    permits: Semaphore,
    /// The last used comes last.
    idle: Mutex<Vec<(Instant, PgConnection)>>,
}

/// A connection in use. Unless it is given back it is closed: a read that failed or was given up on may have left
/// something unread on it.
pub(super) struct Lent<'a> {
    pub(super) connection: PgConnection,
    /// It was used before, and may have broken since.
    pub(super) used_before: bool,
    shared: &'a Shared,
    _permit: SemaphorePermit<'a>,
}

impl ReadConnections {
    /// Up to `max` at a time, made by `options`.
    #[must_use]
    pub fn new(options: PgConnectOptions, max: u32) -> Self {
        let permits = Semaphore::new(usize::try_from(max).unwrap_or(Semaphore::MAX_PERMITS));
        Self { shared: Arc::new(Shared { options, permits, idle: Mutex::default() }) }
    }

    /// A connection; waits until there is one. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Whatever the driver says.
    pub(super) async fn lend(&self) -> Result<Lent<'_>, sqlx::Error> {
        let shared = &*self.shared;
        // Never closed.
        let permit = shared.permits.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let idle = shared.take_idle();
        let used_before = idle.is_some();
        let connection = match idle {
            Some(connection) => connection,
            None => connect(&shared.options).await?,
        };
        Ok(Lent { connection, used_before, shared, _permit: permit })
    }
}

impl Shared {
    fn take_idle(&self) -> Option<PgConnection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, connection) = idle.pop()?;
        if since.elapsed() < IDLE_MAX {
            return Some(connection);
        }
        // The others are older.
        idle.clear();
        None
    }
}

impl Lent<'_> {
    /// Puts a new connection in its place.
    ///
    /// # Errors
    /// Whatever the driver says.
    pub(super) async fn renew(&mut self) -> Result<(), sqlx::Error> {
        self.connection = connect(&self.shared.options).await?;
        self.used_before = false;
        Ok(())
    }

    /// For the next read; nothing is under way on it.
    pub(super) fn give_back(self) {
        let mut idle = self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push((Instant::now(), self.connection));
    }
}
