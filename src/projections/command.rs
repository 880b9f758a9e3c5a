//! `vtid-ledger projection status` and `vtid-ledger projection rebuild`.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sqlx::postgres::PgConnectOptions;
use tokio::time::Instant;

use super::rebuild::{From, WalkProgress, rebuild};
use super::tasks::{NAME, ProjectionError, REVISION, progress};
use crate::log::connect::connect;

/// How often a rebuild tells how far it is, where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

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
    options: &PgConnectOptions,
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

async fn status(options: &PgConnectOptions, out: &mut impl Write) -> Result<(), ProjectionError> {
    let mut connection = connect(options).await?;
    let known = progress(&mut connection).await?;
    let behind = known.head.get().saturating_sub(known.cursor.position().get());
    writeln!(out, "projection  {NAME}")?;
    writeln!(out, "revision    {} (this version: {REVISION})", known.revision)?;
    writeln!(out, "position    {} of {} ({behind} behind)", known.cursor.position(), known.head)?;
    match known.mending {
        None => writeln!(out, "rebuild     none")?,
        Some((revision, to)) if to.is_empty() => {
            writeln!(out, "rebuild     revision {revision}, at its start")?;
        }
        Some((revision, to)) => writeln!(out, "rebuild     revision {revision}, done up to {to}")?,
    }
    Ok(())
}

async fn show_rebuild(
    options: &PgConnectOptions,
    from: From,
    out: &mut impl Write,
) -> Result<(), ProjectionError> {
    let bar = std::io::stderr().is_terminal().then(bar);
    let mut told = Instant::now();
    let mut failed = Ok(());
    let done = rebuild(options, from, |walk| {
        if let Some(bar) = &bar {
            show(bar, walk);
        } else if told.elapsed() >= LINE_EVERY && failed.is_ok() {
            told = Instant::now();
            failed = writeln!(out, "{}", line(walk));
        }
    })
    .await?;
    failed?;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
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

fn line(walk: &WalkProgress) -> String {
    let of = walk.total.map(|total| format!(" of about {total}")).unwrap_or_default();
    format!("{}{of} tasks, {} rows mended", walk.tasks, walk.differences())
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} tasks, {msg} ({eta} left)") {
        bar.set_style(style);
    }
    bar
}

fn show(bar: &ProgressBar, walk: &WalkProgress) {
    // An estimate: the bar never shows more done than there is.
    bar.set_length(walk.total.unwrap_or(0).max(walk.tasks));
    bar.set_position(walk.tasks);
    bar.set_message(format!("{} rows mended", walk.differences()));
}
