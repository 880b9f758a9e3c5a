//! postgres-es: one append, one aggregate, one event.

use clap::Parser;
use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::{PersistedEventRepository, PersistenceError, SerializedEvent};
use cqrs_es::{Aggregate, DomainEvent};
use peer_load::{Options, Record, drive};
use postgres_es::PostgresEventRepository;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;

/// The crate's own, from its `db/init.sql`.
const SCHEMA: &str = include_str!("../schema.sql");

/// Only its name gets to the database.
#[derive(Default, Serialize, Deserialize)]
struct Task;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct TaskEvent;

impl DomainEvent for TaskEvent {
    fn event_type(&self) -> String {
        "vtid-created".to_owned()
    }

    fn event_version(&self) -> String {
        "1.0".to_owned()
    }
}

impl Aggregate for Task {
    const TYPE: &'static str = "task";
    type Command = ();
    type Event = TaskEvent;
    type Error = std::convert::Infallible;
    type Services = ();

    async fn handle(&mut self, (): (), (): &(), _: &EventSink<Self>) -> Result<(), Self::Error> {
        Ok(())
    }

    fn apply(&mut self, _: TaskEvent) {}
}

async fn append(repository: &PostgresEventRepository, record: Record) -> Result<(), PersistenceError> {
    let event = SerializedEvent::new(
        record.subject,
        1,
        Task::TYPE.to_owned(),
        record.kind.to_owned(),
        "1.0".to_owned(),
        record.body,
        serde_json::json!({}),
    );
    repository.persist::<Task>(&[event], None).await
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    // All there from the start, as pgbench's are, and without a ping before each use.
    let connections = options.connections.unwrap_or(options.clients);
    let pool = PgPoolOptions::new().min_connections(connections).max_connections(connections);
    let pool = pool.test_before_acquire(false).connect(&options.database).await?;
    sqlx::raw_sql(SCHEMA).execute(&pool).await?;
    let repository = std::sync::Arc::new(PostgresEventRepository::new(pool.clone()));

    let figures = drive(&options, move |record| {
        let repository = repository.clone();
        async move { append(&repository, record).await }
    })
    .await?;

    let stored = sqlx::query_scalar("select count(*) from events").fetch_one(&pool).await?;
    figures.report("postgres-es", include_str!("../Cargo.lock"), stored)?;
    Ok(())
}
