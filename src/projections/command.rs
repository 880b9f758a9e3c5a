//! `vtid-ledger projection status` and `vtid-ledger projection rebuild`.

use std::io::Write;

use clap::{Args, Subcommand};

use super::rebuild::{From, rebuild};
use super::tasks::{NAME, ProjectionError, REVISION, progress};
use crate::leases::Role;
use crate::leases::table::{Standing, look};
use crate::log::connect::connect;
use crate::log::servers::Servers;
use crate::progress::Progress;

/// What `vtid-ledger projection` takes.
#[derive(Debug, Clone, Args)]
pub struct ProjectionArgs {
    #[command(subcommand)]
    command: ProjectionCommand,
}

#[derive(Debug, Clone, Subcommand)]
enum ProjectionCommand {
    /// Show how far each read model has come
    Status,
    /// Make every row of a read model what the log says, while reads and writes go on
    Rebuild(RebuildArgs),
}

#[derive(Debug, Clone, Args)]
struct RebuildArgs {
    /// The read model's name, as `projection status` shows it
    name: String,
    /// Begin at the first task, even where an earlier rebuild was interrupted
    #[arg(long)]
    restart: bool,
}

/// Runs the command against the database of `options`, and prints to `out`.
///
/// # Errors
/// [`ProjectionError`].
pub async fn run(
    args: ProjectionArgs,
    options: &Servers,
    out: &mut impl Write,
) -> Result<(), ProjectionError> {
    match args.command {
        ProjectionCommand::Status => status(options, out).await,
        ProjectionCommand::Rebuild(args) if args.name == NAME => {
            let from = if args.restart { From::TheStart } else { From::WhereItStopped };
            show_rebuild(options, from, out).await
        }
        ProjectionCommand::Rebuild(args) => Err(ProjectionError::Unknown(args.name)),
    }
}

async fn status(options: &Servers, out: &mut impl Write) -> Result<(), ProjectionError> {
    let mut connection = connect(options).await?;
    let known = progress(&mut connection).await?;
    let behind = known.head.get().saturating_sub(known.cursor.position().get());
    writeln!(out, "projection  {NAME}")?;
    writeln!(out, "revision    {} (this version: {REVISION})", known.revision)?;
    writeln!(out, "position    {} of {} ({behind} behind)", known.cursor.position(), known.head)?;
    let now = look(&mut connection, Role::Projector).await?;
    match now.filter(|lease| lease.left_ms > 0) {
        None => writeln!(out, "projector   none")?,
        Some(Standing { holder, term, .. }) => writeln!(out, "projector   {holder} (term {term})")?,
    }
    match known.mending {
        None => writeln!(out, "rebuild     none")?,
        Some((revision, to)) if to.is_empty() => {
            writeln!(out, "rebuild     revision {revision}, at its start")?;
        }
        Some((revision, to)) => writeln!(out, "rebuild     revision {revision}, done up to {to}")?,
    }
    Ok(())
}

async fn show_rebuild(options: &Servers, from: From, out: &mut impl Write) -> Result<(), ProjectionError> {
    let mut progress = Progress::new("tasks");
    let done = rebuild(options, from, |walk| {
        let total = walk.total.unwrap_or(0);
        progress.tell(walk.tasks, total, &format!("{} rows mended", walk.differences()));
    })
    .await?;
    drop(progress);
    if let Some(after) = &done.resumed_after {
        writeln!(out, "took up an interrupted rebuild after {after}; --restart begins at the first task")?;
    }
    writeln!(
        out,
        "{NAME}: {} tasks, {} rows mended ({} were missing, {} differed, {} had no events)",
        done.tasks,
        done.differences(),
        done.missing,
        done.changed,
        done.unexpected
    )?;
    Ok(())
}
