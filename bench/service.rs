//! The real program on a ledger.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;
use tokio::process::{Child, Command};

use crate::BenchError;
use crate::servers::{Ledger, Servers, program};

const READY_PATIENCE: Duration = Duration::from_mins(1);
const STOP_PATIENCE: Duration = Duration::from_secs(15);
/// How far they are, where it takes them long.
const TELL_EVERY: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);

/// A running `vtid-ledger serve` with its default settings, its log in a file; killed when dropped.
pub(crate) struct Service {
    child: Child,
    base: String,
    log: File,
    log_path: PathBuf,
    client: reqwest::Client,
    started: Instant,
}

/// How long each follower took from the program's start until it had caught up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CaughtUp {
    pub(crate) projector: Duration,
    pub(crate) relay: Duration,
}

#[derive(Deserialize)]
struct Readiness {
    head: u64,
    followers: Vec<Follower>,
}

#[derive(Deserialize)]
struct Follower {
    name: String,
    position: u64,
    lag_events: u64,
}

impl Service {
    /// Starts it and waits until it is ready. With a secret, it asks its callers for tokens.
    pub(crate) async fn start(
        servers: &Servers,
        ledger: &Ledger,
        secret: Option<&str>,
    ) -> Result<Self, BenchError> {
        let mut service = Self::spawn(servers, ledger, secret)?;
        let deadline = Instant::now() + READY_PATIENCE;
        loop {
            let answer = service.client.get(format!("{}/readyz", service.base)).send().await;
            if answer.is_ok_and(|answer| answer.status() == reqwest::StatusCode::OK) {
                return Ok(service);
            }
            service.check(deadline)?;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Starts it, and does not wait.
    pub(crate) fn spawn(
        servers: &Servers,
        ledger: &Ledger,
        secret: Option<&str>,
    ) -> Result<Self, BenchError> {
        let log_path = servers.folder().join(format!("serve-{}.log", ledger.name()));
        let fault = |error| BenchError::File { path: log_path.clone(), error };
        let log = File::options().append(true).create(true).open(&log_path).map_err(fault)?;
        let lost = |error| BenchError::Program { program: program().into(), error };
        let listen = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
        let listen = listen.map_err(lost)?;
        let client = vtid_ledger::fetch::client().no_proxy().build()?;
        let started = Instant::now();
        let child = Command::new(program())
            .args(["serve", "--listen", &listen.to_string()])
            .env_clear()
            .env("DATABASE_URL", ledger.service_url())
            .env("NATS_URL", ledger.nats_url())
            .envs([secret.map_or(("AUTH", "off"), |secret| ("JWT_SECRET", secret))])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.try_clone().map_err(fault)?)
            .kill_on_drop(true)
            .spawn()
            .map_err(lost)?;
        Ok(Self { child, base: format!("http://{listen}"), log, log_path, client, started })
    }

    /// Where it is served.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// When it was started.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// A client without any load on it yet.
    pub(crate) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> Result<u32, BenchError> {
        self.child.id().ok_or_else(|| self.broken("it has ended"))
    }

    /// Empties the log file, so that a minute of requests does not fill the disk.
    pub(crate) fn forget_log(&self) -> Result<(), BenchError> {
        self.log.set_len(0).map_err(|error| BenchError::File { path: self.log_path.clone(), error })
    }

    /// Waits until projector and relay have reached the log's end.
    pub(crate) async fn until_caught_up(&mut self, patience: Duration) -> Result<CaughtUp, BenchError> {
        let deadline = Instant::now() + patience;
        let (mut projector, mut relay) = (None, None);
        let mut told = Instant::now();
        loop {
            let seen = self.readiness().await.ok();
            for follower in seen.iter().flat_map(|seen| &seen.followers).filter(|it| it.lag_events == 0) {
                let done = if follower.name == "relay" { &mut relay } else { &mut projector };
                done.get_or_insert_with(|| self.started.elapsed());
            }
            if let (Some(projector), Some(relay)) = (projector, relay) {
                return Ok(CaughtUp { projector, relay });
            }
            let seen = seen.map(|seen| {
                let at = seen.followers.iter().map(|it| format!("{} at {}", it.name, it.position));
                format!("{} of {}", at.collect::<Vec<_>>().join(", "), seen.head)
            });
            if told.elapsed() > TELL_EVERY {
                eprintln!("  {}", seen.as_deref().unwrap_or("no answer"));
                told = Instant::now();
            }
            if Instant::now() > deadline {
                return Err(BenchError::Patience {
                    what: "that projector and relay catch up",
                    seconds: patience.as_secs(),
                    seen: seen.unwrap_or_default(),
                });
            }
            self.check(deadline + PAUSE)?;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn readiness(&self) -> Result<Readiness, BenchError> {
        Ok(self.client.get(format!("{}/readyz", self.base)).send().await?.json().await?)
    }

    /// Fails once it has ended, or the deadline has passed.
    pub(crate) fn check(&mut self, deadline: Instant) -> Result<(), BenchError> {
        let ended = self.child.try_wait().is_ok_and(|ended| ended.is_some());
        if !ended && Instant::now() <= deadline {
            return Ok(());
        }
        let log = fs::read_to_string(&self.log_path).unwrap_or_default();
        let from = log.char_indices().rev().nth(2_000).map_or(0, |(at, _)| at);
        Err(self.broken(&log[from..]))
    }

    fn broken(&self, output: &str) -> BenchError {
        BenchError::Output {
            program: format!("vtid-ledger serve on {}", self.base),
            output: output.to_owned(),
        }
    }

    /// Tells it to stop, and waits until it has ended.
    pub(crate) async fn stop(mut self) -> Result<(), BenchError> {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        let told = pid.is_some_and(|pid| kill(Pid::from_raw(pid), Signal::SIGTERM).is_ok());
        let ended = tokio::time::timeout(STOP_PATIENCE, self.child.wait()).await;
        match ended {
            Ok(Ok(status)) if told && status.success() => Ok(()),
            other => Err(self.broken(&format!("ended so: {other:?}"))),
        }
    }
}
