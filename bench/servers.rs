//! Private servers, and the real program on them.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::StatusCode;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use vtid_ledger::dev::{NatsOptions, NatsServer, PostgresOptions, PostgresServer, ServiceLogin};

use crate::BenchError;

const READY_PATIENCE: Duration = Duration::from_mins(1);
const STOP_PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(50);

/// PostgreSQL and NATS with durable settings, in a temporary folder, with a migrated database for the ledger and an
/// empty one for the yardstick. Should our process end before [`Servers::stop`], their guards end and remove them.
pub(crate) struct Servers {
    postgres: PostgresServer,
    service: ServiceLogin,
    nats: NatsServer,
    folder: TempDir,
}

impl Servers {
    /// Starts both and migrates.
    pub(crate) async fn start() -> Result<Self, BenchError> {
        // Under root the servers run as an ordinary user, who has to get through it.
        let permissions = fs::Permissions::from_mode(0o711);
        let folder = tempfile::Builder::new().prefix("vtid-bench-").permissions(permissions).tempdir();
        let folder = folder.map_err(|error| BenchError::File { path: std::env::temp_dir(), error })?;
        let mut options = PostgresOptions::new(folder.path().join("postgres"), program());
        options.max_connections = 200;
        options.remove_on_drop = true;
        let postgres = PostgresServer::start(&options).await?;
        let mut options = NatsOptions::new(folder.path().join("nats"), program());
        options.remove_on_drop = true;
        let nats = NatsServer::start(&options).await?;
        let service = postgres.service_login().await?;
        let servers = Self { postgres, service, nats, folder };
        for database in ["ledger", "yardstick"] {
            servers.postgres.create_database(database).await?;
        }
        vtid_ledger::database::migrate(&servers.postgres.url("ledger")).await?;
        Ok(servers)
    }

    /// The address of the ledger's database, by the service's login.
    pub(crate) fn ledger_url(&self) -> String {
        self.postgres.service_url(&self.service, "ledger")
    }

    /// The address of the yardstick's database.
    pub(crate) fn yardstick_url(&self) -> String {
        self.postgres.url("yardstick")
    }

    /// The address of NATS.
    pub(crate) fn nats_url(&self) -> String {
        self.nats.url()
    }

    /// For whatever is written on the way; removed at the end.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Stops both in good order, and removes the folder.
    pub(crate) async fn stop(self) -> Result<(), BenchError> {
        let (postgres, nats) = (self.postgres.stop().await, self.nats.stop().await);
        postgres.and(nats)?;
        let path = self.folder.path().to_path_buf();
        self.folder.close().map_err(|error| BenchError::File { path, error })
    }
}

/// A running `vtid-ledger serve` with its default settings, its log in a file; killed when dropped.
pub(crate) struct Service {
    child: Child,
    base: String,
    log: File,
    log_path: PathBuf,
}

impl Service {
    /// Starts it and waits until it is ready. With a secret, it asks its callers for tokens.
    pub(crate) async fn start(servers: &Servers, secret: Option<&str>) -> Result<Self, BenchError> {
        let log_path = servers.folder().join("serve.log");
        let fault = |error| BenchError::File { path: log_path.clone(), error };
        let log = File::options().append(true).create(true).open(&log_path).map_err(fault)?;
        let listen = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
        let listen = listen.map_err(|error| BenchError::Program { program: program().into(), error })?;
        let child = Command::new(program())
            .args(["serve", "--listen", &listen.to_string()])
            .env_clear()
            .env("DATABASE_URL", servers.ledger_url())
            .env("NATS_URL", servers.nats_url())
            .envs([secret.map_or(("AUTH", "off"), |secret| ("JWT_SECRET", secret))])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.try_clone().map_err(fault)?)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| BenchError::Program { program: program().into(), error })?;
        let mut service = Self { child, base: format!("http://{listen}"), log, log_path };
        service.until_ready().await?;
        Ok(service)
    }

    /// Where it is served.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Empties the log file, so that a minute of requests does not fill the disk.
    pub(crate) fn forget_log(&self) -> Result<(), BenchError> {
        self.log.set_len(0).map_err(|error| BenchError::File { path: self.log_path.clone(), error })
    }

    async fn until_ready(&mut self) -> Result<(), BenchError> {
        let client = vtid_ledger::fetch::client().no_proxy().build()?;
        let deadline = Instant::now() + READY_PATIENCE;
        loop {
            let answer = client.get(format!("{}/readyz", self.base)).send().await;
            if answer.is_ok_and(|answer| answer.status() == StatusCode::OK) {
                return Ok(());
            }
            let ended = self.child.try_wait().is_ok_and(|ended| ended.is_some());
            if ended || Instant::now() > deadline {
                let log = fs::read_to_string(&self.log_path).unwrap_or_default();
                return Err(BenchError::Output { program: "vtid-ledger serve", output: log });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Tells it to stop, and waits until it has ended.
    pub(crate) async fn stop(mut self) -> Result<(), BenchError> {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        let told = pid.is_some_and(|pid| kill(Pid::from_raw(pid), Signal::SIGTERM).is_ok());
        let ended = tokio::time::timeout(STOP_PATIENCE, self.child.wait()).await;
        match ended {
            Ok(Ok(status)) if told && status.success() => Ok(()),
            other => Err(BenchError::Output {
                program: "vtid-ledger serve",
                output: format!("ended so: {other:?}"),
            }),
        }
    }
}

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_vtid-ledger"))
}
