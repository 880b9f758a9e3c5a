//! A rolling restart under load: callers who try once more, elsewhere, notice nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use reqwest::{Client, Method};
use tokio_util::sync::CancellationToken;

use crate::support::eventually;
use crate::support::service::{platform, some_task};
use crate::support::stream::assert_stream_is_the_log;

const CALLERS: usize = 8;
const ROUNDS: usize = 2;

/// Where the callers find the ledger: a process that is gone stays listed until another has taken its place.
type Addresses = Arc<Mutex<Vec<String>>>;

struct Caller {
    number: usize,
    addresses: Addresses,
    client: Client,
    written: Arc<AtomicUsize>,
    /// Requests that went well at the second try.
    again: usize,
    /// Requests that did not.
    failed: Vec<String>,
}

impl Caller {
    async fn run(mut self, stop: CancellationToken) -> Self {
        for n in 0.. {
            if stop.is_cancelled() {
                break;
            }
            let key = format!("rolling-{}-{n}", self.number);
            let created = self.ask(n, Method::POST, "/vtid/create", &key, 0).await;
            let Some((vtid, position)) = created else { continue };
            self.written.fetch_add(1, Ordering::Relaxed);
            // From another one than wrote it.
            self.ask(n + 1, Method::GET, &format!("/vtid/{vtid}"), &key, position).await;
        }
        self
    }

    /// Once, and once more at the next address.
    async fn ask(
        &mut self,
        at: usize,
        method: Method,
        path: &str,
        key: &str,
        seen: u64,
    ) -> Option<(String, u64)> {
        let mut told = Vec::new();
        for attempt in 0..2 {
            match self.send(at + attempt, method.clone(), path, key, seen).await {
                Ok(answer) => {
                    self.again += attempt;
                    return Some(answer);
                }
                Err(error) => told.push(error),
            }
        }
        self.failed.push(format!("{method} {path} {key}: {told:?}"));
        None
    }

    async fn send(
        &self,
        at: usize,
        method: Method,
        path: &str,
        key: &str,
        seen: u64,
    ) -> Result<(String, u64), String> {
        let base = {
            let addresses = self.addresses.lock().unwrap();
            addresses[(self.number + at) % addresses.len()].clone()
        };
        let mut request = self.client.request(method.clone(), format!("{base}{path}"));
        if method == Method::POST {
            request = request.header("idempotency-key", key).header("content-type", "application/json");
            request = request.body(some_task(key));
        } else {
            request = request.header("ledger-min-position", seen);
        }
        let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = answer.text().await.map_err(|error| format!("{error:?}"))?;
        if status != 200 {
            return Err(format!("{status}: {text}"));
        }
        let body: serde_json::Value = serde_json::from_str(&text).unwrap();
        let position = headers["ledger-position"].to_str().unwrap().parse().unwrap();
        Ok((body["data"]["vtid"].as_str().unwrap().to_owned(), position))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_is_not_noticed_by_callers_who_try_once_more() {
    let platform = platform().await;
    let mut services = Vec::new();
    for _ in 0..3 {
        services.push(platform.serve().await);
    }
    let addresses: Addresses =
        Arc::new(Mutex::new(services.iter().map(|service| service.base().to_owned()).collect()));
    let (stop, written) = (CancellationToken::new(), Arc::<AtomicUsize>::default());
    let further = async |count: usize| {
        let goal = written.load(Ordering::Relaxed) + count;
        let reached = || (written.load(Ordering::Relaxed) >= goal).then_some(());
        eventually(&format!("{count} further writes"), async || reached()).await;
    };
    let callers: Vec<_> = (0..CALLERS)
        .map(|number| {
            let client =
                vtid_ledger::fetch::client().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
            let caller = Caller {
                number,
                addresses: Arc::clone(&addresses),
                client,
                written: Arc::clone(&written),
                again: 0,
                failed: Vec::new(),
            };
            tokio::spawn(caller.run(stop.clone()))
        })
        .collect();
    for index in (0..3).cycle().take(3 * ROUNDS) {
        further(40).await;
        services[index].terminate();
        assert!(services[index].ended().await.success());
        // While it is away.
        further(40).await;
        services[index] = platform.serve().await;
        addresses.lock().unwrap()[index] = services[index].base().to_owned();
    }
    further(40).await;
    stop.cancel();
    let callers = join_all(callers).await.into_iter().map(Result::unwrap);
    let (again, failed) = callers.fold((0, Vec::new()), |(again, mut failed), caller| {
        failed.extend(caller.failed);
        (again + caller.again, failed)
    });
    assert!(failed.is_empty(), "{failed:#?}");
    // Else nobody would have met one that was away.
    assert!(again > 0);
    let written = written.load(Ordering::Relaxed);
    println!("{written} writes and as many reads, {again} of them at the second try");
    assert_eq!(assert_stream_is_the_log(platform.database.url(), &platform.nats.url()).await.len(), written);
}
