//! `vtid-ledger projection …`: the read models.
#![expect(
    clippy::doc_markdown,
    reason = "some of these comments are also the text of --help, which shows no Markdown"
)]

use std::path::PathBuf;

use clap::Args;

use super::database_url;
use crate::config::{ConfigError, DatabaseArgs};
use crate::database::{self, DatabaseError};
use crate::projections::command::{self, ProjectionArgs};
use crate::projections::tasks::ProjectionError;

/// Look at the read models, or mend them from the log
#[derive(Debug, Args)]
pub struct ProjectionCommand {
    #[command(flatten)]
    projection: ProjectionArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    /// The folder of a running `vtid-ledger dev`, whose database is used where DATABASE_URL is not set
    #[arg(long, value_name = "FOLDER", default_value = ".vtid", global = true)]
    data: PathBuf,
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionFailure {
    /// A setting.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The projection.
    #[error(transparent)]
    Projection(#[from] ProjectionError),
}

/// Runs it.
///
/// # Errors
/// [`ProjectionFailure`].
pub async fn run(command: ProjectionCommand) -> Result<(), ProjectionFailure> {
    let url = database_url(&command.database, &command.data)?;
    let options = database::options(&url, "vtid-ledger projection")?;
    database::check_sessions(&options).await?;
    Ok(command::run(command.projection, &options, &mut std::io::stdout()).await?)
}
