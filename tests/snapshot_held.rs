//! Beside an open snapshot (a dump, an auditor's report) nothing that was deleted or replaced can be cleaned up. The log
//! and the projector's cursor must not feel it. Counted in pages, not in time: what each append and each read looks up
//! first costs as few of them as ever.

use std::time::Duration;

use serde_json::Value;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor};

use crate::support::eventually;
use crate::support::load::{Load, assert_kept};
use crate::support::service::platform;
use crate::support::stream::log_after;
use vtid_ledger::domain::cursor::Cursor;

const WRITES: usize = 2_000;
/// An index of three levels, its row, and some room; thousands of dead versions would be hundreds.
const PAGES_MAX: u64 = 12;

/// How many pages a query visits.
async fn pages(connection: &mut PgConnection, query: &'static str) -> u64 {
    let plan: Value =
        sqlx::query_scalar(sqlx::AssertSqlSafe(format!("explain (analyze, buffers, format json) {query}")))
            .fetch_one(connection)
            .await
            .unwrap();
    let count = |name: &str| plan[0]["Plan"][name].as_u64().unwrap();
    count("Shared Hit Blocks") + count("Shared Read Blocks")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_and_reads_do_not_wade_through_dead_rows() {
    let platform = platform().await;
    let service = platform.serve().await;
    let mut held = platform.connection().await;
    let mut snapshot = held.begin().await.unwrap();
    snapshot.execute("set transaction isolation level repeatable read").await.unwrap();
    let seen = "select count(*) from ledger.event";
    assert_eq!(sqlx::query_scalar::<_, i64>(seen).fetch_one(&mut *snapshot).await.unwrap(), 0);

    let load = Load::start(&[&service], 8, Duration::from_millis(2));
    load.further(WRITES).await;
    let written = load.stop().await;
    let last = written.last().unwrap();
    service.get(&format!("/vtid/{}", last.vtid)).await.expect(200);
    assert_kept(&log_after(platform.database.url(), Cursor::Start).await, &written);
    assert_eq!(sqlx::query_scalar::<_, i64>(seen).fetch_one(&mut *snapshot).await.unwrap(), 0, "still held");

    let mut other = platform.connection().await;
    for query in [
        "select position, event_id from ledger.event order by position desc limit 1",
        "select position from ledger.progress where name = 'vtid_ledger' order by position desc limit 1",
    ] {
        let visited = pages(&mut other, query).await;
        assert!(visited <= PAGES_MAX, "{visited} pages: {query}");
    }
    // Nothing that was written is ever replaced: there are no dead versions that could pile up.
    for table in ["event", "progress"] {
        let (inserted, updated) = eventually("the writes to be counted", async || {
            let counted: (i64, i64) = sqlx::query_as(
                "select n_tup_ins, n_tup_upd from pg_stat_user_tables where schemaname = 'ledger' and relname = $1",
            )
            .bind(table)
            .fetch_one(&mut other)
            .await
            .unwrap();
            (counted.0 > 0).then_some(counted)
        })
        .await;
        assert_eq!(updated, 0, "{table}: {inserted} inserted");
    }
    snapshot.rollback().await.unwrap();
}
