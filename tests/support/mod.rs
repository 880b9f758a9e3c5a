//! What the client tests stand on: a database and a NATS server for each test, of servers that end with this process.

pub(crate) mod cluster;
pub(crate) mod commands;
pub(crate) mod database_messages;
pub(crate) mod database_proxy;
pub(crate) mod generate;
pub(crate) mod guarded;
pub(crate) mod keyed;
pub(crate) mod ledger;
pub(crate) mod load;
mod nats;
pub(crate) mod past;
pub(crate) mod pooler;
pub(crate) mod postgres;
pub(crate) mod probes;
pub(crate) mod projection;
pub(crate) mod scrape;
pub(crate) mod service;
pub(crate) mod stream;
pub(crate) mod subscriber;
pub(crate) mod tokens;
pub(crate) mod told;

use std::path::Path;
use std::time::{Duration, Instant};

pub(crate) use ledger::{TestLedger, ledger};
pub(crate) use nats::{NatsFlavor, StoreCopy, TestNats, nats, nats_with};
pub(crate) use postgres::database;

/// The program under test, which is also the guard of the servers.
pub(crate) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_vtid-ledger"))
}

/// A folder for a test's servers, removed when dropped. Under root an ordinary user has to get through it.
pub(crate) fn folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let permissions = std::fs::Permissions::from_mode(0o711);
    tempfile::Builder::new().prefix("vtid-test-").permissions(permissions).tempdir().unwrap()
}

/// Asks again and again until the answer is `Some`, for a minute at most.
pub(crate) async fn eventually<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    within(Duration::from_mins(1), what, ask).await
}

/// The same with another limit.
pub(crate) async fn within<T>(limit: Duration, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "gave up waiting: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
