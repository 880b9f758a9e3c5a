//! What is known of the keys, and what follows from it. Pure: the time comes with each question.

use std::time::Duration;

use bytes::Bytes;
use jsonwebtoken::Algorithm;
use tokio::time::Instant;

use super::fetch::FetchError;
use crate::auth::keys::{Key, KeySet, KeySetError};

/// How old a set gets before it is fetched again: a key that was withdrawn is of no use after that.
const REFRESH: Duration = Duration::from_mins(10);
/// A token with an unknown key has the set fetched again only after so long: whoever makes up key names must not make
/// this process knock at the issuer's door.
const UNKNOWN_KEY_PAUSE: Duration = Duration::from_mins(1);
/// The pause after a fetch that failed, while there is no set at all.
const RETRY: Duration = Duration::from_secs(5);

/// What is known of the keys.
#[derive(Default)]
pub(super) struct Known {
    keys: Option<KeySet>,
    /// What the keys were read from.
    body: Bytes,
    /// Counts the sets that differed.
    pub(super) generation: u64,
    /// Counts fetches, failed ones too.
    pub(super) attempts: u64,
    /// When the last one began.
    attempted: Option<Instant>,
    /// Why it failed.
    error: Option<Trouble>,
}

/// Why the keys may not be current, in words for everybody who may ask; the log has more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Trouble {
    #[error("their address does not answer")]
    NoAnswer,
    #[error("the answer was {0}")]
    Status(u16),
    #[error(transparent)]
    Set(#[from] KeySetError),
}

/// What is to be done about a token's key.
#[derive(Debug, Clone)]
pub(super) enum Look {
    /// Check the token with it.
    Found(Key),
    /// There is no such key.
    Unknown,
    /// It can't be said whether there is such a key.
    Unsure,
    /// Wait until there was one more fetch than so many; have it begin, if none is under way that began with the process.
    Wait {
        /// How many there were.
        attempts: u64,
        /// Whether somebody has to ask for it.
        ask: bool,
    },
}

impl Known {
    /// Looks for the key of this name.
    pub(super) fn look(&self, id: Option<&str>, algorithm: Algorithm, now: Instant) -> Look {
        if let Some(key) = self.keys.as_ref().and_then(|keys| keys.find(id, algorithm)) {
            return Look::Found(key.clone());
        }
        if self.attempts == 0 {
            return Look::Wait { attempts: 0, ask: false };
        }
        if self.keys.is_some() && self.may_be_fetched_again(now) {
            return Look::Wait { attempts: self.attempts, ask: true };
        }
        self.settle()
    }

    /// The answer for a key that was not found, once there is nothing to wait for.
    pub(super) fn settle(&self) -> Look {
        // A set that could not be fetched again may lack the newest key.
        if self.keys.is_none() || self.error.is_some() { Look::Unsure } else { Look::Unknown }
    }

    /// Whether an unknown key is reason enough.
    pub(super) fn may_be_fetched_again(&self, now: Instant) -> bool {
        self.attempted.is_none_or(|attempted| now.duration_since(attempted) >= UNKNOWN_KEY_PAUSE)
    }

    /// Takes in what came of a fetch. Whatever the address says of its keys is the truth, that it has none included; a
    /// last good set is kept only while it says nothing that could be understood.
    pub(super) fn note(&mut self, fetched: Result<Bytes, FetchError>, began: Instant) {
        self.attempts += 1;
        self.attempted = Some(began);
        let read = fetched.map_err(|error| trouble(&error)).and_then(|body| {
            let keys = KeySet::parse(&body)?;
            Ok((body, keys))
        });
        self.error = match read {
            Ok((body, keys)) => {
                if self.keys.is_none() || self.body != body {
                    self.generation += 1;
                    (self.body, self.keys) = (body, Some(keys));
                }
                None
            }
            Err(trouble) => {
                tracing::warn!(cause = %trouble, "the keys are not current");
                Some(trouble)
            }
        };
    }

    /// How long the set may stay as it is.
    pub(super) fn pause(&self) -> Duration {
        match (&self.keys, &self.error) {
            (None, _) => RETRY,
            (Some(_), Some(_)) => UNKNOWN_KEY_PAUSE,
            (Some(_), None) => REFRESH,
        }
    }

    /// What is wrong, if anything is.
    pub(super) fn told(&self) -> Option<String> {
        match (&self.keys, &self.error) {
            (None, Some(error)) => Some(format!("keys: {error}; no token can be checked with them")),
            (Some(_), Some(error)) => Some(format!("keys: {error}; the last good set is used")),
            (Some(keys), None) if keys.is_empty() => {
                Some("keys: there is none for ES256 or RS256".to_owned())
            }
            _ => None,
        }
    }
}

fn trouble(error: &FetchError) -> Trouble {
    match error {
        FetchError::Status(status) => Trouble::Status(status.as_u16()),
        FetchError::Http(_) | FetchError::TooLarge => Trouble::NoAnswer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    /// A set of these keys: of a valid form, which is all that is looked at here.
    fn set(ids: &[&str]) -> Bytes {
        let coordinate = "A".repeat(43);
        let key = |id| {
            format!(r#"{{"kty":"EC","crv":"P-256","kid":"{id}","x":"{coordinate}","y":"{coordinate}"}}"#)
        };
        let keys: Vec<String> = ids.iter().map(key).collect();
        format!(r#"{{"keys":[{}]}}"#, keys.join(",")).into()
    }

    fn away() -> Result<Bytes, FetchError> {
        Err(FetchError::Status(reqwest::StatusCode::BAD_GATEWAY))
    }

    fn look(known: &Known, id: &str, now: Instant) -> &'static str {
        match known.look(Some(id), Algorithm::ES256, now) {
            Look::Found(_) => "found",
            Look::Unknown => "unknown",
            Look::Unsure => "unsure",
            Look::Wait { ask: true, .. } => "ask and wait",
            Look::Wait { ask: false, .. } => "wait",
        }
    }

    #[test]
    fn an_unknown_key_is_reason_for_one_fetch_a_minute() {
        let began = Instant::now();
        let mut known = Known::default();
        assert_eq!(look(&known, "a", began), "wait", "for the first fetch, which is under way");
        known.note(Ok(set(&["a"])), began);
        assert_eq!(look(&known, "a", began), "found");
        assert_eq!(look(&known, "b", began + MINUTE - Duration::from_millis(1)), "unknown");
        assert_eq!(look(&known, "b", began + MINUTE), "ask and wait");
        known.note(Ok(set(&["a", "b"])), began + MINUTE);
        assert_eq!(look(&known, "b", began + MINUTE), "found");
        assert_eq!(look(&known, "c", began + MINUTE + MINUTE / 2), "unknown");
        assert_eq!(look(&known, "c", began + 2 * MINUTE), "ask and wait");
    }

    #[test]
    fn the_last_good_set_is_kept_while_the_address_is_away() {
        let began = Instant::now();
        let mut known = Known::default();
        known.note(Ok(set(&["a"])), began);
        let generation = known.generation;
        for bad in [away(), Ok("<html>".into()), Ok(r#"{"keys":5}"#.into())] {
            known.note(bad, began);
            assert_eq!(look(&known, "a", began), "found");
            assert_eq!(look(&known, "b", began), "unsure", "it may be new");
            assert!(known.told().unwrap().contains("the last good set is used"));
            assert_eq!((known.generation, known.pause()), (generation, MINUTE));
        }
        known.note(Ok(set(&["a"])), began);
        assert_eq!((known.told(), known.generation), (None, generation), "the same set as before");
    }

    #[test]
    fn a_withdrawn_key_is_gone_the_last_one_too() {
        let began = Instant::now();
        let mut known = Known::default();
        known.note(Ok(set(&["a", "b"])), began);
        let before = known.generation;
        known.note(Ok(set(&["b"])), began);
        assert_eq!((look(&known, "a", began), look(&known, "b", began)), ("unknown", "found"));
        assert_eq!(known.generation, before + 1, "remembered tokens are looked at again");
        known.note(Ok(set(&[])), began);
        assert_eq!(look(&known, "b", began), "unknown");
        assert_eq!(known.generation, before + 2);
        assert_eq!(known.told().as_deref(), Some("keys: there is none for ES256 or RS256"));
        assert_eq!(known.pause(), REFRESH);
    }

    #[test]
    fn without_any_set_nobody_waits_but_for_the_first_fetch() {
        let began = Instant::now();
        let mut known = Known::default();
        known.note(away(), began);
        assert_eq!(look(&known, "a", began + 10 * MINUTE), "unsure");
        assert_eq!(known.pause(), RETRY);
        assert_eq!(
            known.told().as_deref(),
            Some("keys: the answer was 502; no token can be checked with them")
        );
    }
}
