//! Patches of many tasks beside single-row inserts, and of one task beside those of many.

use crate::report::Report;
use crate::row::{Goal, Runs};
use crate::stand::Stand;
use crate::{Bench, BenchError, MANY};

const TASKS: u64 = 10_000;

/// Each connection patches another task; then all patch one.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<(), BenchError> {
    let stand = Stand::new(bench, "patches", TASKS).await?;
    let time = bench.settings.run;
    let (mut many, mut one) = (Runs::default(), Runs::default());
    for _ in 0..bench.settings.rounds {
        let distinct = stand.patches(stand.tasks, MANY, time).await?;
        many.ledger.push(distinct);
        many.yardstick.push(bench.yardstick.inserts(MANY, time).await?);
        one.ledger.push(stand.patches(stand.tasks.at(0), MANY, time).await?);
        one.yardstick.push(distinct);
    }
    let scale = "10,000 tasks";
    report.row(many.rates("patches of distinct tasks, 64", scale, "pgbench inserts", Goal::AtLeast(1.0))?);
    report.row(one.rates(
        "64 clients patching one task",
        "1 task",
        "of distinct tasks",
        Goal::AtLeast(0.7),
    )?);
    stand.end(&bench.servers).await
}
