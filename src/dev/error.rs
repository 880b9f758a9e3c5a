//! What can go wrong with the private servers, and what the caller can do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Why a private server could not be started, used or stopped.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// A program is not installed; `install` is the command that installs it.
    #[error("{program} was not found; install it with:\n  {install}\nor say where it is with {variable}")]
    MissingBinary {
        /// The program's name.
        program: &'static str,
        /// The exact command that installs it on this kind of machine.
        install: &'static str,
        /// The environment variable that names another place.
        variable: &'static str,
    },
    /// The program is there but older than what the ledger needs.
    #[error("{} is PostgreSQL {found}, but {wanted} or later is needed; install it with:\n  {install}", path.display())]
    TooOld {
        /// The program that was found.
        path: PathBuf,
        /// Its major version.
        found: u32,
        /// The oldest major version that works.
        wanted: u32,
        /// The exact command that installs a newer one.
        install: &'static str,
    },
    /// A file or folder could not be read, written or made.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was tried, as in "could not write".
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Someone else uses this data folder: stop that process or take another folder.
    #[error("the data folder {} is in use by {}", folder.display(), holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}")))]
    InUse {
        /// The data folder.
        folder: PathBuf,
        /// The process that holds it, when it said so.
        holder: Option<u32>,
    },
    /// We run as root, so the servers run as an ordinary user, and that one can't get at a path.
    #[error(
        "the servers run as user {user} (PostgreSQL refuses root), who can't reach {} because of {}; \
         take a place such as {suggestion}",
        path.display(), blocked_by.display()
    )]
    Unreachable {
        /// The path that the servers need.
        path: PathBuf,
        /// The folder on the way to it that the user may not enter.
        blocked_by: PathBuf,
        /// The user that the servers run as.
        user: String,
        /// A place that works.
        suggestion: &'static str,
    },
    /// We run as root, and the system has no ordinary user to run the servers as.
    #[error("running as root, and there is no user named {0} to run the servers as")]
    NoUser(&'static str),
    /// `initdb` failed.
    #[error("initdb could not make a cluster in {}:\n{output}", folder.display())]
    Initdb {
        /// Where the cluster was to be.
        folder: PathBuf,
        /// What it printed.
        output: String,
    },
    /// One of PostgreSQL's programs failed.
    #[error("{program} failed for {}:\n{output}", folder.display())]
    Program {
        /// Which.
        program: &'static str,
        /// The server's folder.
        folder: PathBuf,
        /// What it printed.
        output: String,
    },
    /// The server ended by itself while it was being started.
    #[error("{server} ended while starting; the end of its log {}:\n{tail}", log.display())]
    Exited {
        /// Which server.
        server: &'static str,
        /// Its log file.
        log: PathBuf,
        /// The last lines of this start.
        tail: String,
    },
    /// The server did not become ready in time.
    #[error("{server} was not ready after {seconds} s; the end of its log {}:\n{tail}", log.display())]
    NotReady {
        /// Which server.
        server: &'static str,
        /// How long it was given.
        seconds: u64,
        /// Its log file.
        log: PathBuf,
        /// The last lines of this start.
        tail: String,
    },
    /// Another program listens on the port that this server was to have.
    #[error("{server} can't listen on 127.0.0.1:{port}: another program does")]
    PortInUse {
        /// Which server.
        server: &'static str,
        /// The port.
        port: u16,
    },
    /// No free port was found on 127.0.0.1.
    #[error("no free port found on 127.0.0.1")]
    NoFreePort,
    /// The guard process said something that it never should.
    #[error("the guard of {server} failed: {message}")]
    Guard {
        /// Which server.
        server: &'static str,
        /// What it said.
        message: String,
    },
    /// A name that is no plain database name: `[a-z_][a-z0-9_]{0,62}`.
    #[error("{0:?} is no plain database name ([a-z_][a-z0-9_]*, at most 63 characters)")]
    DatabaseName(String),
    /// A path that a server's settings can't hold.
    #[error("the path {} is not UTF-8", .0.display())]
    NotUtf8(PathBuf),
    /// The private PostgreSQL refused a command.
    #[error("the private PostgreSQL refused a command")]
    Sql(#[from] sqlx::Error),
    /// A blocking step was cut off because the runtime is shutting down.
    #[error("the runtime is shutting down")]
    Cancelled(#[from] tokio::task::JoinError),
}

impl DevError {
    /// For `map_err`: names the action and the path beside the system's answer.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }
}
