//! Old row versions can't be cleaned up while a snapshot is open that could see them: who updates rows gets slower.

use crate::report::Report;
use crate::row::{Goal, Runs};
use crate::stand::Stand;
use crate::{Bench, BenchError, MANY};

const TASKS: u64 = 10_000;

/// Without an open snapshot, and beside one that has been open for a while under load.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<(), BenchError> {
    let stand = Stand::new(bench, "snapshot", TASKS).await?;
    let open = bench.settings.snapshot;
    let (mut creates, mut gets) = (Runs::default(), Runs::default());
    for _ in 0..bench.settings.rounds {
        creates.yardstick.push(stand.creates(MANY, bench.settings.run).await?);
        gets.yardstick.push(stand.gets(MANY, bench.settings.run).await?);
    }
    let mut connection = stand.ledger.connect().await?;
    sqlx::raw_sql("begin isolation level repeatable read; select count(*) from ledger.identity")
        .execute(&mut connection)
        .await?;
    eprintln!("  beside an open snapshot, after {} s of creates", open.as_secs());
    stand.creates(MANY, open).await?;
    for _ in 0..bench.settings.rounds {
        creates.ledger.push(stand.creates(MANY, bench.settings.run).await?);
        gets.ledger.push(stand.gets(MANY, bench.settings.run).await?);
    }
    sqlx::raw_sql("commit").execute(&mut connection).await?;
    sqlx::Connection::close(connection).await?;
    let (scale, against) = (format!("open for {} s under load", open.as_secs()), "without, just before");
    report.row(creates.rates("creates beside an open snapshot, 64", &scale, against, Goal::AtLeast(0.9))?);
    report.row(gets.rates("GET one beside an open snapshot, 64", &scale, against, Goal::None)?);
    stand.end(&bench.servers).await
}
