//! `vtid-ledger audit export` and `vtid-ledger audit import`.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::AuditFailure;
use crate::audit::error::AuditError;
use crate::audit::export::{Exported, export};
use crate::audit::import::import;
use crate::audit::verify::Trusted;
use crate::domain::json::ObjectWriter;
use crate::log::servers::Servers;
use crate::progress::Progress;

/// Bytes written at a time.
const BUFFER: usize = 1 << 20;

/// Where an export goes.
enum Target {
    /// Standard output.
    Output,
    /// What is neither a file nor a folder: a device, or a pipe.
    Device(File),
    /// A file, which has its name only once it is whole; one that has the name is replaced then.
    File { partial: NamedTempFile, path: PathBuf },
}

impl Target {
    fn open(path: &Path) -> std::io::Result<Self> {
        if [Path::new("-"), Path::new("/dev/stdout")].contains(&path) {
            return Ok(Self::Output);
        }
        let path = match std::fs::metadata(path) {
            // Of a link, what it leads to.
            Ok(there) if there.is_file() => std::fs::canonicalize(path)?,
            Ok(there) if there.is_dir() => return Err(ErrorKind::IsADirectory.into()),
            Ok(_) => return Ok(Self::Device(File::options().write(true).open(path)?)),
            Err(error) if error.kind() == ErrorKind::NotFound => path.to_owned(),
            Err(error) => return Err(error),
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let partial =
            tempfile::Builder::new().prefix(".vtid-export-").tempfile_in(folder.unwrap_or(Path::new(".")))?;
        Ok(Self::File { partial, path })
    }
}

/// Exports into a file, a device or a pipe, or to standard output.
pub(super) async fn run_export(servers: &Servers, path: &Path, json: bool) -> Result<(), AuditFailure> {
    let at = |error| AuditFailure::File(path.to_owned(), error);
    let target = Target::open(path).map_err(at)?;
    let mut bar = Progress::on_terminal("events");
    let progress = |done, total| bar.tell(done, total, "");
    let exported = match target {
        Target::Output => {
            let (_, exported) = export(servers, buffered(std::io::stdout()), progress).await?;
            drop(bar);
            // Standard output has the export.
            return tell_export(&exported, "standard output", json, &mut std::io::stderr());
        }
        Target::Device(device) => export(servers, buffered(device), progress).await?.1,
        Target::File { partial, path: to } => {
            let (out, exported) = export(servers, buffered(partial), progress).await?;
            let partial = out.into_inner().map_err(|error| at(error.into_error()))?;
            partial.as_file().sync_all().map_err(at)?;
            partial.persist(&to).map_err(|error| at(error.error))?;
            exported
        }
    };
    drop(bar);
    tell_export(&exported, &path.display().to_string(), json, &mut std::io::stdout())
}

fn buffered<W: Write>(out: W) -> BufWriter<W> {
    BufWriter::with_capacity(BUFFER, out)
}

fn tell_export(
    exported: &Exported,
    path: &str,
    json: bool,
    out: &mut impl Write,
) -> Result<(), AuditFailure> {
    let Exported { ledger, events, root } = exported;
    if json {
        let mut text = String::new();
        let mut object = ObjectWriter::new(&mut text);
        object.string("file", path);
        object.plain("ledger", ledger.0);
        object.number("events", *events);
        object.plain("root", root);
        object.finish();
        writeln!(out, "{text}")?;
    } else {
        writeln!(out, "exported {events} events of the ledger {} to {path}", ledger.0)?;
        writeln!(out, "root {root}")?;
    }
    Ok(())
}

/// Imports a file.
pub(super) async fn run_import(
    servers: &Servers,
    path: &Path,
    trusted: Trusted,
    json: bool,
    out: &mut impl Write,
) -> Result<(), AuditFailure> {
    let mut bar: Option<(&'static str, Progress)> = None;
    let imported = import(servers, path, trusted, &mut |what, done, total| {
        if bar.as_ref().is_none_or(|(shown, _)| *shown != what) {
            bar = Some((what, Progress::on_terminal(what)));
        }
        if let Some((_, bar)) = &mut bar {
            bar.tell(done, total, "");
        }
    })
    .await;
    drop(bar);
    let imported = match imported {
        // Which file, it knows not.
        Err(AuditError::Io(error)) => return Err(AuditFailure::File(path.to_owned(), error)),
        other => other?,
    };
    if json {
        let mut text = String::new();
        let mut object = ObjectWriter::new(&mut text);
        object.plain("ledger", imported.ledger.0);
        object.number("events", imported.events);
        object.number("resumed_after", imported.resumed_after);
        object.plain("root", imported.root);
        object.finish();
        writeln!(out, "{text}")?;
        return Ok(());
    }
    if imported.resumed_after > 0 {
        writeln!(out, "an earlier import had come to position {}", imported.resumed_after)?;
    }
    writeln!(out, "imported {} events: this is the ledger {} now", imported.events, imported.ledger.0)?;
    writeln!(out, "root {}", imported.root)?;
    Ok(())
}
