//! Looks at all that was sealed, from the first leaf on, again and again, in the background.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::leaves::misfit;
use super::status::Finding;
use super::{Parts, Shared};
use crate::domain::position::Position;
use crate::tlog::tile::TileKey;
use crate::tlog::tree::TILE_WIDTH;

/// A look is followed by a pause so many times as long: a whole walk takes a fifth of one of the database's cores.
const SHARE: u32 = 4;
/// The pause between two walks.
const REST: Duration = Duration::from_mins(10);
/// How often it is looked whether there is something to do, or whether what was found is still so.
const POLL: Duration = Duration::from_secs(1);
/// Longer than any look takes.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct Walk<'a> {
    parts: &'a Parts,
    shared: &'a Shared,
}

impl<'a> Walk<'a> {
    pub(super) fn new(parts: &'a Parts, shared: &'a Shared) -> Self {
        Self { parts, shared }
    }

    pub(super) async fn run(self) -> Infallible {
        let mut lease = self.parts.lease.clone();
        loop {
            if lease.is_held() && self.shared.status.borrow().position > Position::ZERO {
                if self.all().await {
                    tokio::select! {
                        () = sleep(REST) => {}
                        () = given_up(&mut lease) => {}
                    }
                }
            } else {
                sleep(POLL).await;
            }
        }
    }

    /// Looks at everything up to the checkpoint that is the newest then; false if it was interrupted.
    async fn all(&self) -> bool {
        let size = self.shared.status.borrow().position.get();
        for number in 0..size / TILE_WIDTH as u64 {
            if !self.tile(TileKey { level: 0, number }).await {
                return false;
            }
            self.parts.metrics.walked(Position::new(number.saturating_add(1).saturating_mul(256)));
            // Those above, when they are full.
            let (mut level, mut above) = (0, number);
            while above % TILE_WIDTH as u64 == TILE_WIDTH as u64 - 1 {
                (level, above) = (level + 1, above / TILE_WIDTH as u64);
                if !self.tile(TileKey { level, number: above }).await {
                    return false;
                }
            }
        }
        self.parts.metrics.walked(Position::new(size));
        true
    }

    /// Looks at one tile until it fits; false once another process is to do that.
    async fn tile(&self, key: TileKey) -> bool {
        loop {
            if !self.parts.lease.is_held() {
                self.found(None);
                return false;
            }
            let began = Instant::now();
            match self.look(key).await {
                Ok(None) => {
                    self.found(None);
                    sleep(began.elapsed() * SHARE).await;
                    return true;
                }
                Ok(Some(finding)) => self.found(Some(finding)),
                Err(error) => tracing::debug!(%error, "the past is not looked at; it is tried again"),
            }
            sleep(POLL).await;
        }
    }

    async fn look(&self, key: TileKey) -> Result<Option<Finding>, sqlx::Error> {
        let looking = timeout(LOOK_TIMEOUT, self.look_now(key)).await;
        looking.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    async fn look_now(&self, key: TileKey) -> Result<Option<Finding>, sqlx::Error> {
        let mut connection = self.parts.log.pool().acquire().await?;
        misfit(&mut connection, self.parts.keys.origin(), key).await
    }

    fn found(&self, finding: Option<Finding>) {
        let changed = self.shared.walked.send_if_modified(|known| {
            let changed = *known != finding;
            *known = finding;
            changed
        });
        if changed {
            self.shared.doubt();
        }
    }
}

async fn given_up(lease: &mut crate::leases::Held) {
    while lease.is_held() {
        lease.changed().await;
    }
}
