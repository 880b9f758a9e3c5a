//! The schema: applied by `vtid-ledger migrate` alone, checked by whoever serves.

use sqlx::PgConnection;
use sqlx::migrate::{Migrate, MigrateError, Migrator};

use super::pool::Pool;
use crate::domain::record::LedgerId;

/// Why the schema can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// Migrations are missing, or the database is of another program.
    #[error(
        "the database's schema is not migrated (at {found}, this version needs {wanted}): run `vtid-ledger migrate`"
    )]
    Behind {
        /// The last migration that the database has; 0 for none.
        found: i64,
        /// The last one that this program brings.
        wanted: i64,
    },
    /// The database was migrated by a later version of this program.
    #[error(
        "the database's schema ({found}) is newer than this version knows ({known}): run the newer version"
    )]
    Newer {
        /// The last migration that the database has.
        found: i64,
        /// The last one that this program brings.
        known: i64,
    },
    /// A migration failed.
    #[error("migrating the database failed: {0}")]
    Migrate(#[from] MigrateError),
    /// The database did not answer.
    #[error("the database can't be asked for its schema: {0}")]
    Database(#[from] sqlx::Error),
}

const MIGRATIONS_TABLE: &str = "ledger._migrations";

fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("./migrations");
    migrator.create_schema("ledger");
    migrator.dangerous_set_table_name(MIGRATIONS_TABLE);
    migrator
}

fn newest(migrator: &Migrator) -> i64 {
    migrator.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// Applies what is missing, once, under the driver's own lock when several start together.
///
/// # Errors
/// [`SchemaError`].
pub async fn migrate(connection: &mut PgConnection) -> Result<(), SchemaError> {
    let migrator = migrator();
    match migrator.run_direct(None, connection, false).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(found)) => {
            let known = newest(&migrator);
            // One in between would be of another program.
            Err(if found > known {
                SchemaError::Newer { found, known }
            } else {
                MigrateError::VersionMissing(found).into()
            })
        }
        Err(error) => Err(error.into()),
    }
}

/// Refuses a database whose schema is not the one that this program was written for.
///
/// # Errors
/// [`SchemaError`], saying what to do.
pub async fn check(connection: &mut PgConnection) -> Result<(), SchemaError> {
    let known = newest(&migrator());
    let exists: bool = sqlx::query_scalar("select to_regclass($1) is not null")
        .bind(MIGRATIONS_TABLE)
        .fetch_one(&mut *connection)
        .await?;
    let applied =
        if exists { connection.list_applied_migrations(MIGRATIONS_TABLE).await? } else { Vec::new() };
    let found = applied.iter().map(|migration| migration.version).max().unwrap_or(0);
    match found.cmp(&known) {
        std::cmp::Ordering::Less => Err(SchemaError::Behind { found, wanted: known }),
        std::cmp::Ordering::Greater => Err(SchemaError::Newer { found, known }),
        std::cmp::Ordering::Equal => Ok(()),
    }
}

/// The ledger's id, made when the schema was.
///
/// # Errors
/// Whatever the driver says.
pub async fn ledger_id(pool: &Pool) -> Result<LedgerId, sqlx::Error> {
    sqlx::query_scalar("select ledger_id from ledger.identity")
        .fetch_one(&mut *pool.acquire().await?)
        .await
        .map(LedgerId)
}
