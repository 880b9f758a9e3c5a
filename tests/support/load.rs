//! Callers that write, all at once, over real HTTP, and remember what was acknowledged.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use vtid_ledger::domain::record::Recorded;

use super::eventually;
use super::service::{Service, some_task};

/// A write that the ledger answered with 200.
#[derive(Debug)]
pub(crate) struct Acknowledged {
    pub(crate) position: u64,
    pub(crate) vtid: String,
    /// As the `ETag` has it.
    pub(crate) version: String,
}

/// Where the callers send their requests; a process that was started again has another address.
pub(crate) type Targets = Arc<Mutex<Vec<String>>>;

/// Callers under way.
pub(crate) struct Load {
    targets: Targets,
    acknowledged: Arc<AtomicUsize>,
    stop: CancellationToken,
    callers: JoinSet<Vec<Acknowledged>>,
}

impl Load {
    /// `callers` of them, each with one request at a time and a pause of `pause` between two.
    pub(crate) fn start(services: &[&Service], callers: u64, pause: Duration) -> Self {
        let targets = services.iter().map(|service| service.base().to_owned()).collect();
        let mut load = Self {
            targets: Arc::new(Mutex::new(targets)),
            acknowledged: Arc::default(),
            stop: CancellationToken::new(),
            callers: JoinSet::new(),
        };
        for number in 0..callers {
            let caller = Caller {
                targets: Arc::clone(&load.targets),
                client: vtid_ledger::fetch::client()
                    .no_proxy()
                    .timeout(Duration::from_mins(1))
                    .build()
                    .unwrap(),
                sent: AtomicU64::new(number),
            };
            let (counted, stop) = (Arc::clone(&load.acknowledged), load.stop.clone());
            load.callers.spawn(caller.run(pause, counted, stop));
        }
        load
    }

    /// Sends everything to another process from now on; nowhere, while there is none.
    pub(crate) fn retarget(&self, service: Option<&Service>) {
        *self.targets.lock().unwrap() =
            service.map(|service| service.base().to_owned()).into_iter().collect();
    }

    /// Sends everything to these from now on.
    pub(crate) fn send_to(&self, bases: Vec<String>) {
        *self.targets.lock().unwrap() = bases;
    }

    /// Waits until so many further writes are acknowledged.
    pub(crate) async fn further(&self, count: usize) {
        let goal = self.acknowledged.load(Ordering::Relaxed) + count;
        eventually(&format!("{count} further writes"), async || {
            (self.acknowledged.load(Ordering::Relaxed) >= goal).then_some(())
        })
        .await;
    }

    /// Ends the callers; gives what was acknowledged, in order of position.
    pub(crate) async fn stop(self) -> Vec<Acknowledged> {
        self.stop.cancel();
        let mut all: Vec<Acknowledged> = self.callers.join_all().await.into_iter().flatten().collect();
        all.sort_by_key(|write| write.position);
        all
    }
}

/// Every acknowledged write is in the log, where its answer said.
pub(crate) fn assert_kept(log: &[Recorded], acknowledged: &[Acknowledged]) {
    for write in acknowledged {
        let event = usize::try_from(write.position - 1).ok().and_then(|index| log.get(index));
        let event = &event.unwrap_or_else(|| panic!("lost: {write:?}")).event;
        assert_eq!(event.vtid.to_string(), write.vtid, "{write:?}");
        assert_eq!(format!("\"v{}\"", event.version), write.version, "{write:?}");
    }
    let twice = acknowledged.windows(2).find(|pair| pair[0].position == pair[1].position);
    assert!(twice.is_none(), "one event was acknowledged twice: {twice:?}");
}

struct Caller {
    targets: Targets,
    client: Client,
    sent: AtomicU64,
}

impl Caller {
    /// Creates a task, patches it five times, creates the next, and so on.
    async fn run(
        self,
        pause: Duration,
        counted: Arc<AtomicUsize>,
        stop: CancellationToken,
    ) -> Vec<Acknowledged> {
        let (mut acknowledged, mut task): (Vec<Acknowledged>, Option<(String, u64)>) = (Vec::new(), None);
        let mut ticks = interval(pause);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !stop.is_cancelled() {
            ticks.tick().await;
            let written = match &mut task {
                Some((vtid, left)) if *left > 0 => {
                    *left -= 1;
                    let status = ["active", "blocked", "pending"][usize::try_from(*left % 3).unwrap()];
                    let body = format!(r#"{{"status":"{status}","metadata":{{"left":{left}}}}}"#);
                    self.send(Method::PATCH, &format!("/vtid/{vtid}"), body).await
                }
                _ => {
                    let created = self.send(Method::POST, "/vtid/create", some_task("under load")).await;
                    task = created.as_ref().map(|write| (write.vtid.clone(), 5));
                    created
                }
            };
            counted.fetch_add(usize::from(written.is_some()), Ordering::Relaxed);
            acknowledged.extend(written);
        }
        acknowledged
    }

    /// None where nobody knows what became of it: no answer, or 503.
    async fn send(&self, method: Method, path: &str, body: String) -> Option<Acknowledged> {
        let base = {
            let targets = self.targets.lock().unwrap();
            let turn = self.sent.fetch_add(1, Ordering::Relaxed);
            let count = targets.len().max(1);
            targets.get(usize::try_from(turn).unwrap() % count)?.clone()
        };
        let request = self.client.request(method, format!("{base}{path}"));
        let request = request.header("content-type", "application/json").body(body);
        let response = request.send().await.ok()?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.ok()?;
        if status == StatusCode::SERVICE_UNAVAILABLE {
            return None;
        }
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        let body: Value = serde_json::from_str(&text).unwrap();
        let header = |name: &str| headers[name].to_str().unwrap().to_owned();
        Some(Acknowledged {
            position: header("ledger-position").parse().unwrap(),
            vtid: body["vtid"].as_str().unwrap().to_owned(),
            version: header("etag"),
        })
    }
}
