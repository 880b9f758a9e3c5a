//! One PostgreSQL for all tests of this process, and a database of it for each.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{LazyLock, Mutex};

use tokio::sync::OnceCell;
use vtid_ledger::dev::{PostgresOptions, PostgresServer};

/// Never dropped: the guard stops it and removes its folder when this process has ended. Nothing in it is bound to the
/// runtime of the test that happened to start it.
static SERVER: OnceCell<PostgresServer> = OnceCell::const_new();
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
}

/// Makes an empty database with a name of its own.
pub(crate) async fn database() -> TestDatabase {
    let server = server().await;
    let name = format!("test_{}", COUNTER.fetch_add(1, Ordering::Relaxed));
    server.create_database(&name).await.unwrap();
    TestDatabase { url: server.url(&name), name }
}

impl TestDatabase {
    /// The database owner's address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
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
