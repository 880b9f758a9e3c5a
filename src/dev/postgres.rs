//! A private PostgreSQL server: a cluster under a folder, on a free port of 127.0.0.1.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tempfile::TempDir;

use super::binaries::PostgresBinaries;
use super::cluster::{Cluster, OWNER};
use super::error::DevError;
use super::guard::StopSignal;
use super::guarded::{Guarded, ServerCommand};
use super::port;
use super::user::ServerUser;

const SERVER: &str = "PostgreSQL";
/// A fast shutdown writes a checkpoint, which may take a slow disk a while.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// What a crash of the machine may cost.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Durability {
    /// Nothing that was committed: PostgreSQL's defaults.
    #[default]
    Durable,
    /// Everything (`fsync` and `full_page_writes` are off): for tests that throw the cluster away.
    ThrowAway,
}

/// How to start a private PostgreSQL.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// Holds the cluster, its owner's password and the server's log; made where missing, private.
    pub folder: PathBuf,
    /// Our own binary, which is run as the guard.
    pub guard: PathBuf,
    /// The folder of `initdb` and `postgres`; `None` searches for it.
    pub binaries: Option<PathBuf>,
    /// Any free one unless told.
    pub port: Option<u16>,
    /// 100 unless told.
    pub max_connections: u16,
    /// `Durable` unless told.
    pub durability: Durability,
    /// Further settings, as in `postgresql.conf`; they win over all others.
    pub settings: Vec<(String, String)>,
    /// Whether dropping the server, or the end of our process, removes the folder.
    pub remove_on_drop: bool,
}

impl PostgresOptions {
    /// A durable cluster in `folder` that lasts; `guard` is our own binary.
    pub fn new(folder: impl Into<PathBuf>, guard: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            guard: guard.into(),
            binaries: None,
            port: None,
            max_connections: 100,
            durability: Durability::Durable,
            settings: Vec::new(),
            remove_on_drop: false,
        }
    }
}

/// A running private PostgreSQL. Dropping it stops it in the background; [`PostgresServer::stop`] waits.
///
/// It is not bound to the async runtime it was started in.
#[derive(Debug)]
pub struct PostgresServer {
    guarded: Guarded,
    port: u16,
    password: String,
}

impl PostgresServer {
    /// Starts the server and returns when it answers; makes the cluster first where there is none. After a crash that
    /// includes PostgreSQL's recovery.
    ///
    /// # Errors
    /// Programs missing or too old, the folder in use or out of reach, or a server that does not come up: then the
    /// error holds the end of its log.
    pub async fn start(options: &PostgresOptions) -> Result<Self, DevError> {
        for _ in 1..port::START_TRIES {
            match Self::start_once(options.clone()).await {
                Err(DevError::PortInUse { .. }) => {}
                other => return other,
            }
        }
        Self::start_once(options.clone()).await
    }

    async fn start_once(options: PostgresOptions) -> Result<Self, DevError> {
        let port = options.port.map_or_else(port::free, Ok)?;
        let (guarded, password) = tokio::task::spawn_blocking(move || spawn(&options, port)).await??;
        // The password is this cluster's own, so nobody else's server on this port can pass for it.
        let answers = || async {
            match connect(port, &password).await {
                Ok(connection) => connection.close().await.is_ok(),
                Err(_) => false,
            }
        };
        let guarded = guarded.ready(answers).await?;
        Ok(Self { guarded, port, password })
    }

    /// The cluster owner's address of `database`, password included.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.url_of(OWNER, &self.password, database)
    }

    /// Neither names nor passwords have anything to escape.
    pub(super) fn url_of(&self, login: &str, password: &str, database: &str) -> String {
        let database = utf8_percent_encode(database, NON_ALPHANUMERIC).to_string().replace("%5F", "_");
        format!("postgres://{login}:{password}@{}:{}/{database}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// The port on 127.0.0.1; another one after each start.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The owner's.
    pub(super) fn password(&self) -> &str {
        &self.password
    }

    /// The postmaster's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.guarded.pid()
    }

    /// Whether the server's process still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.guarded.is_running()
    }

    /// Makes an empty database.
    ///
    /// # Errors
    /// A name that is no plain one, or PostgreSQL's refusal.
    pub async fn create_database(&self, name: &str) -> Result<(), DevError> {
        check_name(name)?;
        self.execute(format!("CREATE DATABASE {name} TEMPLATE template0")).await
    }

    /// Creates a database, unless it is there.
    ///
    /// # Errors
    /// A name that is no plain one, or PostgreSQL's refusal.
    pub async fn create_database_if_missing(&self, name: &str) -> Result<(), DevError> {
        let mut connection = connect(self.port, &self.password).await?;
        let found: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(name)
            .fetch_one(&mut connection)
            .await?;
        connection.close().await?;
        if found { Ok(()) } else { self.create_database(name).await }
    }

    /// Drops a database where it exists, and ends the connections to it.
    ///
    /// # Errors
    /// A name that is no plain one, or PostgreSQL's refusal.
    pub async fn drop_database(&self, name: &str) -> Result<(), DevError> {
        check_name(name)?;
        self.execute(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await
    }

    /// Stops the server in good order and returns when it has ended; its data is kept.
    ///
    /// # Errors
    /// Only if the system fails us; the guard has been told either way.
    pub async fn stop(self) -> Result<(), DevError> {
        self.guarded.stop().await
    }

    /// `sql` holds nothing but our own words, a checked name or a password that we made.
    pub(super) async fn execute(&self, sql: String) -> Result<(), DevError> {
        let mut connection = connect(self.port, &self.password).await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
        connection.close().await?;
        Ok(())
    }
}

/// Connects as the owner, to the owner's own database.
async fn connect(port: u16, password: &str) -> Result<PgConnection, sqlx::Error> {
    PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(port)
        .username(OWNER)
        .password(password)
        .database(OWNER)
        .ssl_mode(PgSslMode::Disable)
        .connect()
        .await
}

fn spawn(options: &PostgresOptions, port: u16) -> Result<(Guarded, String), DevError> {
    let binaries = PostgresBinaries::find(options.binaries.as_deref())?;
    let durable = options.durability == Durability::Durable;
    let cluster = Cluster::open_or_make(&options.folder, &binaries, durable)?;
    let sockets = socket_folder(cluster.user.as_ref())?;
    let command = ServerCommand {
        server: SERVER,
        port,
        guard: options.guard.clone(),
        args: arguments(options, &cluster, port, sockets.path()),
        folder: cluster.folder,
        user: cluster.user,
        signals: if options.remove_on_drop {
            vec![StopSignal::Quit]
        } else {
            vec![StopSignal::Int, StopSignal::Quit]
        },
        patience: STOP_PATIENCE,
        scratch: Some(sockets),
        remove_on_drop: options.remove_on_drop,
        program: binaries.postgres,
    };
    Ok((command.spawn()?, cluster.password))
}

fn arguments(options: &PostgresOptions, cluster: &Cluster, port: u16, sockets: &Path) -> Vec<OsString> {
    let mut args: Vec<OsString> = vec!["-D".into(), cluster.data.clone().into()];
    let mut set = |name: &str, value: OsString| {
        let mut setting = OsString::from(name);
        setting.push("=");
        setting.push(value);
        args.extend(["-c".into(), setting]);
    };
    set("port", port.to_string().into());
    set("listen_addresses", Ipv4Addr::LOCALHOST.to_string().into());
    set("unix_socket_directories", sockets.into());
    set("unix_socket_permissions", "0700".into());
    set("max_connections", options.max_connections.to_string().into());
    if options.durability == Durability::ThrowAway {
        set("fsync", "off".into());
        set("full_page_writes", "off".into());
    }
    for (name, value) in &options.settings {
        set(name, value.into());
    }
    args
}

/// A socket's whole path has to fit into 104 bytes on macOS: hence not under the data folder, and `/tmp` before `TMPDIR`.
fn socket_folder(user: Option<&ServerUser>) -> Result<TempDir, DevError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("vtid-pg-").permissions(std::fs::Permissions::from_mode(0o700));
    let place = Path::new("/tmp");
    let folder = builder
        .tempdir_in(place)
        .or_else(|_| builder.tempdir())
        .map_err(DevError::io("make a folder in", place))?;
    if let Some(user) = user {
        user.own(folder.path())?;
    }
    Ok(folder)
}

fn check_name(name: &str) -> Result<(), DevError> {
    let plain = |c: char| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit();
    if name.len() <= 63
        && name.chars().all(plain)
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
    {
        return Ok(());
    }
    Err(DevError::DatabaseName(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_database_names_reach_sql() {
        for good in ["a", "_", "test_1", &"x".repeat(63)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "1a", "A", "a-b", "a b", "a\"", "a;drop", "ä", &"x".repeat(64)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
