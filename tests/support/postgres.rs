//! One PostgreSQL for all tests of this process, and a database of it for each.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{LazyLock, Mutex};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::sync::OnceCell;
use vtid_ledger::dev::{PostgresOptions, PostgresServer, ServiceLogin};

/// Never dropped: the guard stops it and removes its folder when this process has ended. Nothing in it is bound to the
/// runtime of the test that happened to start it.
static SERVER: OnceCell<PostgresServer> = OnceCell::const_new();
static SERVICE: OnceCell<ServiceLogin> = OnceCell::const_new();
static COUNTER: AtomicU32 = AtomicU32::new(1);

async fn server() -> &'static PostgresServer {
    SERVER
        .get_or_init(|| async {
            let folder = super::folder();
            let mut options = PostgresOptions::new(folder.path(), super::program());
            // With durable settings, for `serve` refuses others.
            options.max_connections = 500;
            options.remove_on_drop = true;
            let server = PostgresServer::start(&options).await.unwrap();
            // From here on it is the guard's to remove.
            let _ = folder.keep();
            server
        })
        .await
}

/// An empty database of one test, dropped with it.
pub(crate) struct TestDatabase {
    name: String,
    url: String,
    service_url: String,
}

/// Makes an empty database with a name of its own.
pub(crate) async fn database() -> TestDatabase {
    let name = format!("test_{}", COUNTER.fetch_add(1, Ordering::Relaxed));
    server().await.create_database(&name).await.unwrap();
    TestDatabase::named(name).await
}

impl TestDatabase {
    async fn named(name: String) -> Self {
        let server = server().await;
        let login = SERVICE.get_or_init(async || server.service_login().await.unwrap()).await;
        Self { url: server.url(&name), service_url: server.service_url(login, &name), name }
    }

    /// The database owner's address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The address for processes of the ledger, which have the service's rights alone.
    pub(crate) fn service_url(&self) -> &str {
        &self.service_url
    }
}

/// A database as it was at some time.
pub(crate) struct DatabaseCopy(TestDatabase);

impl TestDatabase {
    /// Copies it. Whoever is connected is cut off, and can come back once that is done.
    pub(crate) async fn copy(&self) -> DatabaseCopy {
        let server = server().await;
        let mut admin = PgConnection::connect(&server.url("postgres")).await.unwrap();
        let name = format!("{}_copy_{}", self.name, COUNTER.fetch_add(1, Ordering::Relaxed));
        self.allow_connections(&mut admin, false).await;
        clone_database(&mut admin, &self.name, &name).await;
        self.allow_connections(&mut admin, true).await;
        DatabaseCopy(Self::named(name).await)
    }

    /// What an operator does who restores a backup in place: whoever is connected is cut off, and finds the older
    /// database when he comes back.
    pub(crate) async fn put_back(&self, copy: &DatabaseCopy) {
        let mut admin = PgConnection::connect(&server().await.url("postgres")).await.unwrap();
        let drop = format!(r#"drop database "{}" with (force)"#, self.name);
        admin.execute(AssertSqlSafe(drop)).await.unwrap();
        clone_database(&mut admin, &copy.0.name, &self.name).await;
    }

    async fn allow_connections(&self, admin: &mut PgConnection, allow: bool) {
        let alter = format!(r#"alter database "{}" with allow_connections {allow}"#, self.name);
        admin.execute(AssertSqlSafe(alter)).await.unwrap();
    }
}

/// A copy is refused as long as somebody is connected, and who was cut off takes a moment to go.
async fn clone_database(admin: &mut PgConnection, from: &str, to: &str) {
    let clone = format!(r#"create database "{to}" template "{from}""#);
    super::eventually("the database to be copied", async || {
        let cut_off = "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1";
        sqlx::query(cut_off).bind(from).execute(&mut *admin).await.unwrap();
        admin.execute(AssertSqlSafe(clone.clone())).await.ok()
    })
    .await;
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // Whatever is not dropped when the process ends goes with the cluster.
        let _ = DROPPER.lock().unwrap().send(std::mem::take(&mut self.name));
    }
}

/// Drops databases in the background, so that no test waits for it, on a runtime that outlives the tests' own.
static DROPPER: LazyLock<Mutex<Sender<String>>> = LazyLock::new(|| {
    let (sender, names) = channel::<String>();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for name in names {
            if let Err(error) = runtime.block_on(async { server().await.drop_database(&name).await }) {
                eprintln!("{name} was not dropped: {error}");
            }
        }
    });
    Mutex::new(sender)
});
