//! A ledger of one test, without its HTTP: the log, and as many writers as a test wants.

use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio_util::sync::CancellationToken;
use vtid_ledger::clock::Clock;
use vtid_ledger::log::connect::{connect, options, pool};
use vtid_ledger::log::pool::Pool;
use vtid_ledger::log::{EventLog, schema};
use vtid_ledger::telemetry::metrics::writer::WriterMetrics;
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
    pub(crate) fn pool(&self) -> Pool {
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
            metrics: WriterMetrics::default(),
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

/// An event by hand, as a later version of the ledger or one with a bug might append it: like the one at `base`, with
/// columns and record of its own, which say the same.
#[derive(Clone, Copy)]
pub(crate) struct ByHand {
    pub(crate) base: i64,
    pub(crate) position: i64,
    pub(crate) version: i64,
    pub(crate) kind: &'static str,
    /// Of another task.
    pub(crate) vtid: Option<&'static str>,
    /// Of another tenant.
    pub(crate) tenant: Option<&'static str>,
}

/// Makes `pg_temp.by_hand(base, position, version, type, vtid, tenant)`, whose rows can be inserted.
pub(crate) async fn learn_by_hand(connection: &mut PgConnection) {
    let function = "create or replace function pg_temp.by_hand(
            base bigint, new_position bigint, new_version bigint, new_type text, new_vtid text, new_tenant text
        ) returns setof ledger.event language plpgsql as $$
        declare
            e ledger.event;
            said text[];
        begin
            select * into e from ledger.event b where b.position = base;
            e.position := new_position;
            e.event_id := gen_random_uuid();
            e.version := new_version;
            e.type := new_type;
            e.vtid := coalesce(new_vtid, e.vtid);
            e.tenant := coalesce(new_tenant, e.tenant);
            -- Each stands in the record before anything that a caller can choose.
            foreach said slice 1 in array array[
                ['id', e.event_id::text], ['type', e.type], ['subject', e.vtid], ['position', e.position::text],
                ['streamversion', e.version::text], ['tenant', e.tenant]
            ] loop
                e.body := regexp_replace(
                    e.body, format('\"%s\":\"[^\"]*\"', said[1]), format('\"%s\":\"%s\"', said[1], said[2])
                );
            end loop;
            return next e;
        end $$";
    sqlx::raw_sql(function).execute(connection).await.unwrap();
}

impl ByHand {
    /// Appends it, past the writer.
    pub(crate) async fn append(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        learn_by_hand(connection).await;
        sqlx::query("insert into ledger.event select e.* from pg_temp.by_hand($1, $2, $3, $4, $5, $6) e")
            .bind(self.base)
            .bind(self.position)
            .bind(self.version)
            .bind(self.kind)
            .bind(self.vtid)
            .bind(self.tenant)
            .execute(connection)
            .await
            .map(drop)
    }
}
