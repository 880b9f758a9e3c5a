//! `audit verify` on a ledger in its database: whatever somebody with every right does to it is found, and named.

use sqlx::PgConnection;

use super::caught_up;
use super::found::Found;
use crate::support::service::{Platform, platform, some_task};

/// Patches of the first task: enough for a snapshot.
const PATCHES: usize = 70;
const EVENTS: u64 = PATCHES as u64 + 2;

/// A ledger of two tasks, of which the first has a snapshot; nobody writes any more.
async fn ledger() -> Platform {
    let platform = platform().await;
    let mut service = platform.serve().await;
    let vtid = service.create(some_task("long")).await.expect(200).vtid().to_owned();
    for step in 0..PATCHES {
        service.patch(&vtid, format!(r#"{{"metadata":{{"step":{step}}}}}"#)).await.expect(200);
    }
    service.create(some_task("short")).await.expect(200);
    caught_up(&platform, EVENTS).await;
    service.terminate();
    service.ended().await;
    platform
}

/// Does something to the ledger, as somebody who may do everything, with no trigger in the way.
async fn tamper(connection: &mut PgConnection, sql: &'static str) {
    let without = format!("alter table ledger.event disable trigger user; {sql}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(without)).execute(connection).await.unwrap();
}

/// Each on a copy of one ledger, put back after each.
#[tokio::test]
async fn whatever_is_done_to_a_ledger_is_found() {
    let platform = ledger().await;
    let good = Found::of(&platform).await.good();
    for (check, looked_at) in
        [("columns", EVENTS), ("snapshots", 1), ("read table", 2), ("stream", EVENTS), ("rules", EVENTS)]
    {
        assert_eq!(good.looked_at(check), looked_at, "{check}: {}", good.0);
    }
    let copy = platform.database.copy().await;
    for (sql, check, position) in TAMPERED {
        let mut connection = platform.connection().await;
        tamper(&mut connection, sql).await;
        drop(connection);
        let found = Found::of(&platform).await;
        found.names(check, *position);
        found.first(check, *position);
        platform.database.put_back(&copy).await;
    }
}

/// What is done, which check finds it first, and where.
const TAMPERED: &[(&str, &str, Option<u64>)] = &[
    ("update ledger.event set actor = 'somebody' where position = 5", "columns", Some(5)),
    ("update ledger.event set event_id = gen_random_uuid() where position = 5", "columns", Some(5)),
    (
        "update ledger.event set recorded_at = recorded_at + interval '1 ms' where position = 5",
        "columns",
        Some(5),
    ),
    ("update ledger.event set recorded_at = 'infinity' where position = 72", "columns", Some(72)),
    ("update ledger.event set type = 'vtid-completed' where position = 5", "columns", Some(5)),
    ("update ledger.event set tenant = 'other' where position = 72", "columns", Some(72)),
    ("update ledger.event set actor_role = 'admin' where position = 5", "columns", Some(5)),
    ("update ledger.event set actor_tenant = 'other' where position = 5", "columns", Some(5)),
    (
        "update ledger.event set idempotency_key = 'k', request_hash = 'h' where position = 5",
        "columns",
        Some(5),
    ),
    // What the read table keeps the stream does too, so the record itself is another one.
    (
        "update ledger.event set body = replace(body, '\"step\":3', '\"step\":4') where position = 5",
        "stream",
        Some(5),
    ),
    ("update ledger.event set body = 'nonsense' where position = 5", "records", Some(5)),
    ("delete from ledger.event where position = 5", "rules", Some(5)),
    (
        "delete from ledger.event where position = 5; update ledger.event set position = position - 1 where position > 5",
        "rules",
        Some(5),
    ),
    (
        "update ledger.event set position = position + 1000 where position > 5; \
         create temp table made as select * from ledger.event where position = 5; \
         update made set position = 6, version = 1000, event_id = gen_random_uuid(); \
         insert into ledger.event select * from made; \
         update ledger.event set position = position - 999 where position > 1000",
        "rules",
        Some(6),
    ),
    (
        "create temp table kept as select * from ledger.event where position in (5, 6); \
         delete from ledger.event where position in (5, 6); \
         update kept set position = 11 - position; insert into ledger.event select * from kept",
        "rules",
        Some(5),
    ),
    (
        "update ledger.snapshot set state = replace(state, '\"status\":\"pending\"', '\"status\":\"active\"')",
        "snapshots",
        Some(64),
    ),
    ("update \"VtidLedger\" set status = 'cancelled' where vtid like '%-0002'", "read table", None),
    ("delete from \"VtidLedger\" where vtid like '%-0002'", "read table", None),
];

/// What can't be looked at is wrong, and the rest is told all the same.
#[tokio::test]
async fn a_part_that_can_not_be_looked_at_leaves_the_others() {
    let mut platform = ledger().await;
    platform.nats.stop().await;
    let away = Found::of(&platform).await;
    away.names("stream", None::<u64>).first("stream", None::<u64>).says("it could not be looked at");
    assert_eq!((away.looked_at("rules"), away.looked_at("read table")), (EVENTS, 2), "{}", away.0);
    platform.nats.start().await;
    Found::of(&platform).await.good();
    platform.nats.wipe_store().await;
    Found::of(&platform).await.names("stream", None::<u64>).says("it could not be looked at");
    platform.run(&["audit", "diff"]).await.succeeded();
    // The walk over the tasks breaks, and what was found before is told.
    let mut connection = platform.connection().await;
    sqlx::raw_sql(r#"alter table "VtidLedger" rename to elsewhere"#).execute(&mut connection).await.unwrap();
    let broken = Found::of(&platform).await;
    broken.names("read table", None::<u64>);
    assert_eq!((broken.looked_at("rules"), broken.looked_at("snapshots")), (EVENTS, 1), "{}", broken.0);
}

/// It passes for what it holds, and for no more.
#[tokio::test]
async fn a_stream_that_lacks_the_last_events_is_told() {
    let mut platform = platform().await;
    let mut service = platform.serve().await;
    service.create(some_task("kept")).await.expect(200);
    caught_up(&platform, 1).await;
    let copy = platform.nats.snapshot_store().await;
    for n in 2..=3 {
        service.create(some_task(&format!("number {n}"))).await.expect(200);
    }
    caught_up(&platform, 3).await;
    service.terminate();
    service.ended().await;
    platform.nats.restore_store(&copy).await;
    let found = Found::of(&platform).await;
    assert_eq!(found.looked_at("stream"), 1, "{}", found.0);
    found.says("the ledger's last 2 events, up to position 3, are not in the stream yet");
}
