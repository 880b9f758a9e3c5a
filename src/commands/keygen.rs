//! `vtid-ledger keygen`: makes a key that signs checkpoints.
#![expect(
    clippy::doc_markdown,
    reason = "some of these comments are also the text of --help, which shows no Markdown"
)]

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use uuid::Uuid;

use crate::tlog::key::{KeyKind, KeyName, SecretKey};

/// Make a key that signs checkpoints of the log, for AUDIT_KEY or AUDIT_KEY_FILE
#[derive(Debug, Args)]
pub struct KeygenArgs {
    /// The log's name in its checkpoints, such as ledger.example.org/tasks; with --witness, the witness's [default: a name
    /// that nobody else has]
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    origin: Option<KeyName>,
    /// A witness's key, for vtid-ledger witness
    #[arg(long)]
    witness: bool,
    /// A new file for the secret key, readable by you alone [default: it is printed, and the verifier key on standard error]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeygenFailure {
    /// The machine has no randomness.
    #[error("no key can be made: {0}")]
    Randomness(#[from] getrandom::Error),
    /// It is there already.
    #[error("{0} is there already, and was not touched: a key that is overwritten is lost")]
    Exists(PathBuf),
    /// The file can't be written.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The output is closed, or full.
    #[error("can't print: {0}")]
    Output(#[from] std::io::Error),
}

/// Makes a key and prints the one that verifies.
///
/// # Errors
/// [`KeygenFailure`]
pub fn run(args: KeygenArgs) -> Result<(), KeygenFailure> {
    let kind = if args.witness { KeyKind::Witness } else { KeyKind::Log };
    let name = args.origin.map_or_else(|| some_name(kind), Ok);
    let name = name.map_err(|error| std::io::Error::other(error.to_string()))?;
    let key = SecretKey::generate(name, kind)?;
    let mut out = std::io::stdout().lock();
    if let Some(path) = &args.out {
        write_new(path, &key)?;
        writeln!(out, "{}", key.public())?;
    } else {
        writeln!(out, "{}", key.print())?;
        writeln!(std::io::stderr(), "{}", key.public())?;
    }
    Ok(())
}

fn parse_name(text: &str) -> Result<KeyName, String> {
    text.parse().map_err(|error: crate::tlog::key::MalformedName| error.to_string())
}

fn some_name(kind: KeyKind) -> Result<KeyName, crate::tlog::key::MalformedName> {
    let what = if kind == KeyKind::Log { "log" } else { "witness" };
    format!("vtid-ledger/{what}/{}", Uuid::new_v4()).parse()
}

/// Writes a secret key into a file that must not be there, readable by its owner alone, and surely on the disk; never half.
///
/// # Errors
/// [`KeygenFailure::Exists`], [`KeygenFailure::File`]
pub fn write_new(path: &Path, key: &SecretKey) -> Result<(), KeygenFailure> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => KeygenFailure::Exists(path.to_owned()),
        _ => KeygenFailure::File { path: path.to_owned(), error },
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let private = std::fs::Permissions::from_mode(0o600);
    let file = tempfile::Builder::new().permissions(private).tempfile_in(folder).map_err(failed)?;
    writeln!(file.as_file(), "{}", key.print()).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    file.persist_noclobber(path).map_err(|error| failed(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}
