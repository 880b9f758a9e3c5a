//! Verifying a ledger where it stands: its log, and all that is kept beside it. Reads alone, in short statements; writes
//! may go on.

use sqlx::PgConnection;
use uuid::Uuid;

use super::checkpoints::Trusted;
use super::columns::differences;
use super::offline::key_of;
use super::report::{Check, CheckName, Report};
use super::walk::Walk;
use crate::audit::error::AuditError;
use crate::audit::snapshots::compare_snapshots;
use crate::audit::stored::{self, Checkpoints, tile};
use crate::domain::lawful::Fact;
use crate::domain::position::Position;
use crate::domain::record::{LedgerId, Recorded};
use crate::log::connect::connect;
use crate::log::pages::{StoredEvent, last, whole_rows};
use crate::log::read::ReadError;
use crate::log::servers::Servers;
use crate::oasis::comparison::Verdict;
use crate::oasis::scan::{Scan, ScanError};
use crate::oasis::stored::StoredStream;
use crate::projections::rebuild::{Difference, diff};
use crate::projections::tasks::ProjectionError;
use crate::tlog::tree::FullTile;

/// How far a verification is: what is looked at, how much of it is done, and of about how much.
pub type Progress<'a> = &'a mut dyn FnMut(&'static str, u64, u64);

/// Looks at the log and the tables beside it, up to the head as of now.
///
/// # Errors
/// [`AuditError`], if it can't be looked at. Whatever is wrong with it is in the report.
pub async fn verify_ledger(
    servers: &Servers,
    trusted: Trusted,
    progress: Progress<'_>,
) -> Result<Report, AuditError> {
    let mut connection = connect(servers).await?;
    if !stored::has_tables(&mut connection).await? {
        return Err(AuditError::NotMigrated);
    }
    let ledger: Uuid =
        sqlx::query_scalar("select ledger_id from ledger.identity").fetch_one(&mut connection).await?;
    let mut log = LogPass::begin(&mut connection, LedgerId(ledger), trusted).await?;
    let head = log.head;
    while !log.is_done() {
        log.page(&mut connection).await?;
        progress("events", log.looked_to.get(), head.get());
    }
    let (mut report, columns) = log.end(&mut connection).await?;
    report.checks.push(columns);
    report.checks.push(snapshots(&mut connection, head, progress).await?);
    report.checks.push(read_table(servers, progress).await?);
    Ok(report)
}

/// The pass over the log.
struct LogPass {
    walk: Walk,
    columns: Check,
    head: Position,
    looked_to: Position,
    sealed: Checkpoints,
    /// The log whose tiles are looked at.
    tiles_of: Option<String>,
}

impl LogPass {
    async fn begin(
        connection: &mut PgConnection,
        ledger: LedgerId,
        trusted: Trusted,
    ) -> Result<Self, AuditError> {
        let mut walk = Walk::new(ledger, trusted);
        for key in stored::keys(connection).await? {
            walk.key(&key, None);
        }
        let tiles_of = Checkpoints::newest_log(connection).await?;
        let sealed = Checkpoints::begin(connection).await?;
        // After the checkpoints, which are of no later events, and before the losses: one accepted meanwhile explains
        // what is missing then.
        let head = last(connection).await?.position();
        for loss in stored::losses(connection).await? {
            walk.loss(loss);
        }
        let columns = Check::new(CheckName::Columns);
        Ok(Self { walk, columns, head, looked_to: Position::ZERO, sealed, tiles_of })
    }

    fn is_done(&self) -> bool {
        self.looked_to >= self.head
    }

    async fn page(&mut self, connection: &mut PgConnection) -> Result<(), AuditError> {
        let rows = whole_rows(connection, self.looked_to, self.head).await?;
        self.looked_to = rows.last().map_or(self.head, |row| Position::from_i64(row.position));
        for row in rows {
            self.row(connection, row).await?;
        }
        Ok(())
    }

    async fn row(&mut self, connection: &mut PgConnection, row: StoredEvent) -> Result<(), AuditError> {
        let place = self.walk.next();
        let leaf = crate::tlog::leaf(&row.body);
        let full = match Recorded::parse_with_source(row.body.as_str().into()) {
            Ok((recorded, source)) => {
                self.columns.looked_at += 1;
                let different = differences(&row, &recorded.event);
                if !different.is_empty() {
                    let what = format!("the record says otherwise than {}", different.join(", "));
                    self.columns.wrong(Some(place), None, what);
                }
                let read = (Fact::of(&recorded, source), key_of(&recorded));
                self.walk.record(None, leaf, Ok(read))?
            }
            Err(error) => self.walk.record(None, leaf, Err(&error))?,
        };
        for tile in full {
            self.tile(connection, &tile).await?;
        }
        let size = place.get();
        if self.sealed.next_size().is_some_and(|next| next <= size) {
            self.checkpoints(connection, size, false).await?;
        }
        Ok(())
    }

    /// Compares a tile with the stored one: it tells which of its records was changed since it was sealed.
    async fn tile(&mut self, connection: &mut PgConnection, full: &FullTile) -> Result<(), AuditError> {
        let Some(origin) = &self.tiles_of else { return Ok(()) };
        let Some(stored) = tile(connection, origin, full.level, full.number).await? else { return Ok(()) };
        self.walk.tree_looked_at(1);
        if stored.hashes == full.hashes && stored.root == full.root.0 {
            return Ok(());
        }
        let hashes = full.hashes.chunks(32).zip(stored.hashes.chunks(32));
        let index = hashes.map(|(own, said)| own == said).position(|same| !same).unwrap_or(0) as u64;
        // A hash of this level stands for so many records.
        let each = 1u64 << (8 * u32::from(full.level).min(7));
        let position = Position::new((full.number * 256 + index) * each).next();
        self.walk.tree_wrong(position, "its bytes are not those that were sealed");
        Ok(())
    }

    async fn checkpoints(
        &mut self,
        connection: &mut PgConnection,
        size: u64,
        ended: bool,
    ) -> Result<(), AuditError> {
        while let Some(sealed) = self.sealed.next_up_to(connection, size).await? {
            self.walk.checkpoint(&sealed.checkpoint, None, ended);
            for cosignature in &sealed.cosignatures {
                self.walk.cosignature(cosignature, None);
            }
        }
        Ok(())
    }

    async fn end(mut self, connection: &mut PgConnection) -> Result<(Report, Check), AuditError> {
        self.checkpoints(connection, u64::MAX, true).await?;
        Ok((self.walk.end(None)?, self.columns))
    }
}

async fn snapshots(
    connection: &mut PgConnection,
    head: Position,
    progress: Progress<'_>,
) -> Result<Check, AuditError> {
    let mut check = Check::new(CheckName::Snapshots);
    let compared = compare_snapshots(connection, head, |compared, differences| {
        progress("snapshots", compared.snapshots, compared.snapshots);
        for different in differences {
            check.wrong(Some(different.position), None, different.to_string());
        }
    })
    .await?;
    check.looked_at = compared.snapshots;
    Ok(check)
}

async fn read_table(servers: &Servers, progress: Progress<'_>) -> Result<Check, AuditError> {
    let mut check = Check::new(CheckName::ReadTable);
    let walked = diff(servers, |walk, differences| {
        progress("tasks", walk.tasks, walk.total.unwrap_or(0));
        for difference in differences {
            check.wrong(None, None, told(difference));
        }
    })
    .await;
    match walked {
        Ok(walked) => check.looked_at = walked.tasks + walked.unexpected,
        Err(ProjectionError::Log(error)) => unreadable(&mut check, error)?,
        Err(error) => return Err(error.into()),
    }
    Ok(check)
}

/// That the log can't be folded is a finding of its own here, too.
fn unreadable(check: &mut Check, error: ReadError) -> Result<(), AuditError> {
    let position = match &error {
        ReadError::Database(_) => return Err(error.into()),
        ReadError::OtherPast { position, .. }
        | ReadError::Record { position, .. }
        | ReadError::Damaged(position) => *position,
    };
    check.wrong(Some(position), None, format!("the log can't be folded beyond here: {error}"));
    Ok(())
}

/// A difference of the read table, for people.
#[must_use]
pub fn told(difference: &Difference) -> String {
    match difference {
        Difference::Missing { vtid } => format!("{vtid} has no row"),
        Difference::Unexpected { vtid } => format!("{vtid} has a row, and no events"),
        Difference::Changed { vtid, columns } => {
            format!("the row of {vtid} is not what the log says: {}", columns.join(", "))
        }
    }
}

/// Compares the stream with the log.
///
/// # Errors
/// [`AuditError`], if they can't be compared.
pub async fn verify_stream(
    site: &crate::oasis::recover::Site,
    progress: Progress<'_>,
) -> Result<Check, AuditError> {
    let mut check = Check::new(CheckName::Stream);
    let stream = StoredStream::open(site.client.clone(), &site.stream.name).await?;
    let total = stream.last().get();
    let mut scan = Scan::begin(&stream, site.pool.clone(), site.ledger, Position::ZERO).await?;
    loop {
        let batch = match scan.next().await {
            Ok(batch) => batch,
            Err(ScanError::Log(error)) => {
                unreadable(&mut check, error)?;
                return Ok(check);
            }
            Err(error) => return Err(error.into()),
        };
        if batch.is_empty() {
            return Ok(check);
        }
        for compared in batch {
            check.looked_at += 1;
            if compared.verdict != Verdict::Same {
                check.wrong(Some(compared.sequence), None, compared.to_string());
            }
        }
        progress("messages", check.looked_at, total);
    }
}
