//! Creates and memory with the largest log, beside a ledger of no events.

use std::time::Duration;

use crate::load::{self, Load};
use crate::proc::memory;
use crate::report::Report;
use crate::row::{Goal, Row, Runs, Value};
use crate::seed::Tasks;
use crate::servers::Ledger;
use crate::service::Service;
use crate::sizes::Sizes;
use crate::{Bench, BenchError, MANY};

const WARM_UP: Duration = Duration::from_secs(1);

/// The programs take turns, each started anew; the empty ledger is a new one each time.
pub(crate) async fn measure(bench: &Bench, report: &mut Report, ledger: &Ledger) -> Result<(), BenchError> {
    let mut runs = Runs::default();
    let (mut idle, mut most) = (0, 0);
    let head = ledger.head().await?;
    let sizes = Sizes::of(ledger).await?;
    for _ in 0..bench.settings.rounds {
        let (figure, of) = creates(bench, ledger).await?;
        runs.ledger.push(figure);
        (idle, most) = (of.now.max(idle), of.most.max(most));
        let none = bench.servers.ledger("none").await?;
        runs.yardstick.push(creates(bench, &none).await?.0);
        none.end(&bench.servers).await?;
    }
    let scale = format!("{head} events at first");
    report.row(runs.rates("creates with a large log, 64", &scale, "with none", Goal::AtLeast(0.9))?);
    let limit = Goal::NoMoreThan(Value::Bytes(200_000_000));
    report.row(Row::alone("resident memory with a large log, idle", &scale, Value::Bytes(idle), limit));
    report.row(Row::alone("the same, the most under load", &scale, Value::Bytes(most), limit));
    let text = format!(
        "A tenth create a task, the others patch these: {head} events.\n\n{}",
        sizes.by_million(head)
    );
    report.section("On disk with a large log", text);
    Ok(())
}

/// Creates a second, and the memory before them and the most during them.
async fn creates(
    bench: &Bench,
    ledger: &Ledger,
) -> Result<(crate::figures::Figure, crate::proc::Memory), BenchError> {
    let service = Service::start(&bench.servers, ledger, None).await?;
    tokio::time::sleep(WARM_UP).await;
    let idle = memory(service.pid()?)?.now;
    let run = async |load, time| load::run(service.base(), load, MANY, time).await;
    run(Load::Create { tokens: &[] }, WARM_UP).await?;
    let figure = run(Load::Create { tokens: &[] }, bench.settings.run).await?.figure;
    let figure = crate::lines::told("creates", figure);
    let tasks = Tasks { year: vtid_ledger::clock::Clock::system().now().year(), first: 1, count: 1_000 };
    run(Load::Get { tasks }, WARM_UP).await?;
    run(Load::List, WARM_UP).await?;
    let most = memory(service.pid()?)?.most;
    service.forget_log()?;
    service.stop().await?;
    Ok((figure, crate::proc::Memory { now: idle, most }))
}
