//! Creates over three processes beside creates over one, on one ledger: what it costs them to share its end.

use std::time::Duration;

use futures::future::try_join_all;

use super::told;
use crate::figures::Figure;
use crate::load::{self, Load};
use crate::report::Report;
use crate::row::{Goal, Runs};
use crate::service::Service;
use crate::stand::Stand;
use crate::{Bench, BenchError, MANY};

const TASKS: u64 = 10_000;
const PROCESSES: u32 = 3;

/// At 64 connections, spread evenly. One process and three take turns; where there is one, there are no others, not even idle.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<(), BenchError> {
    let stand = Stand::new(bench, "replicas", TASKS).await?;
    let mut runs = Runs::default();
    for _ in 0..bench.settings.rounds {
        runs.yardstick.push(stand.creates(MANY, bench.settings.run).await?);
        let mut others = Vec::new();
        for _ in 1..PROCESSES {
            others.push(Service::start(&bench.servers, &stand.ledger, None).await?);
        }
        spread(&stand, &others, Duration::from_secs(1)).await?;
        runs.ledger.push(told("creates over three", spread(&stand, &others, bench.settings.run).await?));
        for other in others {
            other.stop().await?;
        }
    }
    let (what, scale) = ("creates over three processes, 64 connections", "10,000 tasks at first");
    report.row(runs.rates(what, scale, "over one", Goal::AtLeast(0.8))?);
    stand.end(&bench.servers).await
}

/// All of them together; of their times the slowest's.
async fn spread(stand: &Stand, others: &[Service], time: Duration) -> Result<Figure, BenchError> {
    let services: Vec<&Service> = std::iter::once(&stand.service).chain(others).collect();
    let before = stand.ledger.head().await?;
    let runs = services.iter().zip(0..).map(|(service, n)| {
        // The first takes what is left over.
        let connections = MANY / PROCESSES + u32::from(n < MANY % PROCESSES);
        load::run(service.base(), Load::Create { tokens: &[] }, connections, time)
    });
    let runs = try_join_all(runs).await?;
    let (grown, answered) = (stand.ledger.head().await? - before, runs.iter().map(|run| run.answered).sum());
    if grown < answered {
        return Err(BenchError::Log { answered, grown });
    }
    for service in services {
        service.forget_log()?;
    }
    let slowest =
        |of: fn(&Figure) -> Duration| runs.iter().map(|run| of(&run.figure)).max().unwrap_or_default();
    Ok(Figure {
        rate: runs.iter().map(|run| run.figure.rate).sum(),
        p50: slowest(|figure| figure.p50),
        p99: slowest(|figure| figure.p99),
    })
}
