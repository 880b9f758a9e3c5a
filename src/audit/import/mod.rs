//! Importing an export into a ledger without events: its id, positions, numbers, bytes and proofs stay what they were.
//!
//! The file is verified before anything is written. Then batches go in by `ledger.append`, with every check that the
//! database makes, each in a transaction of its own; so an import that was interrupted is taken up where it stopped, and
//! two of them, or an import and a writer, can't mix.

use std::collections::VecDeque;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::error::AuditError;
use super::file::{ExportReader, FileFault, Line, LossMark, Mark};
use super::restored::{keep_checkpoint, keep_cosignature, keep_key, keep_loss};
use super::verify::{Report, Trusted, verify_file};
use crate::domain::cursor::Cursor;
use crate::domain::position::Position;
use crate::domain::record::{LedgerId, Recorded};
use crate::leases::Role;
use crate::leases::table::{Standing, look};
use crate::log::append::{AppendReply, append};
use crate::log::connect::connect;
use crate::log::hold::{Losses, read_losses};
use crate::log::pages::{bodies, last};
use crate::log::servers::Servers;
use crate::sealer::tiles::{Kept, keep};
use crate::tlog::Hash;
use crate::tlog::key::KeyName;
use crate::tlog::tree::{FullTile, Tree};

/// Events of one transaction at most, and their bytes.
const BATCH_EVENTS: usize = 1024;
const BATCH_BYTES: usize = 4 << 20;
/// Tiles of one transaction at most, where its events are there already.
const BATCH_TILES: usize = 256;
/// Times were right when they were recorded; how this database's clock stands to them says nothing.
const ANY_TIME: Duration = Duration::from_hours(10_000 * 365 * 24);

/// Why an import can't be done, or not go on. What was imported before stays, and counts next time.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file is not good.
    #[error(
        "nothing was imported: the file is not what was exported ({0}); `vtid-ledger audit verify --file` says more"
    )]
    Bad(String),
    /// The database holds something else.
    #[error(
        "nothing was imported: this ledger has events that are not the file's, at position {0} at the latest: import into a \
         database that `vtid-ledger migrate` has just made"
    )]
    OtherEvents(Position),
    /// A process of the service works on this database.
    #[error(
        "nothing was imported: a `vtid-ledger serve` is at work on this database (the lease of its {role} has {left_ms} ms left): \
         stop every one, and run the import again"
    )]
    Served {
        /// Whose lease it is.
        role: Role,
        /// How long it lasts, unless it is renewed.
        left_ms: u64,
    },
    /// Somebody writes, or has put a hold.
    #[error("the import stopped behind position {after}: {why}; run it again to go on from there")]
    Stopped {
        /// The last position that is in.
        after: Position,
        /// What stands against it.
        why: &'static str,
    },
    /// The file was another one when it was read again.
    #[error("the file changed while it was imported: the root is not what it was")]
    Changed,
}

/// What came of an import.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// Which ledger it is now.
    pub ledger: LedgerId,
    /// How many events it has.
    pub events: u64,
    /// How many of them were there already, from an import that was interrupted.
    pub resumed_after: u64,
    /// The root of the tree over their records.
    pub root: Hash,
}

/// Imports `path` as the database's owner. Tells `progress` what is done, how much of it, and of how much.
///
/// # Errors
/// [`AuditError`]; see [`ImportError`].
pub async fn import(
    servers: &Servers,
    path: &Path,
    trusted: Trusted,
    progress: &mut dyn FnMut(&'static str, u64, u64),
) -> Result<Imported, AuditError> {
    let bytes = std::fs::metadata(path)?.len();
    let report = verify_file(File::open(path)?, trusted, |done| progress("bytes verified", done, bytes))?;
    refuse_bad(&report)?;
    let mut connection = connect(servers).await?;
    if !super::stored::has_tables(&mut connection).await? {
        return Err(AuditError::NotMigrated);
    }
    let reader = ExportReader::open(BufReader::with_capacity(1 << 20, File::open(path)?))?;
    let ledger = reader.header().ledger();
    let head = begin(&mut connection, ledger).await?;
    let losses = read_losses(&mut connection).await?;
    let pass = Pass {
        connection,
        found: head,
        // What is there already is passed over, and what belongs to it goes in beside it.
        head,
        there: VecDeque::new(),
        losses,
        tree: Tree::new(),
        sealed: report
            .sealed
            .iter()
            .filter_map(|(origin, size)| Some((origin.parse().ok()?, *size)))
            .collect(),
        batch: Batch::default(),
        given_up: Vec::new(),
    };
    let root = pass.run(reader, progress).await?;
    if root != report.root {
        return Err(ImportError::Changed.into());
    }
    let resumed_after = head.position().get();
    Ok(Imported { ledger, events: report.events, resumed_after, root })
}

fn refuse_bad(report: &Report) -> Result<(), ImportError> {
    let Some((check, finding)) = report.first_wrong() else { return Ok(()) };
    Err(ImportError::Bad(format!("{}{check}: {}", finding.place(), finding.what)))
}

/// Makes an empty ledger the one that was exported; else it must be that one already. Tells its head.
async fn begin(connection: &mut PgConnection, ledger: LedgerId) -> Result<Cursor, AuditError> {
    let mut transaction = connection.begin().await?;
    // Nobody appends meanwhile.
    sqlx::query("select pg_advisory_xact_lock(ledger.append_lock())").execute(&mut *transaction).await?;
    for role in Role::ALL {
        // It would go on under an id that is no longer the ledger's, and from a head that it does not know.
        let standing = look(&mut transaction, role).await?;
        if let Some(Standing { left_ms: left_ms @ 1.., .. }) = standing {
            return Err(ImportError::Served { role, left_ms }.into());
        }
    }
    let head = last(&mut transaction).await?;
    let id: Uuid =
        sqlx::query_scalar("select ledger_id from ledger.identity").fetch_one(&mut *transaction).await?;
    if head == Cursor::Start {
        sqlx::query("update ledger.identity set ledger_id = $1")
            .bind(ledger.0)
            .execute(&mut *transaction)
            .await?;
    } else if id != ledger.0 {
        return Err(ImportError::OtherEvents(head.position()).into());
    }
    transaction.commit().await?;
    Ok(head)
}

/// The pass that writes.
struct Pass {
    connection: PgConnection,
    /// What the ledger held when the import began, or was taken up.
    found: Cursor,
    /// The last event that is in.
    head: Cursor,
    /// The next of the records that it held.
    there: VecDeque<(Position, Arc<str>)>,
    losses: Losses,
    tree: Tree,
    /// The logs whose tiles are kept, each with the size of its last checkpoint.
    sealed: Vec<(KeyName, u64)>,
    batch: Batch,
    /// There are few.
    given_up: Vec<LossMark>,
}

/// What goes in with one transaction.
#[derive(Default)]
struct Batch {
    records: Vec<Recorded>,
    bytes: usize,
    /// Each with the size of the tree that it filled up with.
    tiles: Vec<(u64, FullTile)>,
    beside: Vec<Mark>,
}

impl Pass {
    async fn run(
        mut self,
        mut reader: ExportReader<BufReader<File>>,
        progress: &mut dyn FnMut(&'static str, u64, u64),
    ) -> Result<Hash, AuditError> {
        let events = reader.header().events;
        if self.found.position().get() > events {
            return Err(ImportError::OtherEvents(self.found.position()).into());
        }
        while let Some(line) = reader.next_line()? {
            match line {
                Line::Record(record) => {
                    let parsed = str::from_utf8(record).ok().map(|text| Recorded::parse(text.into()));
                    let position = self.tree.size() + 1;
                    let recorded = match parsed {
                        Some(Ok(recorded)) => recorded,
                        Some(Err(error)) => {
                            return Err(FileFault::Record { position, error }.at(reader.line()).into());
                        }
                        // It was looked at before.
                        None => return Err(ImportError::Changed.into()),
                    };
                    self.record(recorded).await?;
                }
                Line::Mark(Mark::Loss(loss)) => self.given_up.push(loss),
                Line::Mark(mark) => self.batch.beside.push(mark),
            }
            if self.batch.is_full() {
                self.flush().await?;
                progress("events imported", self.tree.size(), events);
            }
        }
        self.flush().await?;
        // Last: an append counts them.
        for loss in &self.given_up {
            keep_loss(&mut self.connection, loss).await?;
        }
        self.connection.close().await?;
        Ok(self.tree.root())
    }

    async fn record(&mut self, recorded: Recorded) -> Result<(), AuditError> {
        let position = recorded.event.position;
        if position <= self.found.position() {
            self.is_there(&recorded).await?;
        }
        let full = self.tree.push(crate::tlog::leaf(&recorded.body));
        let size = self.tree.size();
        self.batch.tiles.extend(full.into_iter().map(|tile| (size, tile)));
        if position > self.found.position() {
            self.batch.bytes += recorded.body.len();
            self.batch.records.push(recorded);
        }
        Ok(())
    }

    /// Refuses a ledger that holds anything else in a record's place.
    async fn is_there(&mut self, recorded: &Recorded) -> Result<(), AuditError> {
        let position = recorded.event.position;
        if self.there.is_empty() {
            let after = Position::new(self.tree.size());
            self.there = bodies(&mut self.connection, after, self.found.position()).await?.into();
        }
        match self.there.pop_front() {
            Some((at, body)) if at == position && *body == *recorded.body => Ok(()),
            _ => Err(ImportError::OtherEvents(position).into()),
        }
    }

    /// Puts in what was gathered, all of it or nothing.
    async fn flush(&mut self) -> Result<(), AuditError> {
        let batch = std::mem::take(&mut self.batch);
        let mut transaction = self.connection.begin().await?;
        if let Some(newest) = batch.records.last() {
            let records: Vec<&Recorded> = batch.records.iter().collect();
            let said = append(&mut transaction, self.head, self.losses, ANY_TIME, &records).await;
            let why = match said {
                Ok(AppendReply::Appended) => None,
                Ok(AppendReply::NotTheHead) => Some("somebody else writes to this ledger"),
                Ok(AppendReply::Held) => Some("writes are on hold"),
                Ok(AppendReply::TimeRefused) => {
                    Some("the database's clock stands far before the events' times")
                }
                Err(error) if is_race(&error) => Some("somebody else writes to this ledger"),
                Err(error) => return Err(error.into()),
            };
            if let Some(why) = why {
                return Err(ImportError::Stopped { after: self.head.position(), why }.into());
            }
            self.head = Cursor::at(&newest.event);
        }
        for (origin, sealed_to) in &self.sealed {
            // Nothing was signed of what comes later.
            let sealed = batch.tiles.iter().filter(|(size, _)| size <= sealed_to);
            let tiles: Vec<FullTile> = sealed.map(|(_, tile)| tile.clone()).collect();
            let why = match keep(&mut transaction, origin, self.head, &tiles).await? {
                Kept::Done => None,
                Kept::Different => Some("it holds tiles of other records"),
                Kept::OtherPast => Some("the last event that was in is gone"),
            };
            if let Some(why) = why {
                return Err(ImportError::Stopped { after: self.head.position(), why }.into());
            }
        }
        for mark in &batch.beside {
            keep_beside(&mut transaction, mark).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

impl Batch {
    fn is_full(&self) -> bool {
        self.records.len() >= BATCH_EVENTS
            || self.bytes >= BATCH_BYTES
            || self.tiles.len() >= BATCH_TILES
            || self.beside.len() >= BATCH_EVENTS
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
