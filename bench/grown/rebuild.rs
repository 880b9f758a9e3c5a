//! The read table built from an empty one, beside `INSERT … SELECT` of the same rows.

use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection};

use crate::figures::{Figure, rate};
use crate::lines::told;
use crate::report::Report;
use crate::row::{Goal, Runs};
use crate::servers::Ledger;
use crate::service::Service;
use crate::{Bench, BenchError};

const POLL: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_mins(20);
/// An empty projection: it follows from the log's start.
const EMPTY: &str = "truncate \"VtidLedger\", ledger.snapshot; delete from ledger.progress where name = 'vtid_ledger'; \
    checkpoint";
const COPY: &str = "create table bench_copy (like \"VtidLedger\" including all); checkpoint";

/// On a ledger on which no program runs; NATS has all of its events already.
pub(crate) async fn measure(bench: &Bench, report: &mut Report, ledger: &Ledger) -> Result<(), BenchError> {
    let mut connection = ledger.connect().await?;
    let (tasks, head): (i64, i64) = sqlx::query_as(
        "select (select count(*) from \"VtidLedger\"), (select max(position) from ledger.event)",
    )
    .fetch_one(&mut connection)
    .await?;
    let mut runs = Runs::default();
    for _ in 0..bench.settings.rounds {
        runs.yardstick.push(told("INSERT … SELECT", inserted(&mut connection).await?));
        sqlx::raw_sql(EMPTY).execute(&mut connection).await?;
        runs.ledger.push(told("projected", projected(bench, ledger, &mut connection, head).await?));
    }
    connection.close().await?;
    let scale = format!("{tasks} tasks, {head} events");
    let what = "\"VtidLedger\" built from an empty table, events/s";
    report.row(runs.rates(what, &scale, "INSERT … SELECT of its rows, same indexes", Goal::AtLeast(0.5))?);
    Ok(())
}

/// Rows a second.
async fn inserted(connection: &mut PgConnection) -> Result<Figure, BenchError> {
    sqlx::raw_sql(COPY).execute(&mut *connection).await?;
    let begun = Instant::now();
    let done = sqlx::raw_sql("insert into bench_copy select * from \"VtidLedger\"");
    let done = done.execute(&mut *connection).await?;
    let time = begun.elapsed();
    sqlx::raw_sql("drop table bench_copy").execute(connection).await?;
    Ok(Figure { rate: rate(done.rows_affected(), time), p50: time, p99: time })
}

/// Events a second, from the first batch on: the program's start is not the projector's.
async fn projected(
    bench: &Bench,
    ledger: &Ledger,
    connection: &mut PgConnection,
    head: i64,
) -> Result<Figure, BenchError> {
    let mut service = Service::spawn(&bench.servers, ledger, None)?;
    let deadline = Instant::now() + PATIENCE;
    let mut first = None;
    loop {
        let position: Option<i64> =
            sqlx::query_scalar("select max(position) from ledger.progress where name = 'vtid_ledger'")
                .fetch_one(&mut *connection)
                .await?;
        let now = Instant::now();
        if let Some(position) = position {
            let (from, begun) = *first.get_or_insert((position, now));
            if position >= head {
                let time = now - begun;
                service.stop().await?;
                let events = u64::try_from(position - from).unwrap_or(0);
                return Ok(Figure { rate: rate(events, time), p50: time, p99: time });
            }
        }
        service.check(deadline)?;
        tokio::time::sleep(POLL).await;
    }
}
