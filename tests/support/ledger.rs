//! A ledger of one test, without its HTTP: the log, and as many writers as a test wants.

use std::time::Duration;

use sqlx::{Connection, PgConnection, PgPool};
use tokio_util::sync::CancellationToken;
use vtid_ledger::clock::Clock;
use vtid_ledger::log::connect::{connect, options, pool};
use vtid_ledger::log::{EventLog, schema};
use vtid_ledger::writer::handle::WriterHandle;
use vtid_ledger::writer::machine::WriterLimits;
use vtid_ledger::writer::shell::{WriterOptions, spawn};

use super::postgres::TestDatabase;

/// A migrated database.
pub(crate) struct TestLedger {
    database: TestDatabase,
    stop: CancellationToken,
}

/// Makes one.
pub(crate) async fn ledger() -> TestLedger {
    let database = super::database().await;
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    schema::migrate(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    TestLedger { database, stop: CancellationToken::new() }
}

impl TestLedger {
    /// A connection as the owner.
    pub(crate) async fn connection(&self) -> PgConnection {
        connect(&options(self.database.url(), "test").unwrap()).await.unwrap()
    }

    /// Its database, to be copied and put back.
    pub(crate) fn database(&self) -> &TestDatabase {
        &self.database
    }

    /// A pool with the service's rights.
    pub(crate) fn pool(&self) -> PgPool {
        pool(options(self.database.service_url(), "test").unwrap(), 4)
    }

    /// The log as one more process would see it.
    pub(crate) async fn log(&self) -> EventLog {
        let pool = self.pool();
        let id = schema::ledger_id(&pool).await.unwrap();
        EventLog::new(pool, id, 8 << 20)
    }

    /// The writer's settings.
    pub(crate) fn writer_options(&self) -> WriterOptions {
        WriterOptions {
            database: options(self.database.service_url(), "writer").unwrap(),
            limits: WriterLimits::default(),
            deadline: Duration::from_secs(20),
            operation_timeout: Duration::from_secs(5),
            max_ahead: Duration::from_mins(1),
            compare: None,
        }
    }

    /// A writer of its own on `log`.
    pub(crate) fn writer(&self, log: &EventLog) -> WriterHandle {
        spawn(self.writer_options(), Clock::system(), log.clone(), self.stop.clone()).0
    }
}

impl Drop for TestLedger {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
