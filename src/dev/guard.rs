//! The guard: our own binary again, between us and a server, so that the server ends when we do, however we end.
//!
//! We hold the write end of a pipe that is the guard's standard input. `stop` on it is an order; its end means that we are
//! gone or don't want the server any more. The kernel closes the pipe even when we are killed, so nothing is left behind.
//! The guard and the server each have a process group of their own: a Ctrl-C on the terminal reaches neither, and the
//! order in which things are shut down stays ours.
//!
//! The server's standard input is the lock of its folder: whatever becomes of us and of the guard, the lock is held as
//! long as a process of that server lives, and no second server can be started on the same data.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

use super::error::DevError;
use super::folder;

/// What the parent writes for an orderly stop that keeps the data.
pub(super) const STOP_ORDER: &str = "stop\n";
/// How long the guard waits for an earlier server of the folder to end: longer than another guard takes to stop one.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks whether the server still lives. Polled, because only a child that was not yet waited for has a
/// process id that is surely still its own, to be signalled without hitting a stranger.
const POLL: Duration = Duration::from_millis(25);
/// Processes of a killed server may still write for a moment while their folder is being removed.
const REMOVE_TRIES: usize = 40;

/// The arguments of the hidden subcommand `guard`.
#[derive(Debug, clap::Args)]
pub struct GuardArgs {
    /// The server's folder, whose lock it holds while it runs
    #[arg(long)]
    pub(super) folder: PathBuf,
    /// Run the server as this user
    #[arg(long, requires = "gid")]
    pub(super) uid: Option<u32>,
    /// Run the server in this group alone
    #[arg(long, requires = "uid")]
    pub(super) gid: Option<u32>,
    /// The signals that stop the server, one after another; SIGKILL is always the last
    #[arg(long = "signal")]
    pub(super) signals: Vec<StopSignal>,
    /// How long the server is given after each signal, in milliseconds
    #[arg(long)]
    pub(super) patience_ms: u64,
    /// Remove this folder when the server has ended
    #[arg(long)]
    pub(super) scratch: Vec<PathBuf>,
    /// Remove this folder when the parent has gone without an order
    #[arg(long)]
    pub(super) throw_away: Vec<PathBuf>,
    /// The server's program and its arguments
    #[arg(last = true, required = true)]
    pub(super) command: Vec<OsString>,
}

/// A signal that asks a server to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(super) enum StopSignal {
    /// PostgreSQL's fast shutdown, and NATS's.
    Int,
    /// PostgreSQL's immediate shutdown: the next start recovers.
    Quit,
    /// The customary one.
    Term,
}

impl From<StopSignal> for Signal {
    fn from(signal: StopSignal) -> Self {
        match signal {
            StopSignal::Int => Self::SIGINT,
            StopSignal::Quit => Self::SIGQUIT,
            StopSignal::Term => Self::SIGTERM,
        }
    }
}

/// Why the guard is to stop the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Order {
    /// The parent said so, or somebody sent the guard a signal.
    Stop,
    /// The parent is gone, or let go of the server.
    Abandoned,
}

/// What the guard tells its parent, once, as one line on its standard output.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Report {
    Started(u32),
    InUse,
    Failed(String),
}

impl Report {
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.trim_end().split_once(' ')?;
        match word {
            "started" => rest.parse().ok().map(Self::Started),
            "in-use" => Some(Self::InUse),
            "failed" => Some(Self::Failed(rest.to_owned())),
            _ => None,
        }
    }

    fn send(&self) {
        let line = match self {
            Self::Started(pid) => format!("started {pid}\n"),
            Self::InUse => "in-use -\n".to_owned(),
            Self::Failed(message) => format!("failed {}\n", message.replace('\n', " ")),
        };
        let mut out = io::stdout().lock();
        // A parent that no longer listens has closed the other pipe too, which is what counts.
        if let Err(error) = out.write_all(line.as_bytes()).and_then(|()| out.flush()) {
            eprintln!("guard: nobody listens: {error}");
        }
    }
}

/// Runs the guard to its end. Exits with the server's status when the server ends by itself (128 and the signal when it
/// was killed), with 0 after stopping it.
#[must_use]
pub fn guard_main(args: &GuardArgs) -> ExitCode {
    let (code, abandoned) = match listen().and_then(|orders| guard(args, &orders)) {
        Ok(Some(end)) => (end.code, end.order == Some(Order::Abandoned)),
        Ok(None) => (1, false),
        Err(error) => {
            Report::Failed(format!("could not run {}: {error}", args.command[0].display())).send();
            (1, false)
        }
    };
    let thrown_away: &[PathBuf] = if abandoned { &args.throw_away } else { &[] };
    for path in args.scratch.iter().chain(thrown_away) {
        remove(path);
    }
    ExitCode::from(code)
}

/// How the server ended.
struct End {
    code: u8,
    /// On whose wish; `None` when by itself.
    order: Option<Order>,
}

/// Starts the server and watches over it to its end. `None`: an earlier server still has the folder.
fn guard(args: &GuardArgs, orders: &Receiver<Order>) -> io::Result<Option<End>> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    let lock = loop {
        match folder::lock(&args.folder, Duration::ZERO) {
            Ok(lock) => break lock,
            Err(DevError::InUse { .. }) if Instant::now() < deadline => {}
            Err(DevError::InUse { .. }) => {
                Report::InUse.send();
                return Ok(None);
            }
            Err(error) => return Err(io::Error::other(error)),
        }
        if let Some(order) = next(orders, POLL) {
            return Ok(Some(End { code: 0, order: Some(order) }));
        }
    };
    let mut server = spawn(args, lock.into())?;
    Report::Started(server.id()).send();
    loop {
        if let Some(status) = server.try_wait()? {
            return Ok(Some(End { code: exit_code(status), order: None }));
        }
        if let Some(order) = next(orders, POLL) {
            stop(&mut server, &args.signals, Duration::from_millis(args.patience_ms))?;
            return Ok(Some(End { code: 0, order: Some(order) }));
        }
    }
}

fn spawn(args: &GuardArgs, lock: Stdio) -> io::Result<Child> {
    let log = || io::stderr().as_fd().try_clone_to_owned();
    let mut command = Command::new(&args.command[0]);
    // The working directory must be one that the server's user can be in.
    command
        .args(&args.command[1..])
        .current_dir("/")
        .process_group(0)
        .stdin(lock)
        .stdout(log()?)
        .stderr(log()?);
    if let (Some(uid), Some(gid)) = (args.uid, args.gid) {
        command.uid(uid).gid(gid);
    }
    // The server must not inherit that the guard blocks signals.
    stop_signals().thread_unblock()?;
    let spawned = command.spawn();
    stop_signals().thread_block()?;
    spawned
}

/// Stops the server, with SIGKILL if nothing else helps.
fn stop(server: &mut Child, signals: &[StopSignal], patience: Duration) -> io::Result<()> {
    let pid = Pid::from_raw(server.id().cast_signed());
    for signal in signals {
        // It is not yet waited for, so its process id is its own; that it may have ended is seen below. A frozen
        // process acts on a signal only once it goes on.
        for signal in [Signal::from(*signal), Signal::SIGCONT] {
            if let Err(error) = kill(pid, signal) {
                eprintln!("guard: {signal} to {pid}: {error}");
            }
        }
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if server.try_wait()?.is_some() {
                return Ok(());
            }
            thread::sleep(POLL);
        }
        eprintln!("guard: the server did not end within {patience:?}");
    }
    server.kill()?;
    server.wait().map(drop)
}

fn remove(path: &Path) {
    for _ in 0..REMOVE_TRIES {
        match folder::remove(path) {
            Ok(()) => return,
            Err(error) => eprintln!("guard: {error}"),
        }
        thread::sleep(POLL);
    }
}

fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

fn next(orders: &Receiver<Order>, wait: Duration) -> Option<Order> {
    match orders.recv_timeout(wait) {
        Ok(order) => Some(order),
        Err(RecvTimeoutError::Timeout) => None,
        Err(RecvTimeoutError::Disconnected) => Some(Order::Abandoned),
    }
}

/// Listens for orders: on the standard input, and for the signals that would end the guard without its server.
fn listen() -> io::Result<Receiver<Order>> {
    let (sender, orders) = channel();
    let signals = stop_signals();
    // Before there is another thread, so that none is left that a signal could kill.
    signals.thread_block()?;
    let from_signals: Sender<Order> = sender.clone();
    thread::spawn(move || {
        while signals.wait().is_ok() {
            if from_signals.send(Order::Stop).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        let mut said = String::new();
        let order = match io::stdin().lock().take(16).read_to_string(&mut said) {
            Ok(_) if said == STOP_ORDER => Order::Stop,
            _ => Order::Abandoned,
        };
        // A guard that no longer receives is ending already.
        let _ = sender.send(order);
    });
    Ok(orders)
}

fn stop_signals() -> SigSet {
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT].into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read_as_they_are_sent() {
        assert_eq!(Report::parse("started 42\n"), Some(Report::Started(42)));
        assert_eq!(Report::parse("in-use -\n"), Some(Report::InUse));
        assert_eq!(Report::parse("failed no such file\n"), Some(Report::Failed("no such file".to_owned())));
        assert_eq!(Report::parse(""), None);
        assert_eq!(Report::parse("started soon\n"), None);
    }
}
