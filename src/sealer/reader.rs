//! What is shown of the transparency log: the newest checkpoint, the tiles and records of the tree that it signs, and
//! proofs against it. Nothing that is not signed yet is shown.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgConnection;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::bundle::{self, Bundle};
use super::table::{self, Stored};
use super::{recent, tiles};
use crate::domain::position::{Position, Version};
use crate::domain::vtid::Vtid;
use crate::log::lookup;
use crate::log::pool::Pool;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::key::KeyName;
use crate::tlog::proof::Proof;
use crate::tlog::tile::{Ask, ProofError, TileKey, includes};
use crate::tlog::tree::{TILE_HEIGHT, TILE_WIDTH};
use crate::tlog::{Hash, leaf};

/// One look takes less; after it the database counts as away.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a proof waits for a checkpoint that has its event.
const SEALED_WITHIN: Duration = Duration::from_secs(2);
/// How often it looks: whichever process seals.
const POLL: Duration = Duration::from_millis(100);
/// Bundles in memory at a time, of 16 MiB each at most, until their callers have taken them.
const BUNDLES_MAX: usize = 16;
/// Looks under way at a time on behalf of anybody, so that strangers can't take every place that requests have.
const PUBLIC_MAX: usize = 64;
/// Of those so many look at the same time, so that strangers can't have every connection either.
const PUBLIC_AT_ONCE: usize = 2;
/// How long a caller waits for its turn at most.
const TURN_WITHIN: Duration = Duration::from_secs(2);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AuditFailure {
    /// There is no checkpoint yet.
    #[error("nothing was sealed yet")]
    NothingSealed,
    /// The newest signed tree has no such tile, or is not so large.
    #[error("no signed tree holds this yet")]
    NotInTree,
    /// No task has the number.
    #[error("no task has this VTID")]
    NoTask,
    /// There is no such event.
    #[error("there is no such event")]
    NoEvent,
    /// The event is there, but in no signed tree: try again.
    #[error("the event is not sealed yet")]
    NotSealed,
    /// Too many ask at the same time: try again.
    #[error("too many look at the transparency log")]
    Busy,
    /// The database did not answer: try again.
    #[error("the transparency log can't be read: {0}")]
    Unavailable(#[from] sqlx::Error),
    /// What is stored is not what was sealed.
    #[error("the transparency log does not fit the ledger: {0}")]
    Damaged(String),
}

/// Which event a proof is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sought {
    /// The one at this position.
    At(Position),
    /// A task's, of this version, or else its last one.
    Of(Vtid, Option<Version>),
}

/// Reads by connections of its own, so that a flood of auditors starves nobody: cheap to clone.
#[derive(Clone)]
pub struct AuditReader {
    pool: Pool,
    origin: KeyName,
    public: Arc<Semaphore>,
    public_turns: Arc<Semaphore>,
    bundles: Arc<Semaphore>,
}

impl AuditReader {
    /// Shows the log of `origin`.
    #[must_use]
    pub fn new(pool: Pool, origin: KeyName) -> Self {
        let [public, public_turns, bundles] =
            [PUBLIC_MAX, PUBLIC_AT_ONCE, BUNDLES_MAX].map(|max| Arc::new(Semaphore::new(max)));
        Self { pool, origin, public, public_turns, bundles }
    }

    /// A look that strangers may ask for: some wait for their turn, more are turned away.
    async fn for_anybody<T>(
        &self,
        look: impl Future<Output = Result<T, AuditFailure>>,
    ) -> Result<T, AuditFailure> {
        let _place = self.public.try_acquire().map_err(|_| AuditFailure::Busy)?;
        let turn = timeout(TURN_WITHIN, self.public_turns.acquire()).await.map_err(|_| AuditFailure::Busy)?;
        // Never closed.
        let _turn = turn.map_err(|_| AuditFailure::Busy)?;
        within(look).await
    }

    /// The newest checkpoint, with what witnesses have added to it so far.
    ///
    /// # Errors
    /// [`AuditFailure`]
    pub async fn checkpoint(&self) -> Result<Checkpoint, AuditFailure> {
        self.for_anybody(async { self.newest(&mut *self.pool.acquire().await?).await }).await
    }

    /// The first `width` hashes of a tile.
    ///
    /// # Errors
    /// [`AuditFailure::NotInTree`] where the signed tree has fewer.
    pub async fn tile(&self, key: TileKey, width: usize) -> Result<Vec<u8>, AuditFailure> {
        self.for_anybody(async {
            let mut connection = self.pool.acquire().await?;
            let size = self.newest_size(&mut connection).await?;
            // Of a tile that is not full no more is looked at than is asked for.
            let end = end_of(size, key, width).ok_or(AuditFailure::NotInTree)?;
            let size = if tiles::width(size, key) == TILE_WIDTH { size } else { end };
            let read = tiles::read(&mut connection, &self.origin, size, &BTreeSet::from([key])).await?;
            let hashes = read.get(&key).and_then(|hashes| hashes.get(..width * size_of::<Hash>()));
            hashes.map(<[u8]>::to_vec).ok_or_else(|| damaged(format!("{key:?} is incomplete")))
        })
        .await
    }

    /// The first `width` records of a tile of leaves, as an entry bundle.
    ///
    /// # Errors
    /// [`AuditFailure::NotInTree`] where the signed tree has fewer.
    pub async fn entries(&self, number: u64, width: usize) -> Result<Bundle, AuditFailure> {
        let place = timeout(TURN_WITHIN, Arc::clone(&self.bundles).acquire_owned()).await;
        // Never closed.
        let place = place.ok().and_then(Result::ok).ok_or(sqlx::Error::PoolTimedOut)?;
        let bytes = within(async {
            let mut connection = self.pool.acquire().await?;
            let size = self.newest_size(&mut connection).await?;
            let end = end_of(size, TileKey { level: 0, number }, width).ok_or(AuditFailure::NotInTree)?;
            let first = Position::new(end - width as u64).next();
            let records = lookup::records(&mut connection, first, Position::new(end)).await?;
            if records.len() != width {
                return Err(damaged(format!("records are missing from position {first} on")));
            }
            bundle::print(&records).map_err(damaged)
        })
        .await?;
        Ok(Bundle::new(bytes, place))
    }

    /// That the tree of `to` leaves goes on where that of `from` ended.
    ///
    /// # Errors
    /// [`AuditFailure::NotInTree`] where no signed tree has so many, or `from` is the larger.
    pub async fn consistency(&self, from: u64, to: u64) -> Result<Vec<Hash>, AuditFailure> {
        self.for_anybody(async {
            let mut connection = self.pool.acquire().await?;
            let size = self.newest_size(&mut connection).await?;
            if to > size {
                return Err(AuditFailure::NotInTree);
            }
            prove(&mut connection, &self.origin, size, Ask::Consistency { size: to, old: from }).await
        })
        .await
    }

    /// That an event is in a signed tree, of at least `at_least` events: one that witnesses have signed too, where there is one
    /// of the last seconds.
    ///
    /// # Errors
    /// [`AuditFailure`]
    pub async fn proof(&self, sought: Sought, at_least: Position) -> Result<Proof, AuditFailure> {
        let (position, record) = within(self.find(sought)).await?;
        let deadline = Instant::now() + SEALED_WITHIN;
        loop {
            if let Some(checkpoint) = within(self.signed(position.max(at_least))).await? {
                return within(self.include(position, record, checkpoint)).await;
            }
            if Instant::now() >= deadline {
                return Err(AuditFailure::NotSealed);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// A checkpoint of so many events at least, if there is one.
    async fn signed(&self, at_least: Position) -> Result<Option<Checkpoint>, AuditFailure> {
        let mut connection = self.pool.acquire().await?;
        let Some(size) = recent::best_for_proofs(&mut connection, &self.origin, at_least).await? else {
            return Ok(None);
        };
        let stored = table::newest_up_to(&mut connection, &self.origin, size).await?;
        let stored = stored.ok_or_else(|| damaged(format!("the checkpoint of {size} events is gone")))?;
        self.cosigned(&mut connection, &stored).await.map(Some)
    }

    async fn find(&self, sought: Sought) -> Result<(Position, String), AuditFailure> {
        let mut connection = self.pool.acquire().await?;
        match sought {
            Sought::At(position) => {
                let found = lookup::records(&mut connection, position, position).await?;
                found.into_iter().next().map(|record| (position, record)).ok_or(AuditFailure::NoEvent)
            }
            Sought::Of(vtid, version) => {
                if let Some(found) = lookup::record_of(&mut connection, vtid, version).await? {
                    return Ok(found);
                }
                let last = lookup::record_of(&mut connection, vtid, None).await?;
                Err(last.map_or(AuditFailure::NoTask, |_| AuditFailure::NoEvent))
            }
        }
    }

    /// Looks at the proof before it is given away: a record that was changed since is not passed off as sealed.
    async fn include(
        &self,
        position: Position,
        record: String,
        checkpoint: Checkpoint,
    ) -> Result<Proof, AuditFailure> {
        let mut connection = self.pool.acquire().await?;
        let (index, size) = (position.get().saturating_sub(1), checkpoint.size);
        let path = prove(&mut connection, &self.origin, size, Ask::Inclusion { size, index }).await?;
        if !includes(&path, size, checkpoint.root, index, leaf(&record)) {
            return Err(damaged(format!("the record at position {position} is not the one that was sealed")));
        }
        Ok(Proof { record: Some(record), index, path, checkpoint })
    }

    async fn newest(&self, connection: &mut PgConnection) -> Result<Checkpoint, AuditFailure> {
        let stored = table::newest(connection, &self.origin).await?.ok_or(AuditFailure::NothingSealed)?;
        self.cosigned(connection, &stored).await
    }

    /// With what witnesses have added to it.
    async fn cosigned(
        &self,
        connection: &mut PgConnection,
        stored: &Stored,
    ) -> Result<Checkpoint, AuditFailure> {
        let lines = table::cosignatures(connection, self.origin.as_str(), &[stored.size]).await?;
        let told = |error| damaged(format!("the checkpoint of {} events: {error}", stored.size));
        let checkpoint = Checkpoint::parse(stored.note.as_bytes()).map_err(told)?;
        if (checkpoint.size, checkpoint.root) != (stored.size.get(), stored.root)
            || checkpoint.origin != self.origin.as_str()
        {
            return Err(damaged(format!("the checkpoint of {} events is another one", stored.size)));
        }
        let lines: String = lines.into_iter().map(|cosignature| cosignature.line).collect();
        checkpoint.with_signatures(&lines).map_err(told)
    }

    async fn newest_size(&self, connection: &mut PgConnection) -> Result<u64, AuditFailure> {
        let stored = table::newest(connection, &self.origin).await?;
        stored.map(|stored| stored.size.get()).ok_or(AuditFailure::NothingSealed)
    }
}

/// What is told from the hashes of a signed tree of `size` leaves, which may be larger than the one that is asked about.
///
/// # Errors
/// [`AuditFailure::NotInTree`], [`AuditFailure::Damaged`], [`AuditFailure::Unavailable`]
pub async fn prove(
    connection: &mut PgConnection,
    origin: &KeyName,
    size: u64,
    ask: Ask,
) -> Result<Vec<Hash>, AuditFailure> {
    let failed = |error| match error {
        ProofError::Beyond { .. } => AuditFailure::NotInTree,
        error @ ProofError::Tiles(_) => damaged(error.to_string()),
    };
    let needed = ask.needs().map_err(failed)?;
    ask.answer(&tiles::read(connection, origin, size, &needed).await?).map_err(failed)
}

async fn within<T>(look: impl Future<Output = Result<T, AuditFailure>>) -> Result<T, AuditFailure> {
    timeout(LOOK_TIMEOUT, look).await.map_err(|_| sqlx::Error::PoolTimedOut)?
}

fn damaged(what: String) -> AuditFailure {
    AuditFailure::Damaged(what)
}

/// How many leaves are covered up to the end of a tile of `width` hashes; none where a tree of `size` has no such tile.
fn end_of(size: u64, key: TileKey, width: usize) -> Option<u64> {
    let shift = u32::from(TILE_HEIGHT) * u32::from(key.level);
    let last = key.number.checked_mul(TILE_WIDTH as u64)?.checked_add(width as u64)?;
    (last <= size.checked_shr(shift)?).then(|| last << shift)
}
