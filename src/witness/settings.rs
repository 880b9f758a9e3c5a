//! Which witnesses a ledger asks: `WITNESS_URLS`.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;

use crate::tlog::key::{KeyKind, KeyName, PublicKey};

/// Where a witness is, and the key that its signatures are held to.
#[derive(Clone, PartialEq, Eq)]
pub struct WitnessAddress {
    /// Where `add-checkpoint` is posted to.
    pub url: Url,
    /// Whose signature counts.
    pub key: PublicKey,
}

/// Why a text names no witness.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedWitness {
    /// Not a URL.
    #[error(
        "{0:?} must be the witness's address and its verifier key: https://witness.example.org=NAME+ID+KEY"
    )]
    Form(String),
    /// A log's.
    #[error("the key of {0} is a log's, not a witness's")]
    Kind(KeyName),
}

impl FromStr for WitnessAddress {
    type Err = MalformedWitness;

    /// Reads `URL=KEY`, the URL being the prefix of `/add-checkpoint`.
    fn from_str(text: &str) -> Result<Self, MalformedWitness> {
        // Either may have a `=` inside; what is a key is sure, by its id.
        let mut parts = text.match_indices('=').map(|(at, _)| (&text[..at], &text[at + 1..]));
        let known = parts.find_map(|(url, key)| Some((url, PublicKey::parse(key).ok()?)));
        let form = || MalformedWitness::Form(text.to_owned());
        let (url, key) = known.ok_or_else(form)?;
        let url = Url::parse(&format!("{}/add-checkpoint", url.trim_end_matches('/'))).map_err(|_| form())?;
        if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
            return Err(form());
        }
        if key.kind() != KeyKind::Witness {
            return Err(MalformedWitness::Kind(key.name().clone()));
        }
        Ok(Self { url, key })
    }
}

/// The address may hold a password.
impl fmt::Debug for WitnessAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the witness {}", self.key)
    }
}

/// Reads a list with commas between.
///
/// # Errors
/// [`MalformedWitness`]
pub fn parse_list(text: &str) -> Result<Vec<WitnessAddress>, MalformedWitness> {
    text.split(',').map(str::trim).filter(|one| !one.is_empty()).map(str::parse).collect()
}
