//! Private servers: one PostgreSQL for everything, and a database and a NATS server for each ledger.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use vtid_ledger::dev::{NatsOptions, NatsServer, PostgresOptions, PostgresServer, ServiceLogin};

use crate::BenchError;

/// PostgreSQL with durable settings, in a temporary folder, with an empty database for the yardstick. Should our process
/// end before [`Servers::stop`], its guard ends and removes it.
pub(crate) struct Servers {
    postgres: PostgresServer,
    service: ServiceLogin,
    folder: TempDir,
}

impl Servers {
    /// Starts PostgreSQL.
    pub(crate) async fn start() -> Result<Self, BenchError> {
        // Under root the servers run as an ordinary user, who has to get through it.
        let permissions = fs::Permissions::from_mode(0o711);
        let folder = tempfile::Builder::new().prefix("vtid-bench-").permissions(permissions).tempdir();
        let folder = folder.map_err(|error| BenchError::File { path: std::env::temp_dir(), error })?;
        let mut options = PostgresOptions::new(folder.path().join("postgres"), program());
        options.max_connections = 200;
        // So that a long statement of the ledger can be read whole.
        options.settings.push(("track_activity_query_size".to_owned(), "8192".to_owned()));
        options.settings.push(("min_wal_size".to_owned(), "1GB".to_owned()));
        options.remove_on_drop = true;
        let postgres = PostgresServer::start(&options).await?;
        let service = postgres.service_login().await?;
        let servers = Self { postgres, service, folder };
        servers.fresh_database("yardstick").await?;
        servers.fill_log().await?;
        Ok(servers)
    }

    /// Makes the files of PostgreSQL's write-ahead log, as many as it keeps: a server that has run for a while has them,
    /// and to make one in the midst of a run holds up every commit for as long as that takes.
    async fn fill_log(&self) -> Result<(), BenchError> {
        let mut connection = PgConnection::connect(&self.yardstick_url()).await?;
        for statement in [
            "create table fill as select repeat(md5(n::text), 30) as text from generate_series(1, 1200000) n",
            "drop table fill",
            "checkpoint",
        ] {
            sqlx::raw_sql(statement).execute(&mut connection).await?;
        }
        Ok(connection.close().await?)
    }

    /// An empty database, in place of any other of this name; the owner's address.
    pub(crate) async fn fresh_database(&self, name: &str) -> Result<String, BenchError> {
        self.postgres.drop_database(name).await?;
        self.postgres.create_database(name).await?;
        Ok(self.postgres.url(name))
    }

    /// Removes a database.
    pub(crate) async fn drop_database(&self, name: &str) -> Result<(), BenchError> {
        Ok(self.postgres.drop_database(name).await?)
    }

    /// An empty ledger of its own.
    pub(crate) async fn ledger(&self, name: &str) -> Result<Ledger, BenchError> {
        let owner = self.fresh_database(name).await?;
        vtid_ledger::database::migrate(&owner).await?;
        let mut options = NatsOptions::new(self.folder().join(format!("nats-{name}")), program());
        options.remove_on_drop = true;
        let nats = NatsServer::start(&options).await?;
        let service = self.postgres.service_url(&self.service, name);
        Ok(Ledger { name: name.to_owned(), owner, service, nats })
    }

    /// The owner's address of the yardstick's database.
    pub(crate) fn yardstick_url(&self) -> String {
        self.postgres.url("yardstick")
    }

    /// The postmaster's process id.
    pub(crate) fn postmaster(&self) -> u32 {
        self.postgres.pid()
    }

    /// For whatever is written on the way; removed at the end.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Stops PostgreSQL, and removes the folder.
    pub(crate) async fn stop(self) -> Result<(), BenchError> {
        self.postgres.stop().await?;
        let path = self.folder.path().to_path_buf();
        self.folder.close().map_err(|error| BenchError::File { path, error })
    }
}

/// A ledger's database and NATS server, whether or not the program runs on them.
pub(crate) struct Ledger {
    name: String,
    owner: String,
    service: String,
    nats: NatsServer,
}

impl Ledger {
    /// Its name, which is its database's.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The database's address, by the service's login.
    pub(crate) fn service_url(&self) -> &str {
        &self.service
    }

    /// The database's address, by its owner.
    pub(crate) fn owner_url(&self) -> &str {
        &self.owner
    }

    /// The address of NATS.
    pub(crate) fn nats_url(&self) -> String {
        self.nats.url()
    }

    /// The process id of NATS.
    pub(crate) fn nats_pid(&self) -> u32 {
        self.nats.pid()
    }

    /// A connection as the database's owner.
    pub(crate) async fn connect(&self) -> Result<PgConnection, BenchError> {
        Ok(PgConnection::connect(&self.owner).await?)
    }

    /// How many events the log has.
    pub(crate) async fn head(&self) -> Result<u64, BenchError> {
        let mut connection = self.connect().await?;
        let head: i64 = sqlx::query_scalar("select coalesce(max(position), 0) from ledger.event")
            .fetch_one(&mut connection)
            .await?;
        connection.close().await?;
        Ok(u64::try_from(head).unwrap_or(0))
    }

    /// Removes both.
    pub(crate) async fn end(self, servers: &Servers) -> Result<(), BenchError> {
        self.nats.stop().await?;
        servers.drop_database(&self.name).await
    }
}

/// What the servers would do by themselves, some time after many rows came at once: not amid a measurement.
pub(crate) async fn tidy(connection: &mut PgConnection, vacuum: &'static str) -> Result<(), BenchError> {
    for statement in [vacuum, "checkpoint"] {
        sqlx::raw_sql(statement).execute(&mut *connection).await?;
    }
    Ok(())
}

/// The program that is measured.
pub(crate) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_vtid-ledger"))
}
