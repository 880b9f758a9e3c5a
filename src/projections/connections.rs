//! The connections that reads of the read table go through. The driver's own pool asks the server whether it is there
//! before and after every use, which is two round trips more than a read needs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::PgConnection;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

pub use crate::log::pool::PoolUse;
use crate::log::servers::{Servers, Timeline};

/// A connection that nobody has used for so long is given up: something on the way may have forgotten it.
const IDLE_MAX: Duration = Duration::from_mins(5);

/// Up to a number of connections, made when they are needed: cheap to clone.
#[derive(Clone)]
pub struct ReadConnections {
    shared: Arc<Shared>,
}

struct Shared {
    options: Servers,
    permits: Semaphore,
    max: usize,
    idle: Mutex<Idle>,
}

/// How `PostgreSQL` plans the statements of a connection, which it parses once either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Planning {
    /// As it likes: after some uses once for all values.
    Once,
    /// Each time, for the values at hand.
    EachTime,
}

/// Since when nobody has used it, and the timeline that it is of.
type Unused = (Instant, Timeline, PgConnection);

/// The connections that nobody uses; the last used comes last.
#[derive(Default)]
struct Idle {
    once: Vec<Unused>,
    each_time: Vec<Unused>,
}

impl Idle {
    fn of(&mut self, planning: Planning) -> &mut Vec<Unused> {
        match planning {
            Planning::Once => &mut self.once,
            Planning::EachTime => &mut self.each_time,
        }
    }

    /// One that was used lately, of the timeline that is the highest now.
    fn take(&mut self, planning: Planning, timeline: Timeline) -> Option<(PgConnection, Timeline)> {
        let idle = self.of(planning);
        idle.retain(|(_, of, _)| *of >= timeline);
        let (since, of, connection) = idle.pop()?;
        if since.elapsed() < IDLE_MAX {
            return Some((connection, of));
        }
        // The others are older.
        idle.clear();
        None
    }

    /// Gives up those used longest ago, until there are no more than `most`.
    fn shrink(&mut self, most: usize) {
        while self.once.len() + self.each_time.len() > most {
            let since = |idle: &Vec<Unused>| idle.first().map(|(since, ..)| *since);
            let oldest = match (since(&self.once), since(&self.each_time)) {
                (Some(once), Some(each_time)) if each_time < once => Planning::EachTime,
                (None, _) => Planning::EachTime,
                _ => Planning::Once,
            };
            self.of(oldest).remove(0);
        }
    }
}

/// A connection in use. Unless it is given back it is closed: a read that failed or was given up on may have left
/// something unread on it.
pub(super) struct Lent<'a> {
    pub(super) connection: PgConnection,
    /// It was used before, and may have broken since.
    pub(super) used_before: bool,
    timeline: Timeline,
    planning: Planning,
    shared: &'a Shared,
    _permit: SemaphorePermit<'a>,
}

impl ReadConnections {
    /// Up to `max` at a time, made by `options`.
    #[must_use]
    pub fn new(options: Servers, max: u32) -> Self {
        let max = usize::try_from(max).unwrap_or(Semaphore::MAX_PERMITS);
        let permits = Semaphore::new(max);
        Self { shared: Arc::new(Shared { options, permits, max, idle: Mutex::default() }) }
    }

    /// How many of them are in use.
    #[must_use]
    pub fn in_use(&self) -> PoolUse {
        let Shared { permits, max, .. } = &*self.shared;
        let idle = self.shared.idle();
        let idle = idle.once.len() + idle.each_time.len();
        PoolUse { used: max.saturating_sub(permits.available_permits()), idle, max: *max }
    }

    /// A connection; waits until there is one. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Whatever the driver says.
    pub(super) async fn lend(&self, planning: Planning) -> Result<Lent<'_>, sqlx::Error> {
        let shared = &*self.shared;
        // Never closed.
        let permit = shared.permits.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let idle = shared.take_idle(planning);
        let used_before = idle.is_some();
        let (connection, timeline) = match idle {
            Some(idle) => idle,
            None => shared.connect(planning).await?,
        };
        Ok(Lent { connection, used_before, timeline, planning, shared, _permit: permit })
    }
}

impl Shared {
    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where there is none of this kind a new one is made, so that one of the other kind may have to go.
    fn take_idle(&self, planning: Planning) -> Option<(PgConnection, Timeline)> {
        let mut idle = self.idle();
        let taken = idle.take(planning, self.options.timeline());
        if taken.is_none() {
            idle.shrink(self.permits.available_permits());
        }
        taken
    }

    async fn connect(&self, planning: Planning) -> Result<(PgConnection, Timeline), sqlx::Error> {
        match planning {
            Planning::Once => self.options.connect().await,
            Planning::EachTime => {
                self.options.options([("plan_cache_mode", "force_custom_plan")]).connect().await
            }
        }
    }
}

impl Lent<'_> {
    /// Puts a new connection in its place.
    ///
    /// # Errors
    /// Whatever the driver says.
    pub(super) async fn renew(&mut self) -> Result<(), sqlx::Error> {
        (self.connection, self.timeline) = self.shared.connect(self.planning).await?;
        self.used_before = false;
        Ok(())
    }

    /// For the next read; nothing is under way on it.
    pub(super) fn give_back(self) {
        self.shared.idle().of(self.planning).push((Instant::now(), self.timeline, self.connection));
    }
}
