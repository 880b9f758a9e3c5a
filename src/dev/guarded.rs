//! Our side of a guarded server: starting the guard, waiting until the server is ready, stopping it.
//!
//! Nothing here is bound to an async runtime: a server may be started in one and used and stopped in others.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::ValueEnum;
use tempfile::TempDir;
use tokio::time::Instant;

use super::error::DevError;
use super::folder;
use super::guard::{Report, STOP_ORDER, StopSignal};
use super::user::ServerUser;

const READY_PATIENCE: Duration = Duration::from_mins(1);
const PROBE_PATIENCE: Duration = Duration::from_secs(5);
const PROBE_PAUSE: Duration = Duration::from_millis(20);
/// A log that has grown past this is put aside (once) when the server starts.
const LOG_LIMIT_BYTES: u64 = 8 * 1024 * 1024;
const TAIL_LINES: usize = 20;
const TAIL_BYTES: u64 = 8 * 1024;

/// A server to be started under a guard.
pub(super) struct ServerCommand {
    pub(super) server: &'static str,
    pub(super) port: u16,
    pub(super) guard: PathBuf,
    /// Canonical; holds the lock and the log.
    pub(super) folder: PathBuf,
    pub(super) user: Option<ServerUser>,
    pub(super) signals: Vec<StopSignal>,
    pub(super) patience: Duration,
    /// For this run alone: the guard removes it when the server has ended.
    pub(super) scratch: Option<TempDir>,
    /// Whether `folder` is removed when the server is dropped, or we are gone.
    pub(super) remove_on_drop: bool,
    pub(super) program: PathBuf,
    pub(super) args: Vec<OsString>,
}

/// A server that runs under a guard. Dropping it has the guard stop it, in the background.
#[derive(Debug)]
pub(super) struct Guarded {
    server: &'static str,
    port: u16,
    pid: u32,
    /// `None` once it is being waited for.
    guard: Mutex<Option<Child>>,
    pipe: Option<ChildStdin>,
    log: ServerLog,
    throw_away: Option<PathBuf>,
}

impl ServerCommand {
    /// Starts guard and server; returns once the server's process exists. Blocks, for as long as an earlier server
    /// takes to leave the folder at most.
    pub(super) fn spawn(mut self) -> Result<Guarded, DevError> {
        let (log, log_file) = ServerLog::open(&self.folder)?;
        let mut guard = self
            .command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log_file)
            .process_group(0)
            .spawn()
            .map_err(DevError::io("run", &self.guard))?;
        // From here on the guard removes it.
        self.scratch.take().map(TempDir::keep);
        let pipe = guard.stdin.take();
        let report = guard.stdout.take().and_then(read_report);
        let mut guarded = Guarded {
            server: self.server,
            port: self.port,
            pid: 0,
            guard: Mutex::new(Some(guard)),
            pipe,
            log,
            // Not before we know that the folder is ours.
            throw_away: None,
        };
        match report {
            Some(Report::Started(pid)) => {
                guarded.pid = pid;
                guarded.throw_away = self.remove_on_drop.then_some(self.folder);
            }
            Some(Report::InUse) => {
                return Err(DevError::InUse { folder: self.folder, holder: None });
            }
            Some(Report::Failed(message)) => {
                return Err(DevError::Guard { server: self.server, message });
            }
            None => {
                return Err(DevError::Guard { server: self.server, message: guarded.log.tail() });
            }
        }
        Ok(guarded)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.guard);
        command.arg("guard").arg("--folder").arg(&self.folder);
        if let Some(user) = &self.user {
            command.args(["--uid", &user.uid.to_string(), "--gid", &user.gid.to_string()]);
        }
        for signal in self.signals.iter().filter_map(StopSignal::to_possible_value) {
            command.args(["--signal", signal.get_name()]);
        }
        command.args(["--patience-ms", &self.patience.as_millis().to_string()]);
        if let Some(scratch) = &self.scratch {
            command.arg("--scratch").arg(scratch.path());
        }
        if self.remove_on_drop {
            command.arg("--throw-away").arg(&self.folder);
        }
        command.arg("--").arg(&self.program).args(&self.args);
        // PostgreSQL on macOS needs a valid locale, and our search of the log needs messages in English.
        command.env("LC_ALL", "C");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG")) {
            command.env_remove(name);
        }
        command
    }
}

fn read_report(out: impl Read) -> Option<Report> {
    let mut line = String::new();
    BufReader::new(out.take(4096)).read_line(&mut line).ok()?;
    Report::parse(&line)
}

impl Guarded {
    /// The server's process id.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether the guard, and so the server, still runs.
    pub(super) fn is_running(&self) -> bool {
        let mut guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        guard.as_mut().is_some_and(|guard| matches!(guard.try_wait(), Ok(None)))
    }

    /// Waits until `probe` says that the server is ready; fails when it ends, or after a minute. After a failure the
    /// server has ended, and its folder is still there, to be tried again.
    pub(super) async fn ready<F, Ready>(self, probe: F) -> Result<Self, DevError>
    where
        F: Fn() -> Ready,
        Ready: Future<Output = bool>,
    {
        match self.until_ready(probe).await {
            Ok(()) => Ok(self),
            Err(error) => self.stop().await.and(Err(error)),
        }
    }

    async fn until_ready<F, Ready>(&self, probe: F) -> Result<(), DevError>
    where
        F: Fn() -> Ready,
        Ready: Future<Output = bool>,
    {
        let deadline = Instant::now() + READY_PATIENCE;
        loop {
            if tokio::time::timeout(PROBE_PATIENCE, probe()).await == Ok(true) {
                return Ok(());
            }
            if !self.is_running() {
                return Err(self.exited());
            }
            if Instant::now() >= deadline {
                return Err(DevError::NotReady {
                    server: self.server,
                    seconds: READY_PATIENCE.as_secs(),
                    log: self.log.path.clone(),
                    tail: self.log.tail(),
                });
            }
            tokio::time::sleep(PROBE_PAUSE).await;
        }
    }

    fn exited(&self) -> DevError {
        let tail = self.log.tail();
        // Both servers print the system's own words for EADDRINUSE, which differ in the first letter's case alone.
        if tail.contains("ddress already in use") {
            return DevError::PortInUse { server: self.server, port: self.port };
        }
        DevError::Exited { server: self.server, log: self.log.path.clone(), tail }
    }

    /// Stops the server in good order, keeps its data, and returns when it has ended. The guard's patience is the limit.
    pub(super) async fn stop(mut self) -> Result<(), DevError> {
        self.throw_away = None;
        let pipe = self.pipe.take();
        let guard = self.take_guard();
        tokio::task::spawn_blocking(move || {
            if let Some(mut pipe) = pipe {
                // A guard that is gone has no server any more.
                drop(pipe.write_all(STOP_ORDER.as_bytes()));
            }
            if let Some(mut guard) = guard {
                guard.wait().map_err(DevError::io("wait for the guard of", Path::new("a server")))?;
            }
            Ok(())
        })
        .await?
    }

    fn take_guard(&mut self) -> Option<Child> {
        self.guard.get_mut().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let throw_away = self.throw_away.take();
        let Some(mut guard) = self.take_guard() else {
            return;
        };
        // So that the guard does not stay a zombie as long as we live. When we end first, nobody needs this thread.
        let waiting = std::thread::Builder::new().spawn(move || {
            let ended = guard.wait();
            // A guard whose server had ended earlier was not there to see it dropped.
            if let (Ok(_), Some(folder)) = (ended, throw_away) {
                drop(folder::remove(&folder));
            }
        });
        // Without a thread the guard stays a zombie until we end, and does its work all the same.
        drop(waiting);
    }
}

/// A server's log file, and where in it this start begins.
#[derive(Debug)]
struct ServerLog {
    path: PathBuf,
    start: u64,
}

impl ServerLog {
    fn open(folder: &Path) -> Result<(Self, File), DevError> {
        let path = folder.join("server.log");
        if fs::metadata(&path).is_ok_and(|log| log.len() > LOG_LIMIT_BYTES) {
            fs::rename(&path, folder.join("server.log.old")).map_err(DevError::io("rename", &path))?;
        }
        let mut file =
            File::options().append(true).create(true).open(&path).map_err(DevError::io("open", &path))?;
        let start = file.seek(SeekFrom::End(0)).map_err(DevError::io("read", &path))?;
        Ok((Self { path, start }, file))
    }

    /// The last lines since this start; what can't be read is left out, for this only adorns another error.
    fn tail(&self) -> String {
        let mut bytes = Vec::new();
        if let Ok(mut file) = File::open(&self.path)
            && let Ok(end) = file.seek(SeekFrom::End(0))
            && file.seek(SeekFrom::Start(self.start.max(end.saturating_sub(TAIL_BYTES)))).is_ok()
            && let Err(error) = file.take(TAIL_BYTES).read_to_end(&mut bytes)
        {
            return format!("(unreadable: {error})");
        }
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}
