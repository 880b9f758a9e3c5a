//! Keys from the network: fetched, kept, and fetched again when a token names one that is not there.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jsonwebtoken::Algorithm;
use reqwest::Url;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::keys::{Key, KeySet, KeySetError};
use crate::fetch;

/// How long one fetch may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes that a set may have.
const SET_BYTES_MAX: usize = 256 * 1024;
/// How old a set gets before it is fetched again: a key that was withdrawn is of no use after that.
const REFRESH: Duration = Duration::from_mins(10);
/// A token with an unknown key has the set fetched again only after so long: whoever makes up key names must not make
/// this process knock at the issuer's door.
const UNKNOWN_KEY_PAUSE: Duration = Duration::from_mins(1);
/// The pause after a fetch that failed, while there is no set at all.
const RETRY: Duration = Duration::from_secs(5);
/// How long a request waits for a set to be fetched.
const PATIENCE: Duration = Duration::from_secs(5);

/// The keys at an address. The last good set is kept when the address is away.
pub struct Jwks {
    known: watch::Receiver<Known>,
    wanted: Arc<Notify>,
}

/// Where it is told whether the keys are current.
#[derive(Clone)]
pub struct Watch(watch::Receiver<Known>);

/// What is known of the keys.
#[derive(Default)]
struct Known {
    keys: Option<KeySet>,
    /// What the keys were read from.
    body: Bytes,
    /// Counts the sets that differed.
    generation: u64,
    /// Counts fetches, failed ones too.
    attempts: u64,
    attempted: Option<Instant>,
    /// Why the last fetch failed.
    error: Option<String>,
}

/// What a look for a key gave.
pub enum Lookup {
    /// The key.
    Found(Key),
    /// No such key, as far as is known.
    Unknown,
    /// No set was ever fetched.
    Away,
}

/// Why a fetch failed.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("{0}")]
    Http(#[from] reqwest::Error),
    #[error("the answer was {0}")]
    Status(reqwest::StatusCode),
    #[error("the answer has more than {SET_BYTES_MAX} bytes")]
    TooLarge,
    #[error(transparent)]
    Set(#[from] KeySetError),
}

impl Jwks {
    /// Begins to fetch, until `stop` is cancelled.
    ///
    /// # Errors
    /// Of the HTTP client: the machine has no certificates, say.
    pub fn start(url: Url, stop: CancellationToken) -> Result<Self, reqwest::Error> {
        let client =
            fetch::client().timeout(FETCH_TIMEOUT).redirect(reqwest::redirect::Policy::limited(3)).build()?;
        let (told, known) = watch::channel(Known::default());
        let wanted = Arc::new(Notify::new());
        let keeping = keep_current(client, url, told, Arc::clone(&wanted));
        tokio::spawn(async move { stop.run_until_cancelled(keeping).await });
        Ok(Self { known, wanted })
    }

    /// Changes whenever the keys do.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.known.borrow().generation
    }

    /// Where it is told whether the keys are current.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch(self.known.clone())
    }

    /// Looks for a key. Where it is not in the set, the set is fetched again, once a minute at most.
    pub async fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Lookup {
        let seen = {
            let known = self.known.borrow();
            match known.look(id, algorithm) {
                Lookup::Unknown if known.may_be_fetched_again() => Some(known.attempts),
                Lookup::Away => None,
                answer => return answer,
            }
        };
        let mut known = self.known.clone();
        if seen.is_some() {
            self.wanted.notify_one();
        }
        let news = known.wait_for(|known| match seen {
            Some(attempts) => known.attempts > attempts,
            None => known.keys.is_some(),
        });
        // An error: the fetching has ended, with the process. Out of time: what is known has to do.
        let _ = tokio::time::timeout(PATIENCE, news).await;
        self.known.borrow().look(id, algorithm)
    }
}

impl Watch {
    /// What is wrong with the keys, if anything is.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let known = self.0.borrow();
        let error = known.error.as_ref()?;
        let kept = if known.keys.is_some() { "the last good set is used" } else { "no token can be checked" };
        Some(format!("keys: {error}; {kept}"))
    }
}

impl Known {
    fn look(&self, id: Option<&str>, algorithm: Algorithm) -> Lookup {
        let Some(keys) = &self.keys else { return Lookup::Away };
        keys.find(id, algorithm).map_or(Lookup::Unknown, |key| Lookup::Found(key.clone()))
    }

    fn may_be_fetched_again(&self) -> bool {
        self.attempted.is_none_or(|attempted| attempted.elapsed() >= UNKNOWN_KEY_PAUSE)
    }

    fn note(&mut self, fetched: Result<(Bytes, KeySet), FetchError>, began: Instant) {
        self.attempts += 1;
        self.attempted = Some(began);
        self.error = match fetched {
            Ok((body, keys)) => {
                if self.body != body {
                    tracing::info!("the set of keys is another than before");
                    self.generation += 1;
                    (self.body, self.keys) = (body, Some(keys));
                }
                None
            }
            Err(error) => {
                tracing::warn!(cause = %error, "the set of keys can't be fetched");
                Some(error.to_string())
            }
        };
    }

    /// How long the set may stay as it is.
    fn pause(&self) -> Duration {
        match (&self.keys, &self.error) {
            (None, _) => RETRY,
            (Some(_), Some(_)) => UNKNOWN_KEY_PAUSE,
            (Some(_), None) => REFRESH,
        }
    }
}

async fn keep_current(client: reqwest::Client, url: Url, told: watch::Sender<Known>, wanted: Arc<Notify>) {
    loop {
        let began = Instant::now();
        let fetched = fetch_set(&client, &url).await;
        told.send_modify(|known| known.note(fetched, began));
        let next = Instant::now() + told.borrow().pause();
        // Wishes that came during the fetch were answered by it.
        while tokio::time::timeout_at(next, wanted.notified()).await.is_ok() {
            if told.borrow().may_be_fetched_again() {
                break;
            }
        }
    }
}

async fn fetch_set(client: &reqwest::Client, url: &Url) -> Result<(Bytes, KeySet), FetchError> {
    let mut response = client.get(url.clone()).header("accept", "application/json").send().await?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(FetchError::Status(response.status()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > SET_BYTES_MAX {
            return Err(FetchError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    let keys = KeySet::parse(&body)?;
    Ok((body.into(), keys))
}
