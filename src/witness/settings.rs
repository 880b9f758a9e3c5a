//! Which witnesses a ledger asks: `WITNESS_URLS`.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

use crate::tlog::key::{KeyKind, KeyName, PublicKey};

/// Each adds a line to every checkpoint; signed notes are to be read with 16 at least.
const WITNESSES_MAX: usize = 16;

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
    /// One of the list is none. The text is not repeated: it may hold a password.
    #[error(
        "witness {0} of the list must be an address and its verifier key: https://witness.example.org=NAME+ID+KEY"
    )]
    Form(usize),
    /// More than anybody needs.
    #[error("{WITNESSES_MAX} witnesses at most")]
    TooMany,
    /// A log's.
    #[error("the key of {0} is a log's, not a witness's")]
    Kind(KeyName),
}

impl WitnessAddress {
    /// Reads `URL=KEY`, the URL being the prefix of `/add-checkpoint`; `number` is its place in the list.
    ///
    /// # Errors
    /// [`MalformedWitness`]
    pub fn parse(text: &str, number: usize) -> Result<Self, MalformedWitness> {
        // Either may have a `=` inside; what is a key is sure, by its id.
        let mut parts = text.match_indices('=').map(|(at, _)| (&text[..at], &text[at + 1..]));
        let known = parts.find_map(|(url, key)| Some((url, PublicKey::parse(key).ok()?)));
        let form = MalformedWitness::Form(number);
        let Some((url, key)) = known else { return Err(form) };
        let Ok(url) = Url::parse(&format!("{}/add-checkpoint", url.trim_end_matches('/'))) else {
            return Err(form);
        };
        if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
            return Err(form);
        }
        if key.kind() != KeyKind::Witness {
            return Err(MalformedWitness::Kind(key.name().clone()));
        }
        Ok(Self { url, key })
    }

    /// Whether what it answers can be changed on the way: it is another machine, asked without TLS.
    #[must_use]
    pub fn is_in_the_open(&self) -> bool {
        let host = self.url.host_str().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let is_here = host == "localhost" || bare.parse().is_ok_and(|address: IpAddr| address.is_loopback());
        self.url.scheme() == "http" && !is_here
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
    let listed = text.split(',').map(str::trim).filter(|one| !one.is_empty());
    let parsed: Vec<_> =
        listed.zip(1..).map(|(one, number)| WitnessAddress::parse(one, number)).collect::<Result<_, _>>()?;
    if parsed.len() > WITNESSES_MAX { Err(MalformedWitness::TooMany) } else { Ok(parsed) }
}
