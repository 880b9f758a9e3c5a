//! A database server of one test, and what operators run on it.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;
use vtid_ledger::dev::{PostgresOptions, PostgresServer};

use crate::support::{NatsFlavor, TestNats, folder, nats, program};

pub(super) const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/setup/roles.sql");

/// A server of one test: roles belong to a whole server.
pub(super) struct Own {
    pub(super) server: PostgresServer,
    pub(super) nats: TestNats,
    /// Where PostgreSQL's own programs are.
    programs: PathBuf,
    _folder: TempDir,
}

impl Own {
    pub(super) async fn start() -> Self {
        let folder = folder();
        let options = PostgresOptions::new(folder.path().join("postgres"), program());
        let server = PostgresServer::start(&options).await.unwrap();
        let mut connection = PgConnection::connect(&server.url("postgres")).await.unwrap();
        let programs: String = sqlx::query_scalar("select setting from pg_config where name = 'BINDIR'")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        Self { server, nats: nats(NatsFlavor::Current).await, programs: programs.into(), _folder: folder }
    }

    /// The address of `database` for a login.
    pub(super) fn url(&self, login: &str, password: &str, database: &str) -> String {
        format!("postgres://{login}:{password}@127.0.0.1:{}/{database}", self.server.port())
    }

    /// Some SQL as `url` says.
    pub(super) async fn sql(&self, url: &str, sql: &str) {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Runs one of PostgreSQL's own programs, the server's where they came with it.
    pub(super) async fn run(&self, name: &str, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
        let program = Some(self.programs.join(name)).filter(|program| program.exists());
        let mut command = tokio::process::Command::new(program.unwrap_or_else(|| name.into()));
        command.args(arguments).envs(settings.iter().copied()).stdin(Stdio::null()).kill_on_drop(true);
        tokio::time::timeout(Duration::from_mins(1), command.output()).await.expect("it ends").unwrap()
    }

    /// `setup/roles.sql`, as the README says.
    pub(super) async fn set_up(&self, url: &str, settings: &[(&str, &str)]) {
        let output = self.run("psql", &[url, "-f", FILE], settings).await;
        assert!(output.status.success(), "{output:?}");
    }

    pub(super) async fn stop(self) {
        self.server.stop().await.unwrap();
    }
}

/// `vtid-ledger migrate`: what it said, if it failed.
pub(super) async fn migrate(url: &str) -> Result<(), String> {
    let mut command = tokio::process::Command::new(program());
    command.arg("migrate").env_clear().env("DATABASE_URL", url).stdin(Stdio::null()).kill_on_drop(true);
    let output =
        tokio::time::timeout(Duration::from_mins(1), command.output()).await.expect("it ends").unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8(output.stderr).unwrap()) }
}
