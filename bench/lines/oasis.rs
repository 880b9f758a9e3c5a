//! How long after a create's answer its OASIS event is at a subscriber, at half the top load.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::{Consumer, DeliverPolicy, pull};
use futures::StreamExt as _;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use tokio::task::{JoinHandle, JoinSet};
use vtid_ledger::oasis::stream::DEFAULT_NAME;

use crate::figures::{Figure, middle_time, percentile, rate};
use crate::lines::told;
use crate::load::CREATE;
use crate::report::Report;
use crate::row::{Goal, Row};
use crate::stand::Stand;
use crate::{Bench, BenchError, MANY};

const TASKS: u64 = 10_000;
/// The last events are at the subscriber by then.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(5);

/// When each task's event came.
type Arrivals = Arc<Mutex<HashMap<String, Instant>>>;

/// Clients and subscriber are of this process.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<(), BenchError> {
    let stand = Stand::new(bench, "oasis", TASKS).await?;
    let top = stand.creates(MANY, bench.settings.run).await?.rate;
    let subscriber = Subscriber::start(&stand).await?;
    let (mut delays, mut inserts, mut paces) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.settings.rounds {
        let begun = Instant::now();
        let answered = paced(&stand, top / 2.0, bench.settings.run).await?;
        let pace = rate(answered.len() as u64, begun.elapsed());
        let mut delay = subscriber.delays(answered).await?;
        let (p50, p99) = (percentile(&mut delay, 50)?, percentile(&mut delay, 99)?);
        told("creates; from answer to event", Figure { rate: pace, p50, p99 });
        delays.push(p99);
        paces.push(pace);
        inserts.push(bench.yardstick.inserts(MANY, bench.settings.run).await?.p99);
        stand.service.forget_log()?;
    }
    let pace = crate::figures::middle(paces.into_iter(), f64::total_cmp)?;
    let scale = format!("{pace:.0} creates/s, half of {top:.0}");
    let against = ("p99 of pgbench's insert, 64 clients", middle_time(&inserts)?);
    let what = "create answered → OASIS event at a subscriber, p99";
    report.row(Row::times(what, &scale, middle_time(&delays)?, against, Goal::AtMost(3.0)));
    stand.end(&bench.servers).await
}

/// An ordered consumer of the stream; ended when dropped.
struct Subscriber {
    arrivals: Arrivals,
    reading: JoinHandle<()>,
}

impl Subscriber {
    async fn start(stand: &Stand) -> Result<Self, BenchError> {
        let client = async_nats::connect(stand.ledger.nats_url()).await;
        let client = client.map_err(|error| BenchError::Nats(error.into()))?;
        let stream = async_nats::jetstream::new(client).get_stream(DEFAULT_NAME).await;
        let stream = stream.map_err(|error| BenchError::Nats(error.into()))?;
        let config =
            pull::OrderedConfig { deliver_policy: DeliverPolicy::New, ..pull::OrderedConfig::default() };
        let consumer: Consumer<pull::OrderedConfig> =
            stream.create_consumer(config).await.map_err(|error| BenchError::Nats(error.into()))?;
        let messages = consumer.messages().await.map_err(|error| BenchError::Nats(error.into()))?;
        let arrivals = Arrivals::default();
        let known = Arc::clone(&arrivals);
        let reading = tokio::spawn(messages.for_each(move |message| {
            let now = Instant::now();
            let headers = message.ok().and_then(|message| message.headers.clone());
            if let Some(vtid) = headers.as_ref().and_then(|headers| headers.get("ce-subject")) {
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                known.entry(vtid.as_str().to_owned()).or_insert(now);
            }
            std::future::ready(())
        }));
        Ok(Self { arrivals, reading })
    }

    /// From each answer to the event; nothing where the event came first.
    async fn delays(&self, answered: Vec<(String, Instant)>) -> Result<Vec<Duration>, BenchError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            {
                let mut known = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
                let delays: Option<Vec<Duration>> = answered
                    .iter()
                    .map(|(vtid, answered)| Some(known.get(vtid)?.saturating_duration_since(*answered)))
                    .collect();
                if let Some(delays) = delays {
                    known.clear();
                    return Ok(delays);
                }
                if Instant::now() > deadline {
                    return Err(BenchError::Patience {
                        what: "that every event is at the subscriber",
                        seconds: PATIENCE.as_secs(),
                        seen: format!("{} of {}", known.len(), answered.len()),
                    });
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

#[derive(Deserialize)]
struct Created {
    vtid: String,
}

/// Creates at this pace, by as many clients as ever; the VTID and the time of each answer.
async fn paced(stand: &Stand, pace: f64, time: Duration) -> Result<Vec<(String, Instant)>, BenchError> {
    let between = Duration::from_secs_f64(f64::from(MANY) / pace);
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for number in 0..MANY {
        let client = stand.service.client().clone();
        let url = format!("{}/vtid/create", stand.service.base());
        clients.spawn(async move {
            let mut answered = Vec::new();
            let mut next = begun + between * number / MANY;
            while next < begun + time {
                tokio::time::sleep_until(next.into()).await;
                let request = client.post(&url).header(CONTENT_TYPE, "application/json").body(CREATE);
                let answer = request.send().await?.error_for_status()?.bytes().await?;
                let now = Instant::now();
                let created: Created = serde_json::from_slice(&answer)
                    .map_err(|_| BenchError::Answer(String::from_utf8_lossy(&answer).into_owned()))?;
                answered.push((created.vtid, now));
                next += between;
            }
            Ok::<_, BenchError>(answered)
        });
    }
    let mut all = Vec::new();
    while let Some(client) = clients.join_next().await {
        all.extend(client??);
    }
    Ok(all)
}
