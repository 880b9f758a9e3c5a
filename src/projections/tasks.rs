//! The projection `vtid_ledger`: the read table `"VtidLedger"`, one row a task.

use sqlx::{Connection, PgConnection, Row};
use uuid::Uuid;

use crate::domain::cursor::Cursor;
use crate::domain::position::Position;

/// The projection's name: its key in `ledger.projection` and `ledger.progress`, and what commands call it.
pub const NAME: &str = "vtid_ledger";
/// Raised whenever the rows are to look different from what earlier code wrote: the projector mends every row then.
pub const REVISION: i32 = 1;
/// Raised whenever the SQL has changed: whoever serves refuses a database where `migrate` has not applied it.
pub const SCHEMA_REVISION: i32 = 2;
const SQL: &str = include_str!("../../projections/vtid_ledger.sql");

/// Why a projection can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// Its SQL is not applied, or that of an earlier revision.
    #[error(
        "the projection {NAME} is not migrated (at revision {found}, this version needs {SCHEMA_REVISION}): \
         run `vtid-ledger migrate`"
    )]
    NotMigrated {
        /// The revision whose SQL is applied; 0 for none.
        found: i32,
    },
    /// Code of a later revision keeps the read table.
    #[error("the projection {NAME} is kept by a later version (revision {0}, this one knows {REVISION})")]
    Newer(i32),
    /// There is no projection of this name.
    #[error("there is no projection {0:?}; the projections are: {NAME}")]
    Unknown(String),
    /// The database did not answer, or refused.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// The log can't be read or folded.
    #[error("the log: {0}")]
    Log(#[from] crate::log::read::ReadError),
    /// The answer could not be printed.
    #[error("printing: {0}")]
    Print(#[from] std::io::Error),
}

/// Applies the projection's SQL, unless that of a later revision is applied. Additive; may be called again.
///
/// The schema of the log must be there.
///
/// # Errors
/// Whatever the driver says; nothing is changed then.
pub async fn apply_sql(connection: &mut PgConnection) -> Result<(), ProjectionError> {
    let mut transaction = connection.begin().await?;
    sqlx::query("select pg_advisory_xact_lock(ledger.projection_lock($1))")
        .bind(NAME)
        .execute(&mut *transaction)
        .await?;
    let applied: Option<i32> =
        sqlx::query_scalar("select schema_revision from ledger.projection where name = $1")
            .bind(NAME)
            .fetch_optional(&mut *transaction)
            .await?;
    if applied.is_some_and(|applied| applied > SCHEMA_REVISION) {
        return Ok(());
    }
    // Once its table was dropped, the projection follows from the log's start again.
    sqlx::query(
        "delete from ledger.progress where name = $1 and to_regclass('public.\"VtidLedger\"') is null",
    )
    .bind(NAME)
    .execute(&mut *transaction)
    .await?;
    sqlx::raw_sql(SQL).execute(&mut *transaction).await?;
    sqlx::query(
        "insert into ledger.projection (name, schema_revision, revision) values ($1, $2, $3)
         on conflict (name) do update set schema_revision = excluded.schema_revision",
    )
    .bind(NAME)
    .bind(SCHEMA_REVISION)
    .bind(REVISION)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}

/// Refuses a database in which this version's SQL is not applied. Schema `ledger` must be there.
///
/// # Errors
/// [`ProjectionError::NotMigrated`], saying what to do.
pub async fn check(connection: &mut PgConnection) -> Result<(), ProjectionError> {
    let applied: Option<i32> = sqlx::query_scalar(
        "select schema_revision from ledger.projection
         where name = $1 and to_regclass('public.\"VtidLedger\"') is not null",
    )
    .bind(NAME)
    .fetch_optional(connection)
    .await?;
    match applied.unwrap_or(0) {
        found if found < SCHEMA_REVISION => Err(ProjectionError::NotMigrated { found }),
        _ => Ok(()),
    }
}

/// What the database knows of the projection, in one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Where its cursor stands.
    pub cursor: Cursor,
    /// The revision of the code that last built it whole.
    pub revision: i32,
    /// The rebuild that is under way: its revision, and the VTID up to which it has come.
    pub mending: Option<(i32, String)>,
    /// The log's last position.
    pub head: Position,
}

impl Progress {
    /// The highest revision that writes the rows.
    #[must_use]
    pub fn newest_revision(&self) -> i32 {
        self.mending.as_ref().map_or(self.revision, |(mending, _)| self.revision.max(*mending))
    }
}

/// Where the projection stands.
///
/// # Errors
/// [`ProjectionError::NotMigrated`], or whatever the driver says.
pub async fn progress(connection: &mut PgConnection) -> Result<Progress, ProjectionError> {
    let row = sqlx::query(
        "select p.revision, p.mending_revision, p.mended_to, c.position, c.event_id,
            coalesce((select position from ledger.event order by position desc limit 1), 0) as head
         from ledger.projection p
         left join lateral (
             select position, event_id from ledger.progress where name = p.name order by position desc limit 1
         ) c on true
         where p.name = $1",
    )
    .bind(NAME)
    .fetch_optional(connection)
    .await?
    .ok_or(ProjectionError::NotMigrated { found: 0 })?;
    let position: Option<i64> = row.try_get("position")?;
    let id: Option<Uuid> = row.try_get("event_id")?;
    let mending: Option<i32> = row.try_get("mending_revision")?;
    let mended_to: Option<String> = row.try_get("mended_to")?;
    Ok(Progress {
        cursor: match (position, id) {
            (Some(position), Some(id)) => Cursor::At { position: Position::from_i64(position), id },
            _ => Cursor::Start,
        },
        revision: row.try_get("revision")?,
        mending: mending.zip(mended_to),
        head: Position::from_i64(row.try_get("head")?),
    })
}
