//! A bounded number of connections to the primary for many tasks, whichever server that is at the time.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use deadpool::managed::{self, Manager, Metrics, Object, PoolError, RecycleError, RecycleResult};
use sqlx::{Connection, PgConnection};
use tokio::time::timeout;

use super::servers::{Servers, Timeline};

/// How long a reader waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// Connections that are made when they are needed: cheap to clone.
#[derive(Clone)]
pub struct Pool(managed::Pool<Maker>);

/// How much of a pool of connections is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUse {
    /// Connections that somebody has.
    pub used: usize,
    /// Connections that nobody has.
    pub idle: usize,
    /// Connections that there may be.
    pub max: usize,
}

struct Maker(Servers);

/// Lent by a pool, and given back when dropped.
pub struct Pooled(Object<Maker>);

impl Manager for Maker {
    type Type = (PgConnection, Timeline);
    type Error = sqlx::Error;

    async fn create(&self) -> Result<Self::Type, sqlx::Error> {
        self.0.connect().await
    }

    /// Gives up one that does not answer, or whose server is not the primary any more.
    async fn recycle(
        &self,
        (connection, timeline): &mut Self::Type,
        _: &Metrics,
    ) -> RecycleResult<sqlx::Error> {
        if *timeline < self.0.timeline() {
            return Err(RecycleError::message("the primary has moved"));
        }
        Ok(connection.ping().await?)
    }
}

impl Pool {
    /// Up to `max` connections, at least one.
    ///
    /// # Panics
    /// Never: making a pool fails only where it is given time-outs and no runtime, and there are none.
    #[must_use]
    #[expect(clippy::expect_used, reason = "no time-outs are set")]
    pub fn new(servers: Servers, max: u32) -> Self {
        let max = usize::try_from(max).unwrap_or(usize::MAX).max(1);
        Self(managed::Pool::builder(Maker(servers)).max_size(max).build().expect("no time-outs"))
    }

    /// A connection; waits for two seconds at most until there is one.
    ///
    /// # Errors
    /// Whatever the driver says, or a time-out.
    pub async fn acquire(&self) -> Result<Pooled, sqlx::Error> {
        match timeout(ACQUIRE_TIMEOUT, self.0.get()).await {
            Ok(Ok(lent)) => Ok(Pooled(lent)),
            Ok(Err(PoolError::Backend(error))) => Err(error),
            Ok(Err(PoolError::Closed)) => Err(sqlx::Error::PoolClosed),
            Ok(Err(_)) | Err(_) => Err(sqlx::Error::PoolTimedOut),
        }
    }

    /// How many are in use.
    #[must_use]
    pub fn in_use(&self) -> PoolUse {
        let status = self.0.status();
        PoolUse {
            used: status.size.saturating_sub(status.available),
            idle: status.available,
            max: status.max_size,
        }
    }
}

impl Pooled {
    /// Takes it out of the pool for good.
    #[must_use]
    pub fn detach(self) -> PgConnection {
        Object::take(self.0).0
    }
}

impl Deref for Pooled {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0.0
    }
}

impl DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0.0
    }
}
