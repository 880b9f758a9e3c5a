//! A witness at work: what it has seen of each log, and its key.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::decide::{Refused, Seen, decide};
use super::request::AddCheckpoint;
use super::store::{Store, StoreError};
use crate::clock::Clock;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::key::{KeyKind, KeyName, PublicKey, SecretKey};

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// It refuses.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// What it saw can't be kept, so that it must not sign.
    #[error("what was seen can't be kept: {0}")]
    Disk(#[from] io::Error),
}

/// Why a witness can't work.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// The key is a log's.
    #[error("the key of {0} is a log's: a witness needs one of its own kind")]
    NotAWitness(KeyName),
    /// A log's key is a witness's.
    #[error("the key of {0} is a witness's, not a log's")]
    NotALog(KeyName),
    /// What it saw can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

struct Log {
    keys: Vec<PublicKey>,
    /// Held from the look at it until the new one is on disk.
    seen: Mutex<Seen>,
}

/// A witness of some logs.
pub struct Witness {
    key: SecretKey,
    logs: BTreeMap<String, Log>,
    store: Store,
    clock: Clock,
}

impl Witness {
    /// A witness of the logs that have one of `keys`, whose names are their origins.
    ///
    /// # Errors
    /// [`WitnessError`]
    pub fn open(
        key: SecretKey,
        keys: Vec<PublicKey>,
        store: Store,
        clock: Clock,
    ) -> Result<Self, WitnessError> {
        if key.public().kind() != KeyKind::Witness {
            return Err(WitnessError::NotAWitness(key.public().name().clone()));
        }
        let mut by_origin: BTreeMap<String, Vec<PublicKey>> = BTreeMap::new();
        for key in keys {
            if key.kind() != KeyKind::Log {
                return Err(WitnessError::NotALog(key.name().clone()));
            }
            by_origin.entry(key.name().to_string()).or_default().push(key);
        }
        let open = |(origin, keys): (String, Vec<PublicKey>)| {
            let kept = store.load(&origin)?;
            let seen = kept.map(|Checkpoint { size, root, .. }| Seen { size, root }).unwrap_or_default();
            Ok((origin, Log { keys, seen: Mutex::new(seen) }))
        };
        let logs = by_origin.into_iter().map(open).collect::<Result<_, StoreError>>()?;
        Ok(Self { key, logs, store, clock })
    }

    /// What verifies its signatures.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        self.key.public()
    }

    /// Looks at a request, keeps what it has seen, and signs: lines of a signed note. Blocks on the disk, and is never to be
    /// broken off in between.
    ///
    /// # Errors
    /// [`AddError`]: nothing is signed.
    pub fn add_checkpoint(&self, body: &[u8]) -> Result<String, AddError> {
        let request = AddCheckpoint::parse(body).map_err(Refused::from)?;
        let checkpoint = &request.checkpoint;
        let log = self.logs.get(&checkpoint.origin).ok_or(Refused::UnknownLog)?;
        // It is set last, by one assignment: a panic leaves it right.
        let mut seen = log.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let new = decide(&log.keys, *seen, &request)?;
        if new != *seen {
            self.store.keep(checkpoint)?;
            *seen = new;
        }
        Ok(self.sign(checkpoint))
    }

    fn sign(&self, checkpoint: &Checkpoint) -> String {
        let seconds = u64::try_from(self.clock.now().millis() / 1000).unwrap_or(0);
        let (public, text) = (self.key.public(), checkpoint.text());
        let id = signed_note::Verifier::key_id(public).to_be_bytes();
        let signature = [id.as_slice(), &self.key.sign_at(text.as_bytes(), seconds)].concat();
        format!("— {} {}\n", public.name(), STANDARD.encode(signature))
    }
}
