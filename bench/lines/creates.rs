//! Creates beside single-row inserts.

use crate::report::Report;
use crate::row::{Goal, Runs};
use crate::stand::Stand;
use crate::{Bench, BenchError, MANY};

const TASKS: u64 = 10_000;

/// At 64 connections and at one; and how long one in a hundred takes.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<(), BenchError> {
    let stand = Stand::new(bench, "creates", TASKS).await?;
    let (time, scale) = (bench.settings.run, "10,000 tasks at first");
    let (mut many, mut one) = (Runs::default(), Runs::default());
    for _ in 0..bench.settings.rounds {
        for (runs, clients) in [(&mut many, MANY), (&mut one, 1)] {
            runs.ledger.push(stand.creates(clients, time).await?);
            runs.yardstick.push(bench.yardstick.inserts(clients, time).await?);
        }
    }
    let against = "pgbench inserts";
    report.row(many.rates("creates, 64 connections", scale, against, Goal::AtLeast(1.2))?);
    report.row(one.rates("creates, 1 connection", scale, against, Goal::AtLeast(0.6))?);
    report.row(many.p99s("p99 of a create, 64 connections", scale, against, Goal::AtMost(2.0))?);
    stand.end(&bench.servers).await
}
