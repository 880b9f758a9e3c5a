//! `audit verify` on a ledger in its database: whatever somebody with every right does to it is found, and named.

use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::support::eventually;
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
    let mut connection = platform.connection().await;
    eventually("the projection", async || {
        let at: Option<i64> = sqlx::query_scalar("select max(position) from ledger.progress")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        (at == i64::try_from(EVENTS).ok()).then_some(())
    })
    .await;
    eventually("the stream", async || (platform.stream_length().await == EVENTS).then_some(())).await;
    service.terminate();
    service.ended().await;
    platform
}

/// Does something to the ledger, as somebody who may do everything, with no trigger in the way.
async fn tamper(connection: &mut PgConnection, sql: &'static str) {
    let without = format!("alter table ledger.event disable trigger user; {sql}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(without)).execute(connection).await.unwrap();
}

/// What a verification finds wrong.
struct Found(Value);

impl Found {
    async fn of(platform: &Platform) -> Self {
        let ended = platform.run(&["audit", "verify", "--json"]).await;
        let report: Value = serde_json::from_str(&ended.out).unwrap_or_else(|_| panic!("{ended:?}"));
        assert_eq!(report["ok"], ended.success, "{ended:?}");
        assert!(ended.success || ended.error.contains("WRONG"), "{ended:?}");
        Self(report)
    }

    fn names(&self, check: &str, position: impl Into<Value>) -> &Self {
        let checks = self.0["checks"].as_array().unwrap();
        let found = checks.iter().find(|found| found["check"] == check).unwrap();
        assert_eq!(found["result"], "wrong", "{check}: {}", self.0);
        assert_eq!(found["first"]["position"], position.into(), "{check}: {}", self.0);
        self
    }

    fn first(&self, check: &str, position: impl Into<Value>) {
        let first = &self.0["first_wrong"];
        assert_eq!((&first["check"], &first["position"]), (&json!(check), &position.into()), "{}", self.0);
    }
}

/// Each on a copy of one ledger, put back after each.
#[tokio::test]
async fn whatever_is_done_to_a_ledger_is_found() {
    let platform = ledger().await;
    let good = Found::of(&platform).await;
    assert_eq!(good.0["ok"], true, "{}", good.0);
    let looked: Vec<(&str, u64)> = good.0["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| (check["check"].as_str().unwrap(), check["looked_at"].as_u64().unwrap()))
        .collect();
    for wanted in
        [("columns", EVENTS), ("snapshots", 1), ("read table", 2), ("stream", EVENTS), ("rules", EVENTS)]
    {
        assert!(looked.contains(&wanted), "{wanted:?}: {looked:?}");
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
