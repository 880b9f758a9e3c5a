//! Keys from the network: fetched, kept, and fetched again when a token names one that is not there.

mod fetch;
mod known;

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::Algorithm;
use reqwest::Url;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::keys::Key;
use known::{Known, Look};

/// How long a request waits for a set to be fetched.
const PATIENCE: Duration = Duration::from_secs(5);
/// Requests that wait at a time: whoever makes up key names must not fill the process with them.
const WAITING_MAX: usize = 64;

/// The keys at an address. The last good set is kept while the address is away.
pub struct Jwks {
    known: watch::Receiver<Known>,
    wanted: Arc<Notify>,
    waiting: Semaphore,
}

/// Where it is told whether the keys are current.
#[derive(Clone)]
pub struct Watch(watch::Receiver<Known>);

/// What a look for a key gave.
pub enum Lookup {
    /// The key.
    Found(Key),
    /// There is no such key.
    Unknown,
    /// It can't be said whether there is: the address is away.
    Away,
}

/// Whether a caller may be kept waiting for keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Some seconds.
    Some,
    /// Not at all.
    None,
}

impl Jwks {
    /// Begins to fetch, until `stop` is cancelled; the task ends by itself only by a bug.
    ///
    /// # Errors
    /// Of the HTTP client: the machine has no certificates, say.
    pub fn start(url: Url, stop: CancellationToken) -> Result<(Self, JoinHandle<()>), reqwest::Error> {
        let client = fetch::client(&url)?;
        let (told, known) = watch::channel(Known::default());
        let wanted = Arc::new(Notify::new());
        let keeping = keep_current(client, url, told, Arc::clone(&wanted));
        let task = tokio::spawn(async move {
            stop.run_until_cancelled(keeping).await;
        });
        Ok((Self { known, wanted, waiting: Semaphore::new(WAITING_MAX) }, task))
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
    pub async fn find(&self, id: Option<&str>, algorithm: Algorithm, patience: Patience) -> Lookup {
        let look = self.known.borrow().look(id, algorithm, Instant::now());
        let Look::Wait { attempts, ask } = look else { return lookup(look) };
        let Some(_waiting) = self.waiting.try_acquire().ok().filter(|_| patience == Patience::Some) else {
            return lookup(self.known.borrow().settle());
        };
        if ask {
            self.wanted.notify_one();
        }
        let mut known = self.known.clone();
        let news = known.wait_for(|known| known.attempts > attempts);
        // An error: the fetching has ended, with the process. Out of time: nothing more is known than before.
        let came = tokio::time::timeout(PATIENCE, news).await.is_ok_and(|news| news.is_ok());
        let known = self.known.borrow();
        match known.look(id, algorithm, Instant::now()) {
            Look::Wait { .. } if came => lookup(known.settle()),
            Look::Wait { .. } => Lookup::Away,
            look => lookup(look),
        }
    }
}

fn lookup(look: Look) -> Lookup {
    match look {
        Look::Found(key) => Lookup::Found(key),
        Look::Unknown => Lookup::Unknown,
        Look::Unsure | Look::Wait { .. } => Lookup::Away,
    }
}

impl Watch {
    /// What is wrong with the keys, if anything is.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.0.borrow().told()
    }
}

async fn keep_current(client: reqwest::Client, url: Url, told: watch::Sender<Known>, wanted: Arc<Notify>) {
    loop {
        let began = Instant::now();
        let fetched = fetch::fetch(&client, &url).await;
        if let Err(error) = &fetched {
            tracing::warn!(cause = %error, "the keys can't be fetched");
        }
        told.send_modify(|known| known.note(fetched, began));
        let next = Instant::now() + told.borrow().pause();
        // Wishes that came during the fetch were answered by it.
        while tokio::time::timeout_at(next, wanted.notified()).await.is_ok() {
            if told.borrow().may_be_fetched_again(Instant::now()) {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests;
