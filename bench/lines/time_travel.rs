//! A task and a list as they were, at places all over the ledger, beside a fold of the whole log.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use sqlx::Connection as _;
use vtid_ledger::domain::evolve::evolve;
use vtid_ledger::domain::record::Recorded;
use vtid_ledger::domain::task::Task;
use vtid_ledger::domain::vtid::Vtid;

use crate::figures::middle_time;
use crate::report::Report;
use crate::row::{Goal, Row};
use crate::seed::Seeder;
use crate::servers::Ledger;
use crate::stand::Stand;
use crate::{Bench, BenchError};

/// Events of a task: at most places some have come and some have not.
const VERSIONS: u64 = 10;
/// Places, at equal distances, from the first event to the last.
const PLACES: u64 = 40;
/// Before anything is timed, so that connections are there.
const WARM_UP: u64 = 10;
const PATIENCE: Duration = Duration::from_mins(20);

/// On one connection; each read is of another task, or of the newest fifty then.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<(), BenchError> {
    let events = bench.settings.by_scale(100_000, 1_000_000);
    let ledger = bench.servers.ledger("time_travel").await?;
    let mut seeder = Seeder::open(&ledger).await?;
    let tasks = seeder.create(events / VERSIONS).await?;
    for version in 2..=VERSIONS {
        seeder.patch(tasks, version..=version, u64::MAX).await?;
    }
    seeder.finish().await?;
    let (stand, _) = Stand::on(&bench.servers, ledger, tasks, PATIENCE).await?;
    for place in 1..=WARM_UP {
        get(&stand, &format!("/vtid/list?position={place}")).await?;
    }
    let (mut replays, mut gets, mut lists) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..bench.settings.rounds {
        replays.push(replay(&stand.ledger, events).await?);
        for place in 0..PLACES {
            let position = (events - 1) * place / (PLACES - 1) + 1;
            // One that was there already: the first events are the creates, in the order of the numbers.
            let there = position.min(tasks.count);
            let vtid = tasks.vtid((place * 7_919 + round) % there);
            gets.push(get(&stand, &format!("/vtid/{vtid}?position={position}")).await?);
            let status = ["", "&status=active"][usize::from(place % 2 == 1)];
            lists.push(get(&stand, &format!("/vtid/list?position={position}{status}")).await?);
        }
    }
    let replay = middle_time(&replays)?;
    let scale = format!("{events} events, {} tasks, {PLACES} places, 1 connection", tasks.count);
    for (what, times) in [("GET one as it was", gets), ("list of 50 as it was", lists)] {
        let slowest = times.iter().max().copied().unwrap_or_default();
        for (which, time) in [("median", middle_time(&times)?), ("slowest", slowest)] {
            let what = format!("{what}, {which}");
            report.row(Row::times(&what, &scale, time, ("fold of the whole log", replay), Goal::AtMost(0.1)));
        }
    }
    stand.end(&bench.servers).await
}

async fn get(stand: &Stand, path: &str) -> Result<Duration, BenchError> {
    let request = stand.service.client().get(format!("{}{path}", stand.service.base()));
    let begun = Instant::now();
    request.send().await?.error_for_status()?.bytes().await?;
    Ok(begun.elapsed())
}

/// Every record read once, in order, and folded.
async fn replay(ledger: &Ledger, events: u64) -> Result<Duration, BenchError> {
    let mut connection = ledger.connect().await?;
    let begun = Instant::now();
    let mut tasks: BTreeMap<Vtid, Task> = BTreeMap::new();
    let mut folded = 0;
    {
        let mut bodies = sqlx::query_scalar::<_, String>("select body from ledger.event order by position")
            .fetch(&mut connection);
        while let Some(body) = bodies.try_next().await? {
            let unreadable = |why: String| BenchError::Refused(why);
            let event = Recorded::parse(body.into()).map_err(|error| unreadable(error.to_string()))?.event;
            let before = tasks.remove(&event.vtid);
            let after = evolve(before, &event).map_err(|error| unreadable(error.to_string()))?;
            tasks.insert(event.vtid, after);
            folded += 1;
        }
    }
    let time = begun.elapsed();
    connection.close().await?;
    if folded == events { Ok(time) } else { Err(BenchError::Seed { wanted: events, found: folded }) }
}
