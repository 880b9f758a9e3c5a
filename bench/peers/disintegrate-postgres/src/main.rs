//! disintegrate-postgres: one append, one task, one event, held to be the task's first.

use clap::Parser;
use disintegrate::serde::json::Json;
use disintegrate::{Event, EventStore, query};
use disintegrate_postgres::{Error, PgEventStore};
use peer_load::{Options, Record, drive};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::postgres::PgPoolOptions;

/// sqlx' own default: the more at once, the more of them are serialization failures.
const CONNECTIONS: u32 = 10;
/// Not the crate's `try_new`, which PostgreSQL 15 refuses.
const SCHEMA: &str = include_str!("../schema.sql");

#[derive(Debug, Clone, PartialEq, Eq, Event, Serialize, Deserialize)]
#[stream(TaskEvent, [TaskCreated])]
enum DomainEvent {
    TaskCreated {
        #[id]
        task_id: String,
        record: Value,
    },
}

type Store = PgEventStore<DomainEvent, Json<DomainEvent>>;

/// What a decision does that nothing may have preceded: it was taken on no events of this task.
async fn append(store: &Store, Record { subject, body, .. }: Record) -> Result<(), Error> {
    let of_the_task = query!(DomainEvent; task_id == subject.clone());
    let created = DomainEvent::TaskCreated { task_id: subject, record: body };
    store.append(vec![created], of_the_task, 0).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    // All there from the start, as pgbench's are, and without a ping before each use.
    let connections = options.connections.unwrap_or(CONNECTIONS);
    let pool = PgPoolOptions::new().min_connections(connections).max_connections(connections);
    let pool = pool.test_before_acquire(false).connect(&options.database).await?;
    sqlx::raw_sql(SCHEMA).execute(&pool).await?;
    let store = Store::new_uninitialized(pool.clone(), Json::default());

    let figures = drive(&options, move |record| {
        let store = store.clone();
        async move { append(&store, record).await }
    })
    .await?;

    let stored = sqlx::query_scalar("select count(*) from event").fetch_one(&pool).await?;
    figures.report("disintegrate-postgres", include_str!("../Cargo.lock"), stored)?;
    Ok(())
}
