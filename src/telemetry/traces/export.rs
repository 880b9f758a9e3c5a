//! The way to the collector: this program's own HTTP client, on its own runtime.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use bytes::Bytes;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;

use crate::fetch;

/// A collector that can't be reached is told of so often at most.
const TOLD_EVERY: Duration = Duration::from_mins(1);
/// Bytes of an answer that are looked at; a collector says little.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Sends batches, and tells of those that were not taken. The SDK's thread waits for it, nobody else.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    runtime: Handle,
    failures: Mutex<Failures>,
}

impl Client {
    pub(super) fn new(timeout: Duration) -> Result<Self, reqwest::Error> {
        let http = fetch::client().timeout(timeout).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { http, runtime: Handle::current(), failures: Mutex::default() })
    }

    fn note(&self, told: Option<String>) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        match told {
            Some(error) => {
                if let Some(times) = failures.failed(Instant::now()) {
                    tracing::warn!(%error, times, "the collector of traces does not take them; some are lost");
                }
            }
            None if failures.ended() => tracing::info!("the collector of traces takes them again"),
            None => {}
        }
    }
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        // The SDK's thread is none of the runtime's.
        let sent = self.runtime.spawn(send(self.http.clone(), request)).await;
        let sent = sent.map_err(HttpError::from).and_then(|sent| sent.map_err(HttpError::from));
        self.note(match &sent {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("it answered {}", response.status())),
            Err(error) => Some(fault(error.as_ref())),
        });
        sent
    }
}

async fn send(client: reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, reqwest::Error> {
    // Its address may hold a secret.
    let request = reqwest::Request::try_from(request).map_err(reqwest::Error::without_url)?;
    let mut response = client.execute(request).await.map_err(reqwest::Error::without_url)?;
    let mut body = Vec::new();
    while body.len() < ANSWER_BYTES_MAX
        && let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)?
    {
        body.extend_from_slice(&chunk);
    }
    let mut answer = Response::new(Bytes::from(body));
    *answer.status_mut() = response.status();
    *answer.headers_mut() = std::mem::take(response.headers_mut());
    Ok(answer)
}

/// An error with its causes.
fn fault(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// How often it failed since that was last told.
#[derive(Debug, Default)]
struct Failures {
    times: u64,
    told: Option<Instant>,
}

impl Failures {
    /// How many failures there were since the last telling, if it is time to tell.
    fn failed(&mut self, now: Instant) -> Option<u64> {
        self.times += 1;
        if self.told.is_some_and(|told| now.duration_since(told) < TOLD_EVERY) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.times))
    }

    /// Whether there had been any.
    fn ended(&mut self) -> bool {
        self.times = 0;
        self.told.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_once_a_minute_and_so_is_their_end() {
        let mut failures = Failures::default();
        let start = Instant::now();
        assert!(!failures.ended());
        assert_eq!(failures.failed(start), Some(1));
        for second in 1..60 {
            assert_eq!(failures.failed(start + Duration::from_secs(second)), None);
        }
        assert_eq!(failures.failed(start + TOLD_EVERY), Some(60));
        assert_eq!(failures.failed(start + TOLD_EVERY), None);
        assert!(failures.ended());
        assert!(!failures.ended());
    }
}
