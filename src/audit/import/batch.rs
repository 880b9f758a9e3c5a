//! What goes in with one transaction: records, the tiles that they fill, and what stands beside them.

use std::time::Duration;

use sqlx::{Connection, PgConnection};

use super::ImportError;
use super::restored::{keep_checkpoint, keep_cosignature, keep_key};
use crate::audit::error::AuditError;
use crate::audit::file::Mark;
use crate::domain::cursor::Cursor;
use crate::domain::record::Recorded;
use crate::log::append::{AppendReply, append};
use crate::log::hold::Losses;
use crate::sealer::tiles::{Kept, keep};
use crate::tlog::key::KeyName;
use crate::tlog::tree::FullTile;

/// Events of one transaction at most, and their bytes.
const EVENTS: usize = 1024;
const BYTES: usize = 4 << 20;
/// Tiles of one transaction at most, where its events are there already.
const TILES: usize = 256;
/// Times were right when they were recorded; how this database's clock stands to them says nothing.
const ANY_TIME: Duration = Duration::from_hours(10_000 * 365 * 24);

/// How far an import has come, and by what it goes on.
pub(super) struct Going {
    /// The last event that is in.
    pub(super) head: Cursor,
    pub(super) losses: Losses,
    /// The logs whose tiles are kept, each with the size of its last checkpoint.
    pub(super) sealed: Vec<(KeyName, u64)>,
}

/// What goes in with one transaction.
#[derive(Default)]
pub(super) struct Batch {
    records: Vec<Recorded>,
    bytes: usize,
    /// Each with the size of the tree that it filled up with.
    pub(super) tiles: Vec<(u64, FullTile)>,
    pub(super) beside: Vec<Mark>,
}

impl Batch {
    pub(super) fn add(&mut self, recorded: Recorded) {
        self.bytes += recorded.body.len();
        self.records.push(recorded);
    }

    pub(super) fn is_full(&self) -> bool {
        self.records.len() >= EVENTS
            || self.bytes >= BYTES
            || self.tiles.len() >= TILES
            || self.beside.len() >= EVENTS
    }

    /// Puts it in, all of it or nothing.
    ///
    /// # Errors
    /// [`AuditError`]; [`ImportError::Stopped`] where something stands against it.
    pub(super) async fn put(
        self,
        connection: &mut PgConnection,
        going: &mut Going,
    ) -> Result<(), AuditError> {
        let mut transaction = connection.begin().await?;
        let stopped = |head: Cursor, why| ImportError::Stopped { after: head.position(), why };
        if let Some(newest) = self.records.last() {
            if let Some(why) = self.append(&mut transaction, going).await? {
                return Err(stopped(going.head, why).into());
            }
            going.head = Cursor::at(&newest.event);
        }
        for (origin, sealed_to) in &going.sealed {
            // Nothing was signed of what comes later.
            let sealed = self.tiles.iter().filter(|(size, _)| size <= sealed_to);
            let tiles: Vec<FullTile> = sealed.map(|(_, tile)| tile.clone()).collect();
            let why = match keep(&mut transaction, origin, going.head, &tiles).await? {
                Kept::Done => continue,
                Kept::Different => "it holds tiles of other records",
                Kept::OtherPast => "the last event that was in is gone",
            };
            return Err(stopped(going.head, why).into());
        }
        for mark in &self.beside {
            keep_beside(&mut transaction, mark).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Appends the records; tells what stands against it.
    async fn append(
        &self,
        connection: &mut PgConnection,
        going: &Going,
    ) -> Result<Option<&'static str>, sqlx::Error> {
        let records: Vec<&Recorded> = self.records.iter().collect();
        match append(connection, going.head, going.losses, ANY_TIME, &records).await {
            Ok(AppendReply::Appended) => Ok(None),
            Ok(AppendReply::NotTheHead) => Ok(Some("somebody else writes to this ledger")),
            Ok(AppendReply::Held) => Ok(Some("writes are on hold")),
            Ok(AppendReply::TimeRefused) => {
                Ok(Some("the database's clock stands far before the events' times"))
            }
            Err(error) if is_race(&error) => Ok(Some("somebody else writes to this ledger")),
            Err(error) => Err(error),
        }
    }
}

/// Whether another appended at the same head.
fn is_race(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "23505")
}

/// Keeps what stands in an export beside the records; what is there already stays.
async fn keep_beside(connection: &mut PgConnection, mark: &Mark) -> Result<(), sqlx::Error> {
    match mark {
        // Checked when the file was verified, and not to be kept, or not yet.
        Mark::Sums(_) | Mark::End(_) | Mark::Loss(_) => Ok(()),
        Mark::Key(key) => keep_key(connection, key).await,
        Mark::Checkpoint(checkpoint) => keep_checkpoint(connection, checkpoint).await,
        Mark::Cosignature(cosignature) => keep_cosignature(connection, cosignature).await,
    }
}
