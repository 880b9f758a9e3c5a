//! Verifying a ledger where it stands: its log, and all that is kept beside it. Reads alone, in short statements; writes
//! may go on.

use sqlx::PgConnection;
use uuid::Uuid;

use super::checkpoints::Trusted;
use super::columns::differences;
use super::offline::key_of;
use super::report::{Check, CheckName, Report};
use super::tiles::Tiles;
use super::walk::Walk;
use crate::audit::error::AuditError;
use crate::audit::file::CheckpointMark;
use crate::audit::snapshots::compare_snapshots;
use crate::audit::stored::{self, Checkpoints, Sealed};
use crate::domain::lawful::Fact;
use crate::domain::position::Position;
use crate::domain::record::{LedgerId, Recorded};
use crate::log::connect::connect;
use crate::log::pages::{StoredEvent, last, whole_rows};
use crate::log::read::ReadError;
use crate::log::servers::Servers;
use crate::oasis::comparison::Verdict;
use crate::oasis::recover::Site;
use crate::oasis::scan::{Scan, ScanError};
use crate::oasis::stored::StoredStream;
use crate::projections::rebuild::{Difference, diff};
use crate::projections::tasks::ProjectionError;
use crate::tlog::checkpoint::Checkpoint;

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
    report.checks.push(snapshots(&mut connection, head, progress).await);
    report.checks.push(read_table(servers, progress).await);
    Ok(report)
}

/// The pass over the log.
struct LogPass {
    walk: Walk,
    columns: Check,
    head: Position,
    looked_to: Position,
    sealed: Checkpoints,
    tiles: Tiles,
}

impl LogPass {
    async fn begin(
        connection: &mut PgConnection,
        ledger: LedgerId,
        trusted: Trusted,
    ) -> Result<Self, AuditError> {
        let mut walk = Walk::new(ledger, trusted);
        let keys = stored::keys(connection).await?;
        for key in &keys {
            walk.key(key, None);
        }
        let sealed = Checkpoints::begin(connection).await?;
        // After the checkpoints, which are of no later events, and before the losses: one accepted meanwhile explains
        // what is missing then.
        let head = last(connection).await?.position();
        let losses = stored::losses(connection).await?;
        let tiles = Tiles::new(sealed.origins(), &keys, &losses);
        for loss in losses {
            walk.loss(loss);
        }
        let columns = Check::new(CheckName::Columns);
        Ok(Self { walk, columns, head, looked_to: Position::ZERO, sealed, tiles })
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
                self.walk.record(None, leaf, Ok(read))
            }
            Err(error) => self.walk.record(None, leaf, Err(&error)),
        };
        for tile in full {
            self.tiles.compare(connection, &mut self.walk, &tile).await?;
        }
        let size = place.get();
        if self.sealed.next_size().is_some_and(|next| next <= size) {
            self.checkpoints(connection, size, false).await?;
        }
        Ok(())
    }

    async fn checkpoints(
        &mut self,
        connection: &mut PgConnection,
        size: u64,
        ended: bool,
    ) -> Result<(), AuditError> {
        while let Some(sealed) = self.next_checkpoint(connection, size).await? {
            if self.walk.checkpoint(&sealed.checkpoint, None, ended) {
                self.tiles.sealed(&mut self.walk, &sealed.checkpoint.origin);
            }
            self.root(&sealed);
            for cosignature in &sealed.cosignatures {
                self.walk.cosignature(cosignature, None);
            }
        }
        Ok(())
    }

    /// The next checkpoint of `size` at most. Where a row can't be read, that is a finding, and the last of them.
    async fn next_checkpoint(
        &mut self,
        connection: &mut PgConnection,
        size: u64,
    ) -> Result<Option<Sealed>, AuditError> {
        match self.sealed.next_up_to(connection, size).await {
            Err(error @ (sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_))) => {
                self.walk.checkpoints_unfinished(&error);
                self.sealed = Checkpoints::none();
                Ok(None)
            }
            other => Ok(other?),
        }
    }

    /// The column beside the note: what reads it must not be told another root.
    fn root(&mut self, sealed: &Sealed) {
        let CheckpointMark { origin, size, note, .. } = &sealed.checkpoint;
        let Ok(checkpoint) = Checkpoint::parse(note.as_bytes()) else { return };
        if sealed.root != checkpoint.root {
            let what =
                format!("the row of the checkpoint of {origin} at {size} has another root than its note");
            self.walk.checkpoint_wrong(Position::new(*size), what);
        }
    }

    async fn end(mut self, connection: &mut PgConnection) -> Result<(Report, Check), AuditError> {
        self.checkpoints(connection, u64::MAX, true).await?;
        Ok((self.walk.end(None), self.columns))
    }
}

async fn snapshots(connection: &mut PgConnection, head: Position, progress: Progress<'_>) -> Check {
    let mut check = Check::new(CheckName::Snapshots);
    let compared = compare_snapshots(connection, head, |compared, differences| {
        progress("snapshots", compared.snapshots, compared.snapshots);
        for different in differences {
            check.wrong(Some(different.position), None, different.to_string());
        }
    })
    .await;
    match compared {
        Ok(compared) => check.looked_at = compared.snapshots,
        Err(error) => check.unfinished(&error),
    }
    check
}

async fn read_table(servers: &Servers, progress: Progress<'_>) -> Check {
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
        Err(ProjectionError::Log(error)) => unreadable(&mut check, &error),
        Err(error) => check.unfinished(&error),
    }
    check
}

/// That the log can't be folded is a finding of its own here, too.
fn unreadable(check: &mut Check, error: &ReadError) {
    let position = match error {
        ReadError::Database(_) => return check.unfinished(error),
        ReadError::OtherPast { position, .. }
        | ReadError::Record { position, .. }
        | ReadError::Damaged(position) => *position,
    };
    check.wrong(Some(position), None, format!("the log can't be folded beyond here: {error}"));
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

/// Compares the stream with the log; adds the check to the report. What can't be compared is wrong.
pub async fn verify_stream(site: &Site, report: &mut Report, progress: Progress<'_>) {
    let mut check = Check::new(CheckName::Stream);
    match compare_stream(site, &mut check, progress).await {
        Ok(None) => {}
        Ok(Some(note)) if check.looked_at == 0 => check = Check::left_out(CheckName::Stream, note),
        Ok(Some(note)) => report.notes.push(note),
        Err(ScanError::Log(error)) => unreadable(&mut check, &error),
        Err(error) => check.unfinished(&error),
    }
    report.checks.push(check);
}

/// Tells how much of the log is not in the stream yet, if there is such.
async fn compare_stream(
    site: &Site,
    check: &mut Check,
    progress: Progress<'_>,
) -> Result<Option<String>, ScanError> {
    // Before the stream, which may be ahead of it then, and no further behind.
    let head = last(&mut *site.pool.acquire().await?).await?.position();
    let stream = StoredStream::open(site.client.clone(), &site.stream.name).await?;
    let published = stream.last();
    let mut scan = Scan::begin(&stream, site.pool.clone(), site.ledger, Position::ZERO).await?;
    loop {
        let batch = scan.next().await?;
        if batch.is_empty() {
            break;
        }
        for compared in batch {
            check.looked_at += 1;
            if compared.verdict != Verdict::Same {
                check.wrong(Some(compared.sequence), None, compared.to_string());
            }
        }
        progress("messages", check.looked_at, published.get());
    }
    let unpublished = head.get().saturating_sub(published.get());
    Ok((unpublished > 0).then(|| {
        format!("the ledger's last {unpublished} events, up to position {head}, are not in the stream yet")
    }))
}
