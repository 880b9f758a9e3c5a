//! The lease's rows in a real `PostgreSQL`: what the machine relies on.

use sqlx::PgConnection;
use vtid_ledger::leases::table::{Standing, give_back, keep, look};
use vtid_ledger::leases::{ProcessId, Role};
use vtid_ledger::log::connect::{connect, options};

use crate::support::service::migrated_database;

const LASTS_MS: u64 = 60_000;
const ROLE: Role = Role::Relay;

fn process(number: u128) -> ProcessId {
    ProcessId(uuid::Uuid::from_u128(number))
}

struct Table {
    database: crate::support::postgres::TestDatabase,
    connection: PgConnection,
}

impl Table {
    async fn new() -> Self {
        let database = migrated_database().await;
        let connection = connect(&options(database.service_url(), "test").unwrap()).await.unwrap();
        Self { database, connection }
    }

    /// Holder and term, after this process has asked.
    async fn keep(&mut self, number: u128) -> (ProcessId, i64) {
        let Standing { holder, term, left_ms, .. } =
            keep(&mut self.connection, ROLE, process(number), LASTS_MS).await.unwrap();
        assert!(left_ms <= LASTS_MS, "{left_ms}");
        (holder, term)
    }

    async fn give_back(&mut self, who: u128, number: i64) -> bool {
        give_back(&mut self.connection, ROLE, process(who), number).await.unwrap()
    }

    /// As if `PostgreSQL`'s clock had been set by so much.
    async fn end_differently(&self, by: &str) {
        let mut owner = connect(&options(self.database.url(), "test").unwrap()).await.unwrap();
        sqlx::query("update ledger.lease set until = until + $1::interval")
            .bind(by)
            .execute(&mut owner)
            .await
            .unwrap();
    }

    async fn rows(&mut self) -> i64 {
        sqlx::query_scalar("select count(*) from ledger.lease").fetch_one(&mut self.connection).await.unwrap()
    }
}

#[tokio::test]
async fn one_holds_it_and_the_term_rises_with_each_holder() {
    let mut table = Table::new().await;
    assert_eq!(look(&mut table.connection, ROLE).await.unwrap(), None);
    assert_eq!(table.keep(1).await, (process(1), 1));
    assert_eq!(table.keep(2).await, (process(1), 1), "it is another's");
    assert_eq!(table.keep(1).await, (process(1), 1), "renewed");
    assert!(!table.give_back(2, 2).await, "not another's to give");
    assert!(!table.give_back(1, 1).await, "it was renewed since");
    assert!(table.give_back(1, 2).await);
    assert!(!table.give_back(1, 3).await, "once");
    assert_eq!(look(&mut table.connection, ROLE).await.unwrap().unwrap().left_ms, 0);
    assert_eq!(table.keep(2).await, (process(2), 2));
    table.end_differently("-2 minutes").await;
    assert_eq!(table.keep(1).await, (process(1), 3), "it had run out");
    table.end_differently("-2 minutes").await;
    assert_eq!(table.keep(1).await, (process(1), 4), "its own, but there was a gap");
}

#[tokio::test]
async fn a_clock_that_was_set_back_keeps_nobody_out_for_longer_than_a_lease() {
    let mut table = Table::new().await;
    table.keep(1).await;
    table.end_differently("1 hour").await;
    assert_eq!(table.keep(2).await, (process(1), 1), "its holder may still reckon with it");
    let standing = look(&mut table.connection, ROLE).await.unwrap().unwrap();
    assert!(standing.left_ms <= LASTS_MS, "{standing:?}");
}

#[tokio::test]
async fn of_many_that_ask_at_once_one_gets_it() {
    let table = Table::new().await;
    let ask = |number| {
        let options = options(table.database.service_url(), "test").unwrap();
        async move {
            let mut connection = connect(&options).await.unwrap();
            keep(&mut connection, ROLE, process(number), LASTS_MS).await.unwrap()
        }
    };
    let told = futures::future::join_all((1..=16).map(ask)).await;
    assert!(told.iter().all(|standing| standing.holder == told[0].holder && standing.term == 1), "{told:?}");
}

/// Renewed for an hour beside a snapshot that stays open: what a look reads does not grow with it.
#[tokio::test]
async fn what_was_renewed_long_ago_is_removed_and_never_looked_at() {
    let mut table = Table::new().await;
    let mut snapshot = connect(&options(table.database.url(), "test").unwrap()).await.unwrap();
    let open = "begin isolation level repeatable read; select count(*) from ledger.lease";
    sqlx::raw_sql(open).execute(&mut snapshot).await.unwrap();
    // Each renewal is a transaction of its own, as in life.
    for _ in 0..3_600 {
        table.keep(1).await;
    }
    assert!(table.rows().await < 128, "{} rows", table.rows().await);
    let plan: Vec<String> = sqlx::query_scalar(
        "explain (analyze, buffers, costs off, timing off, summary off)
         select holder from ledger.lease where name = 'relay' order by number desc limit 1",
    )
    .fetch_all(&mut table.connection)
    .await
    .unwrap();
    let plan = plan.join("\n");
    let hit: u64 = plan
        .split("shared hit=")
        .nth(1)
        .and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok())
        .unwrap_or_else(|| panic!("{plan}"));
    assert!(hit < 12, "{plan}");
}
