//! Looking which of several servers is the primary.

use std::cmp::Reverse;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::join_all;
use sqlx::{ConnectOptions as _, PgConnection};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::servers::{ATTEMPT_TIMEOUT, Servers, Timeline};

/// How often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Servers {
    /// Asks all of several which one is the primary, for two seconds at most: the first in the list need not be.
    pub async fn look_around(&self) {
        if self.are_several() {
            self.look(&mut self.no_connections()).await;
        }
    }

    /// Looks again and again which of several is the primary, until cancelled: a primary that was frozen, and is replaced, is
    /// left alone even by connections that it would still answer.
    pub async fn keep_lookout(self, stop: CancellationToken) {
        if !self.are_several() {
            return stop.cancelled().await;
        }
        let lookout = self.application_name("vtid-ledger lookout");
        let mut connections = self.no_connections();
        loop {
            lookout.look(&mut connections).await;
            if stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_none() {
                return;
            }
        }
    }

    fn no_connections(&self) -> Vec<Option<PgConnection>> {
        self.each.iter().map(|_| None).collect()
    }

    async fn look(&self, connections: &mut [Option<PgConnection>]) {
        let asked = connections.iter_mut().enumerate().map(async |(index, connection)| {
            let answer = timeout(ATTEMPT_TIMEOUT, self.ask(index, connection)).await;
            let timeline = answer.unwrap_or(Err(sqlx::Error::PoolTimedOut)).ok().flatten()?;
            Some((timeline, Reverse(index)))
        });
        let found = join_all(asked).await.into_iter().flatten().max();
        if let Some((timeline, Reverse(index))) = found
            && timeline >= self.saw(timeline)
        {
            self.known.preferred.store(index, Ordering::Relaxed);
        }
    }

    /// A server's timeline, none if it is a standby; the connection is kept if it answers.
    async fn ask(
        &self,
        index: usize,
        kept: &mut Option<PgConnection>,
    ) -> Result<Option<Timeline>, sqlx::Error> {
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => self.each[index].connect().await?,
        };
        let timeline = self.timeline_of(&mut connection).await?;
        *kept = Some(connection);
        Ok(timeline)
    }
}
