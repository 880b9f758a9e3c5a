//! Looks at all that was sealed, from the first leaf to the tree's right edge, again and again, in the background.

use std::convert::Infallible;
use std::time::Duration;

use sqlx::PgConnection;
use tokio::time::{Instant, sleep, timeout};

use super::leaves::misfit;
use super::past::own;
use super::status::Finding;
use super::table::{self, Stored};
use super::{Parts, Shared};
use crate::domain::position::Position;
use crate::tlog::tile::TileKey;
use crate::tlog::tree::{TILE_HEIGHT, TILE_WIDTH};

/// A look is followed by a pause so many times as long: a whole walk takes a fifth of one of the database's cores.
const SHARE: u32 = 4;
/// So is a walk, within these bounds.
const REST_SHARE: u32 = 9;
const REST_MIN: Duration = Duration::from_secs(10);
const REST_MAX: Duration = Duration::from_mins(10);
/// How often it is looked whether there is something to do, or whether what was found is still so.
const POLL: Duration = Duration::from_secs(1);
/// Longer than any look takes.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// What is looked at at once.
#[derive(Debug, Clone, Copy)]
enum Place {
    Tile(TileKey),
    /// What is in no full tile, by the newest checkpoint.
    Edge,
}

/// What came of it.
enum Looked {
    Fits,
    /// No checkpoint has it: after a failover there may be fewer events than before, until they are put back.
    Beyond,
    Wrong(Finding),
}

pub(super) struct Walk<'a> {
    parts: &'a Parts,
    shared: &'a Shared,
    /// Where something was found, until it is seen that it fits again: also while another process seals.
    wrong: Option<Place>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(parts: &'a Parts, shared: &'a Shared) -> Self {
        Self { parts, shared, wrong: None }
    }

    pub(super) async fn run(mut self) -> Infallible {
        let mut lease = self.parts.lease.clone();
        loop {
            let began = Instant::now();
            if self.all().await {
                let rest = (began.elapsed() * REST_SHARE).clamp(REST_MIN, REST_MAX);
                tokio::select! {
                    () = sleep(rest) => {}
                    () = given_up(&mut lease) => {}
                }
            } else {
                sleep(POLL).await;
            }
        }
    }

    /// Looks at everything, what was found last first; false if another process is to do that.
    async fn all(&mut self) -> bool {
        if self.shared.status.borrow().position == Position::ZERO {
            return false;
        }
        if let Some(place) = self.wrong
            && self.place(place).await.is_none()
        {
            return false;
        }
        for number in 0.. {
            match self.place(Place::Tile(TileKey { level: 0, number })).await {
                None => return false,
                Some(false) => break,
                Some(true) => {}
            }
            self.parts.metrics.walked(Position::new(number.saturating_add(1).saturating_mul(256)));
            // Those above, when they are full.
            let (mut level, mut above) = (0, number);
            while above % TILE_WIDTH as u64 == TILE_WIDTH as u64 - 1 {
                (level, above) = (level + 1, above / TILE_WIDTH as u64);
                if self.place(Place::Tile(TileKey { level, number: above })).await.is_none() {
                    return false;
                }
            }
        }
        if self.place(Place::Edge).await.is_none() {
            return false;
        }
        self.parts.metrics.walked(self.shared.status.borrow().position);
        true
    }

    /// Looks at one place until it fits, and tells whether it is there; none once another process is to do that.
    async fn place(&mut self, place: Place) -> Option<bool> {
        loop {
            if !self.parts.lease.is_held() {
                return None;
            }
            let began = Instant::now();
            match self.look(place).await {
                Ok(Looked::Wrong(finding)) => {
                    self.wrong = Some(place);
                    self.found(Some(finding));
                }
                Ok(looked) => {
                    self.wrong = None;
                    self.found(None);
                    sleep(began.elapsed() * SHARE).await;
                    return Some(matches!(looked, Looked::Fits));
                }
                Err(error) => tracing::debug!(%error, "the past is not looked at; it is tried again"),
            }
            sleep(POLL).await;
        }
    }

    async fn look(&self, place: Place) -> Result<Looked, sqlx::Error> {
        let looking = async {
            let mut connection = self.parts.log.pool().acquire().await?;
            // As it is now: what was sealed when the walk began may be gone.
            let newest = table::newest(&mut connection, self.parts.keys.origin()).await?;
            self.look_now(&mut connection, place, newest).await
        };
        timeout(LOOK_TIMEOUT, looking).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    async fn look_now(
        &self,
        connection: &mut PgConnection,
        place: Place,
        newest: Option<Stored>,
    ) -> Result<Looked, sqlx::Error> {
        let Some(newest) = newest else { return Ok(Looked::Beyond) };
        let keys = &self.parts.keys;
        let finding = match place {
            Place::Tile(key) if !is_full(key, newest.size) => return Ok(Looked::Beyond),
            Place::Tile(key) => misfit(connection, keys.origin(), key).await?,
            Place::Edge => own(connection, keys, &newest).await?.err(),
        };
        Ok(finding.map_or(Looked::Fits, Looked::Wrong))
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

/// Whether a tree of `size` has the whole tile.
fn is_full(key: TileKey, size: Position) -> bool {
    key.number < size.get().checked_shr(u32::from(TILE_HEIGHT) * (u32::from(key.level) + 1)).unwrap_or(0)
}

async fn given_up(lease: &mut crate::leases::Held) {
    while lease.is_held() {
        lease.changed().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After a failover the newest checkpoint may be an older one: what is beyond it is not missing.
    #[test]
    fn a_tile_is_looked_at_where_the_newest_checkpoint_has_it() {
        let full = |level, number, size| is_full(TileKey { level, number }, Position::new(size));
        assert!(full(0, 0, 256) && full(0, 2, 768) && full(1, 0, 65_536));
        assert!(!full(0, 0, 255) && !full(0, 3, 1_023) && !full(1, 0, 65_535) && !full(9, 0, u64::MAX));
    }
}
