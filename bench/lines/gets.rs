//! Reads of one task beside a bare axum route.

use crate::bare::Bare;
use crate::lines::told;
use crate::load::{self, Load};
use crate::report::Report;
use crate::row::{Goal, Runs};
use crate::stand::Stand;
use crate::{Bench, BenchError, MANY};

const TASKS: u64 = 10_000;

/// And, for comparison, beside selects of the same row.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<(), BenchError> {
    let stand = Stand::new(bench, "gets", TASKS).await?;
    let bare = Bare::start().await?;
    let time = bench.settings.run;
    let (mut beside_bare, mut selects) = (Runs::default(), Runs::default());
    for _ in 0..bench.settings.rounds {
        let gets = stand.gets(MANY, time).await?;
        let load = Load::Get { tasks: stand.tasks };
        beside_bare.yardstick.push(told("bare axum", load::run(bare.base(), load, MANY, time).await?.figure));
        let rows = bench.yardstick.selects(stand.ledger.owner_url(), stand.tasks, MANY, time).await?;
        selects.yardstick.push(rows);
        beside_bare.ledger.push(gets);
        selects.ledger.push(gets);
    }
    let (what, scale) = ("GET one, 64 connections", "10,000 tasks, at random");
    report.row(beside_bare.rates(what, scale, "bare axum route", Goal::AtLeast(0.35))?);
    report.row(selects.rates("the same", scale, "pgbench selects", Goal::None)?);
    stand.end(&bench.servers).await
}
