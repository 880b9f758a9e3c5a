//! `vtid-ledger migrate`: the schema, applied by whoever owns the database.

use clap::Args;

use crate::config::{ConfigError, DatabaseArgs};
use crate::database::{self, DatabaseError};

/// Bring the database's schema up to date
#[derive(Debug, Args)]
pub struct MigrateArgs {
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Why nothing, or not everything, was migrated.
#[derive(Debug, thiserror::Error)]
pub enum MigrateFailure {
    /// A setting.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Applies the migrations and the projections' SQL, once, whoever else starts at the same time.
///
/// # Errors
/// [`MigrateFailure`].
pub async fn run(args: MigrateArgs) -> Result<(), MigrateFailure> {
    database::migrate(args.database.url()?).await?;
    println!("the database's schema is up to date");
    Ok(())
}
