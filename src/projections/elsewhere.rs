//! Servers besides the primary that reads may go to, standbys as a rule; and whether they are of any use.
//!
//! A standby that is away, of another ledger or another past, or behind for a while, is left alone until it is not: reads go
//! to the primary meanwhile, and `/readyz` says so. One that is behind for a moment is asked; what a read must show it must
//! show there, too.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{FromRow, PgConnection};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::connections::ReadConnections;
use crate::database::pooler::{self, PoolerError};
use crate::domain::position::Position;
use crate::domain::record::LedgerId;
use crate::log::EventLog;
use crate::log::lookup::event_id_at;
use crate::log::servers::{Kept, Servers};

/// How often they are looked at.
const EVERY: Duration = Duration::from_millis(500);
/// A look that takes longer has failed.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);
/// Whoever has been behind for longer is left alone.
const BEHIND_MAX: Duration = Duration::from_secs(2);

/// They, and what is known of them: cheap to clone.
#[derive(Clone)]
pub struct ReadServers {
    connections: ReadConnections,
    servers: Servers,
    /// What is wrong with them, if anything.
    trouble: Arc<watch::Sender<Option<String>>>,
}

/// What such a server shows.
#[derive(Debug, FromRow)]
struct Shows {
    ledger_id: Uuid,
    position: i64,
    event_id: Option<Uuid>,
}

/// Since when they lag, and what the primary's log had at the last look.
#[derive(Default)]
struct Lag {
    head: Position,
    since: Option<Instant>,
}

impl ReadServers {
    /// With up to `max` connections. Of no use before [`ReadServers::watch`] has looked at them.
    #[must_use]
    pub fn new(servers: Servers, max: u32) -> Self {
        let trouble = Arc::new(watch::Sender::new(Some("not looked at yet".to_owned())));
        Self { connections: ReadConnections::new(servers.clone(), max), servers, trouble }
    }

    /// What is wrong with them, if anything.
    #[must_use]
    pub fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.trouble.subscribe()
    }

    pub(super) fn are_usable(&self) -> bool {
        self.trouble.borrow().is_none()
    }

    pub(super) fn connections(&self) -> &ReadConnections {
        &self.connections
    }

    /// Leaves them alone until the next look.
    pub(super) fn distrust(&self, why: &str) {
        self.told(Some(why.to_owned()));
    }

    fn told(&self, trouble: Option<String>) {
        self.trouble.send_if_modified(|known| {
            if *known == trouble {
                return false;
            }
            match (&trouble, &*known) {
                (Some(why), None) => tracing::warn!(why, "reads go to the primary alone"),
                (None, Some(_)) => tracing::info!("reads go to DATABASE_READ_URL too"),
                _ => {}
            }
            *known = trouble;
            true
        });
    }

    /// Looks at them again and again, beside the primary's `log`, until cancelled.
    pub async fn watch(self, log: EventLog, stop: CancellationToken) {
        let _ = stop.run_until_cancelled(self.look_on(&log)).await;
    }

    async fn look_on(&self, log: &EventLog) -> Infallible {
        let (mut kept, mut lag, mut sessions_are_own) = (Kept::default(), Lag::default(), false);
        loop {
            if !sessions_are_own && let Some(trouble) = shared(&self.servers).await {
                self.told(Some(trouble));
            } else {
                sessions_are_own = true;
                self.told(self.look(log, &mut kept, &mut lag).await);
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    async fn look(&self, log: &EventLog, kept: &mut Kept, lag: &mut Lag) -> Option<String> {
        match timeout(LOOK_TIMEOUT, shows(kept, &self.servers)).await {
            Ok(Ok(shows)) => self.compare(log, &shows, lag).await,
            Ok(Err(error)) => Some(format!("it does not answer: {error}")),
            Err(_) => Some("it takes too long to answer".to_owned()),
        }
    }

    /// What is wrong, if anything. Where the primary does not answer, nothing can be held against them.
    async fn compare(&self, log: &EventLog, shows: &Shows, lag: &mut Lag) -> Option<String> {
        if log.ledger() != LedgerId(shows.ledger_id) {
            return Some("it holds another ledger".to_owned());
        }
        let position = Position::from_i64(shows.position);
        let primary = async {
            let mut primary = log.pool().acquire().await?;
            let same = event_id_at(&mut primary, position).await?;
            let head = crate::log::head::read_head(&mut primary).await?.cursor.position();
            Ok::<_, sqlx::Error>((same, head))
        };
        let Ok(Ok((same, head))) = timeout(LOOK_TIMEOUT, primary).await else {
            return self.trouble.borrow().clone();
        };
        if position > Position::ZERO && same != shows.event_id {
            return Some(format!("at position {position} it shows an event that the primary does not have"));
        }
        lag.judge(position, head, Instant::now())
    }
}

impl Lag {
    /// Behind is who does not show what the log had half a second ago.
    fn judge(&mut self, shown: Position, head: Position, now: Instant) -> Option<String> {
        let before = std::mem::replace(&mut self.head, head);
        self.since = (shown < before).then(|| self.since.unwrap_or(now));
        let behind = self.since.is_some_and(|since| now.duration_since(since) >= BEHIND_MAX);
        behind.then(|| format!("its read table is {} events behind", head.get().saturating_sub(shown.get())))
    }
}

/// Whether their sessions are shared with others, who would get our answers and we theirs.
async fn shared(servers: &Servers) -> Option<String> {
    let asked = async {
        let (first, server) = servers.connect_untold().await?;
        pooler::refuse(first, &server).await
    };
    match asked.await {
        Ok(()) => None,
        Err(PoolerError::Shared(how)) => {
            Some(format!("it is a pooler in transaction or statement mode: {how}"))
        }
        Err(error) => Some(format!("it does not answer: {error}")),
    }
}

async fn shows(kept: &mut Kept, servers: &Servers) -> Result<Shows, sqlx::Error> {
    let mut connection = kept.take(servers).await?;
    let shows = read(&mut connection).await?;
    kept.give_back(connection);
    Ok(shows)
}

async fn read(connection: &mut PgConnection) -> Result<Shows, sqlx::Error> {
    sqlx::query_as(
        "select i.ledger_id, coalesce(p.position, 0) as position, p.event_id
         from ledger.identity i left join lateral (
             select position, event_id from ledger.progress where name = 'vtid_ledger' order by position desc limit 1
         ) p on true",
    )
    .fetch_one(connection)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_lags_for_a_while_is_left_alone() {
        let (mut lag, begun) = (Lag::default(), Instant::now());
        let at = |ms| begun + Duration::from_millis(ms);
        let mut judge =
            |shown, head, ms| lag.judge(Position::new(shown), Position::new(head), at(ms)).is_some();
        assert!(!judge(0, 90, 0), "it may not have been there half a second ago");
        for (ms, behind) in [(500, false), (1_500, false), (2_499, false), (2_500, true), (9_000, true)] {
            assert_eq!(judge(0, 90, ms), behind, "after {ms} ms");
        }
        assert!(!judge(90, 95, 9_500));
        assert!(!judge(90, 95, 10_000) && !judge(95, 99, 20_000), "each lag counts from its own beginning");
    }
}
