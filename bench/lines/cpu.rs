//! Which process a create's time goes to.

use std::time::{Duration, Instant};

use crate::figures::{as_f64, rate};
use crate::proc::Cpu;
use crate::report::{Report, put};
use crate::stand::Stand;
use crate::{Bench, BenchError, MANY};

const TASKS: u64 = 10_000;

/// Microseconds on the processors for each create, at 64 connections.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<(), BenchError> {
    let stand = Stand::new(bench, "cpu", TASKS).await?;
    let (ledger, nats) = (stand.service.pid()?, stand.ledger.nats_pid());
    let look = || Cpu::now(ledger, nats, bench.servers.postmaster());
    stand.creates(MANY, Duration::from_secs(1)).await?;
    let mut table = String::from(
        "Microseconds of a processor for each create at 64 connections, by `/proc`; the rest is the kernel's own work, \
         and whatever else ran.\n\n\
         | creates/s | ledger | PostgreSQL's backends | its other processes | NATS | wrk | the rest | all | idle |\n\
         |--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for _ in 0..bench.settings.rounds {
        let (before, started, head) = (look()?, Instant::now(), stand.ledger.head().await?);
        stand.creates(MANY, bench.settings.run).await?;
        let count = stand.ledger.head().await? - head;
        let cpu = look()?.since(&before);
        let each = |time: Duration| time.as_secs_f64() * 1e6 / as_f64(count.max(1));
        let known = cpu.ledger + cpu.backends + cpu.background + cpu.nats + cpu.load;
        let rest = cpu.machine.saturating_sub(known);
        let columns =
            [cpu.ledger, cpu.backends, cpu.background, cpu.nats, cpu.load, rest, cpu.machine, cpu.idle];
        let cells: Vec<String> = columns.iter().map(|time| format!("{:.0}", each(*time))).collect();
        put(&mut table, format_args!("| {:.0} | {} |\n", rate(count, started.elapsed()), cells.join(" | ")));
    }
    report.section("Where a create's time goes", table);
    stand.end(&bench.servers).await
}
