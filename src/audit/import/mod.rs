//! Importing an export into a ledger without events: its id, positions, numbers, bytes and proofs stay what they were.
//!
//! The file is verified before anything is written. Then batches go in by `ledger.append`, with every check that the
//! database makes, each in a transaction of its own; so an import that was interrupted is taken up where it stopped, and
//! two of them, or an import and a writer, can't mix.

mod batch;
mod pass;
mod restored;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use self::pass::Pass;
use super::error::AuditError;
use super::file::ExportReader;
use super::verify::{Report, Trusted, verify_file};
use crate::domain::cursor::Cursor;
use crate::domain::position::Position;
use crate::domain::record::LedgerId;
use crate::leases::Role;
use crate::leases::table::{Standing, look};
use crate::log::connect::connect;
use crate::log::hold::read_losses;
use crate::log::pages::last;
use crate::log::servers::Servers;
use crate::tlog::Hash;

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
    let sealed =
        report.sealed.iter().filter_map(|(origin, size)| Some((origin.parse().ok()?, *size))).collect();
    let pass = Pass::new(connection, head, losses, sealed);
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
