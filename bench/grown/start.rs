//! From the program's start to its first answer.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;

use crate::figures::middle_time;
use crate::load::CREATE;
use crate::report::Report;
use crate::row::{Goal, Row};
use crate::seed::{Seeder, Tasks};
use crate::servers::Ledger;
use crate::service::Service;
use crate::stand::Stand;
use crate::{Bench, BenchError};

const STARTS: usize = 7;
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(1);

/// The first GET and the first create that are answered with 200; the programs take turns.
pub(crate) async fn measure(bench: &Bench, report: &mut Report, ledger: &Ledger) -> Result<(), BenchError> {
    let small = Stand::new(bench, "next_to_none", 1).await?.stop().await?;
    let seeder = Seeder::open(ledger).await?;
    let (head, task) = (seeder.head(), Tasks { count: 1, ..seeder.tasks() });
    seeder.finish().await?;
    let (mut large_times, mut small_times) = (Times::default(), Times::default());
    for _ in 0..STARTS {
        for (ledger, times) in [(ledger, &mut large_times), (&small, &mut small_times)] {
            let service = Service::spawn(&bench.servers, ledger, None)?;
            let (get, create) = tokio::try_join!(first(&service, Some(task)), first(&service, None))?;
            times.get.push(get);
            times.create.push(create);
            service.stop().await?;
        }
    }
    let scale = format!("{head} events, {STARTS} starts in turn");
    let rows = [
        ("start to first GET", &large_times.get, &small_times.get),
        ("start to first create", &large_times.create, &small_times.create),
    ];
    for (what, large, small) in rows {
        let against = ("with next to none", middle_time(small)?);
        report.row(Row::times(what, &scale, middle_time(large)?, against, Goal::AtMost(1.2)));
    }
    small.end(&bench.servers).await
}

#[derive(Default)]
struct Times {
    get: Vec<Duration>,
    create: Vec<Duration>,
}

/// Asks over and over, for this task or to create one.
async fn first(service: &Service, task: Option<Tasks>) -> Result<Duration, BenchError> {
    let client = vtid_ledger::fetch::client().no_proxy().build()?;
    loop {
        let request = match task {
            Some(task) => client.get(format!("{}/vtid/{}", service.base(), task.vtid(0))),
            None => client
                .post(format!("{}/vtid/create", service.base()))
                .header(CONTENT_TYPE, "application/json")
                .body(CREATE),
        };
        let answer = request.send().await.map(|answer| answer.status());
        let passed = service.started().elapsed();
        match answer {
            Ok(StatusCode::OK) => return Ok(passed),
            _ if passed < PATIENCE => tokio::time::sleep(PAUSE).await,
            other => {
                return Err(BenchError::Patience {
                    what: "the first answer",
                    seconds: PATIENCE.as_secs(),
                    seen: format!("{other:?}"),
                });
            }
        }
    }
}
