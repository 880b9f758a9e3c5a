//! Exporting the log into one file.

use std::io::Write;

use sqlx::PgConnection;
use uuid::Uuid;

use super::error::AuditError;
use super::file::{ExportWriter, Header, Mark};
use super::stored::{self, Checkpoints};
use crate::domain::position::Position;
use crate::domain::record::LedgerId;
use crate::log::connect::connect;
use crate::log::lookup::event_id_at;
use crate::log::pages::{bodies, last};
use crate::log::servers::Servers;
use crate::tlog::Hash;

/// What was exported.
#[derive(Debug, Clone, PartialEq)]
pub struct Exported {
    /// Which ledger.
    pub ledger: LedgerId,
    /// How many events.
    pub events: u64,
    /// The root of the tree over their records.
    pub root: Hash,
}

/// Writes the log up to its head as of now, page by page and without a long transaction; writes may go on. Tells
/// `progress` how many events are done, and of how many.
///
/// # Errors
/// [`AuditError`]; what was written is no export then.
pub async fn export<W: Write>(
    servers: &Servers,
    out: W,
    mut progress: impl FnMut(u64, u64),
) -> Result<(W, Exported), AuditError> {
    let mut connection = connect(servers).await?;
    if !stored::has_tables(&mut connection).await? {
        return Err(AuditError::NotMigrated);
    }
    let id: Uuid =
        sqlx::query_scalar("select ledger_id from ledger.identity").fetch_one(&mut connection).await?;
    // Before the head, so that it covers no later events.
    let mut sealed = Checkpoints::begin(&mut connection).await?;
    let head = last(&mut connection).await?;
    let events = head.position().get();
    let mut writer = ExportWriter::begin(out, Header::new(LedgerId(id), events))?;
    for key in stored::keys(&mut connection).await? {
        writer.mark(&Mark::Key(key))?;
    }
    for loss in stored::losses(&mut connection).await? {
        writer.mark(&Mark::Loss(loss))?;
    }
    while writer.written() < events {
        page(&mut connection, &mut writer, head.position(), &mut sealed).await?;
        progress(writer.written(), events);
    }
    // Of history that was given up, or else of what is missing: verify tells them apart.
    checkpoints(&mut connection, &mut writer, &mut sealed, u64::MAX).await?;
    if event_id_at(&mut connection, head.position()).await? != head.id() {
        return Err(AuditError::Gap(head.position()));
    }
    let (out, root) = writer.end()?;
    Ok((out, Exported { ledger: LedgerId(id), events, root }))
}

async fn page<W: Write>(
    connection: &mut PgConnection,
    writer: &mut ExportWriter<W>,
    head: Position,
    sealed: &mut Checkpoints,
) -> Result<(), AuditError> {
    let after = Position::new(writer.written());
    let rows = bodies(connection, after, head).await?;
    if rows.is_empty() {
        return Err(AuditError::Gap(after.next()));
    }
    for (position, body) in rows {
        let expected = Position::new(writer.written()).next();
        if position != expected {
            return Err(AuditError::Gap(expected));
        }
        if body.contains('\n') {
            return Err(AuditError::NotALine(position));
        }
        writer.record(&body)?;
        if sealed.next_size().is_some_and(|next| next <= position.get()) {
            checkpoints(connection, writer, sealed, position.get()).await?;
        }
    }
    Ok(())
}

/// Writes the checkpoints that cover no more than `size` events.
async fn checkpoints<W: Write>(
    connection: &mut PgConnection,
    writer: &mut ExportWriter<W>,
    sealed: &mut Checkpoints,
    size: u64,
) -> Result<(), AuditError> {
    while let Some(sealed) = sealed.next_up_to(connection, size).await? {
        writer.mark(&Mark::Checkpoint(sealed.checkpoint))?;
        for cosignature in sealed.cosignatures {
            writer.mark(&Mark::Cosignature(cosignature))?;
        }
    }
    Ok(())
}
