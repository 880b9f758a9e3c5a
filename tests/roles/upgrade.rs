//! A ledger that was there before the roles were.

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio_util::sync::CancellationToken;
use vtid_ledger::clock::Clock;
use vtid_ledger::log::EventLog;
use vtid_ledger::log::connect::{options, pool};
use vtid_ledger::log::schema::ledger_id;
use vtid_ledger::projections::projector::Projector;
use vtid_ledger::telemetry::metrics::writer::WriterMetrics;
use vtid_ledger::writer::machine::WriterLimits;
use vtid_ledger::writer::shell::{WriterOptions, spawn};

use super::statements::{assert_rights, assert_table};
use crate::support::commands::{create, patch};
use crate::support::postgres::TestDatabase;
use crate::support::service::Platform;
use crate::support::{NatsFlavor, database, nats};

/// The last migration that knew no roles.
const BEFORE: i64 = 2;
/// What today's writer needs that was not there: the function of its turn, without the rights to it.
const TURN: &str = include_str!("../../migrations/0008_turn.sql");
/// Where the read table's rights begin in its SQL.
const RIGHTS: &str = "-- Who may do what";

/// Migrates as far as a version without roles did.
async fn migrate_as_before(owner: &mut PgConnection) {
    let mut migrator = sqlx::migrate!("./migrations");
    migrator.create_schema("ledger");
    migrator.dangerous_set_table_name("ledger._migrations");
    migrator.run_direct(Some(BEFORE), &mut *owner, false).await.unwrap();
    let (table, _) = include_str!("../../projections/vtid_ledger.sql").split_once(RIGHTS).unwrap();
    sqlx::raw_sql(AssertSqlSafe(table)).execute(&mut *owner).await.unwrap();
    sqlx::raw_sql(
        "insert into ledger.projection (name, schema_revision, revision) values ('vtid_ledger', 1, 1)",
    )
    .execute(owner)
    .await
    .unwrap();
}

/// Writes and projects as the owner, as services did: a task created as complete, and one that was patched.
async fn write_as_before(database: &TestDatabase, connection: &mut PgConnection) -> String {
    let (turn, _) = TURN.split_once("revoke all").unwrap();
    sqlx::raw_sql(turn).execute(&mut *connection).await.unwrap();
    let owner = options(database.url(), "before").unwrap();
    let readers = pool(owner.clone(), 4);
    let log = EventLog::new(readers.clone(), ledger_id(&readers).await.unwrap(), 1 << 20);
    let stop = CancellationToken::new();
    let writer_options = WriterOptions {
        database: owner.clone(),
        limits: WriterLimits::default(),
        deadline: std::time::Duration::from_secs(20),
        operation_timeout: std::time::Duration::from_secs(5),
        max_ahead: std::time::Duration::from_mins(1),
        compare: None,
        metrics: WriterMetrics::default(),
    };
    let (writer, _, _) = spawn(writer_options, Clock::system(), log.clone(), stop.clone());
    let (projector, mut projected) = Projector::new(log, &owner);
    let projecting = tokio::spawn(projector.run(stop.clone()));
    let body = r#"{"taskFamily":"a","taskType":"b","description":"c","tenant":"acme","status":"complete"}"#;
    writer.submit(create(body)).await.unwrap();
    let vtid = writer.submit(create(&body.replace("complete", "pending"))).await.unwrap().task.vtid;
    let last = writer.submit(patch(vtid, r#"{"status":"active"}"#)).await.unwrap().task.position;
    projected.wait_for(|status| status.position >= last).await.unwrap();
    stop.cancel();
    projecting.await.unwrap();
    sqlx::raw_sql("drop function ledger.take_turn").execute(connection).await.unwrap();
    vtid.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_without_roles_is_migrated_with_all_that_it_holds() {
    let platform = Platform { database: database().await, nats: nats(NatsFlavor::Current).await };
    let url = platform.database.url();
    let mut owner = PgConnection::connect(url).await.unwrap();
    migrate_as_before(&mut owner).await;
    let vtid = write_as_before(&platform.database, &mut owner).await;
    let held = async |connection: &mut PgConnection| -> Vec<String> {
        let held =
            r#"select e::text from ledger.event e union all select t::text from "VtidLedger" t order by 1"#;
        sqlx::query_scalar(held).fetch_all(connection).await.unwrap()
    };
    let before = held(&mut owner).await;
    assert_eq!(before.len(), 6);
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    let told = platform.run(&serve).await.failed();
    assert!(told.contains("vtid-ledger migrate"), "{told}");

    vtid_ledger::database::migrate(url).await.unwrap();
    assert_eq!(held(&mut owner).await, before);
    let (validated, schema_revision, revision): (bool, i32, i32) = sqlx::query_as(
        "select c.convalidated, p.schema_revision, p.revision from pg_constraint c, ledger.projection p
         where c.conname = 'event_actor_may' and c.conrelid = 'ledger.event'::regclass",
    )
    .fetch_one(&mut owner)
    .await
    .unwrap();
    assert_eq!((validated, schema_revision, revision), (true, 2, 1), "its rows are not mended for that");

    let service = platform.serve().await;
    let row = service.get(&format!("/vtid/{vtid}")).await.expect(200);
    assert_eq!((row.header("etag"), &row.body["data"]["status"]), (r#""v2""#, &"active".into()));
    service.patch(&vtid, r#"{"status":"complete"}"#).await.expect(200);
    // A list waits for the read table; a read of one task need not.
    assert_eq!(service.get("/vtid/list?status=complete").await.expect(200).body["count"], 2);
    drop(service);
    assert_table(url).await;
    assert_rights(url).await;

    // The migrations went through, and the read table's SQL did not.
    sqlx::raw_sql("update ledger.projection set schema_revision = 1").execute(&mut owner).await.unwrap();
    let told = platform.run(&serve).await.failed();
    assert!(told.contains("projection vtid_ledger is not migrated"), "{told}");
}
