//! Asking a witness for its signature, as a log.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderValue};

use super::request::{AddCheckpoint, plain_number};
use super::settings::WitnessAddress;
use crate::fetch;
use crate::tlog::Hash;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::key::{KeyName, PublicKey};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 8_192;
/// Characters of a refusal that are told.
const REFUSAL_CHARS: usize = 200;
/// The media type of a size.
const SIZE: &str = "text/x.tlog.size";

/// What a witness added to a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosignature {
    /// Which witness.
    pub witness: KeyName,
    /// The line of the note, with its line feed.
    pub line: String,
}

/// Why there is no signature of a witness.
#[derive(Debug, thiserror::Error)]
pub enum AskError<E> {
    /// The log can't prove what the witness wants to see.
    #[error("the consistency proof: {0}")]
    Proof(E),
    /// No connection, or out of time. Without the address, which may hold a password.
    #[error("no answer: {0}")]
    Http(String),
    /// It refused.
    #[error("it refused, with {status}: {told}")]
    Refused {
        /// The answer's status.
        status: StatusCode,
        /// What it said.
        told: String,
    },
    /// It has signed a larger tree: another process was faster, or the log went back.
    #[error("it has signed a tree of {size} leaves already")]
    Ahead {
        /// How many.
        size: u64,
    },
    /// It has signed another tree of a size which this log has too: the log was rewritten, or shows two pasts.
    #[error("it has signed another tree of {size} leaves: the log was rewritten, or shows two pasts")]
    Fork {
        /// How many.
        size: u64,
    },
    /// An answer of another form, or by another key.
    #[error("its answer bears no signature by the key of {0}")]
    NotSigned(KeyName),
}

/// A witness that can be asked: cheap to clone.
#[derive(Debug, Clone)]
pub struct WitnessClient {
    client: reqwest::Client,
    address: WitnessAddress,
}

/// What one request came to.
enum Asked {
    Signed(Cosignature),
    /// It has signed a tree of this size last.
    At(u64),
    /// It has signed another tree, it does not say of which size: of the one that it was asked to go on from.
    Other {
        /// What it said.
        told: String,
    },
}

impl WitnessClient {
    /// A client of the witness.
    ///
    /// # Errors
    /// The machine has no certificates, say.
    pub fn new(address: WitnessAddress) -> Result<Self, reqwest::Error> {
        let client = fetch::client().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { client, address })
    }

    /// Whose signature counts.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.address.key
    }

    /// Asks for a signature. `old` is the size of the tree that the witness is thought to have signed last, 0 if nothing is
    /// known; if it is another one, the witness says so, and is asked again, once. `prove` gives the proof from a smaller
    /// size to the checkpoint's.
    ///
    /// # Errors
    /// [`AskError`]
    pub async fn add_checkpoint<E>(
        &self,
        checkpoint: &Checkpoint,
        old: u64,
        prove: impl AsyncFn(u64) -> Result<Vec<Hash>, E>,
    ) -> Result<Cosignature, AskError<E>> {
        let mut old = old.min(checkpoint.size);
        let mut asked_again = false;
        loop {
            let is_proof_empty = old == 0 || old == checkpoint.size;
            let proof =
                if is_proof_empty { Vec::new() } else { prove(old).await.map_err(AskError::Proof)? };
            match self.ask(AddCheckpoint { old, proof, checkpoint: checkpoint.clone() }).await? {
                Asked::Signed(cosignature) => return Ok(cosignature),
                Asked::At(size) if size > checkpoint.size => return Err(AskError::Ahead { size }),
                Asked::At(size) if size == old => return Err(AskError::Fork { size }),
                // It signed another one in between: whoever asked for that will ask again.
                Asked::At(size) if asked_again => return Err(AskError::Ahead { size }),
                Asked::At(size) => (old, asked_again) = (size, true),
                Asked::Other { .. } if old == checkpoint.size => return Err(AskError::Fork { size: old }),
                Asked::Other { told } => {
                    return Err(AskError::Refused { status: StatusCode::CONFLICT, told });
                }
            }
        }
    }

    async fn ask<E>(&self, request: AddCheckpoint) -> Result<Asked, AskError<E>> {
        let http = |error| AskError::Http(fetch::told(error));
        let post = self.client.post(self.address.url.clone()).body(request.to_string());
        let response = post.send().await.map_err(http)?;
        let status = response.status();
        let is_size = response.headers().get(CONTENT_TYPE).is_some_and(is_size);
        let body = fetch::limited(response, ANSWER_BYTES_MAX).await.map_err(http)?;
        let text = body.and_then(|body| String::from_utf8(body).ok());
        let not_signed = || AskError::NotSigned(self.address.key.name().clone());
        match status {
            StatusCode::OK => {
                let text = text.ok_or_else(not_signed)?;
                self.find(&request.checkpoint, &text).map(Asked::Signed).ok_or_else(not_signed)
            }
            StatusCode::CONFLICT if is_size => {
                let size = text.as_deref().and_then(|text| plain_number(text.strip_suffix('\n')?));
                size.map(Asked::At).ok_or_else(not_signed)
            }
            status => {
                let told = text.unwrap_or_default().trim().chars().take(REFUSAL_CHARS).collect();
                // The size is told only where it is another one than the request's.
                if status == StatusCode::CONFLICT {
                    return Ok(Asked::Other { told });
                }
                Err(AskError::Refused { status, told })
            }
        }
    }

    /// The line that is by the witness's key; others are nobody's.
    fn find(&self, checkpoint: &Checkpoint, lines: &str) -> Option<Cosignature> {
        let is_by_it = |line: &&str| {
            let note = format!("{}\n{line}", checkpoint.text());
            let signed =
                Checkpoint::parse(note.as_bytes()).and_then(|note| note.signed_by(&[&self.address.key]));
            signed.is_ok_and(|by| !by.is_empty())
        };
        let line = lines.split_inclusive('\n').find(is_by_it)?;
        Some(Cosignature { witness: self.address.key.name().clone(), line: line.to_owned() })
    }
}

/// Whether a content type is a size's, with whatever parameters.
fn is_size(value: &HeaderValue) -> bool {
    let media_type = value.to_str().ok().and_then(|text| text.split(';').next());
    media_type.is_some_and(|text| text.trim().eq_ignore_ascii_case(SIZE))
}
