//! Who calls: tokens, the keys that they are checked with, and what their claims say.
//!
//! [`settings`] says how callers are told apart; [`keys`], [`claims`] and [`verify`] are pure; [`jwks`] keeps a set
//! of keys from the network current; [`Auth`] puts them together. What a caller may do once it is known stands in
//! [`crate::domain::origin`] and [`crate::domain::decide`].

pub mod claims;
pub mod jwks;
pub mod keys;
pub mod settings;
#[cfg(test)]
mod tests;
pub mod token;
pub mod verify;

use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey};
use quick_cache::sync::Cache;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::domain::origin::Actor;
use claims::Caller;
use jwks::{Jwks, Lookup, Patience};
use settings::AuthSettings;
use verify::{Expectations, LEEWAY_SECONDS, TokenFault, Verified};

/// Bytes that a token may have.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Checked tokens that are remembered, so that a signature is not checked anew with each request.
const REMEMBERED_MAX: usize = 2_048;

/// How this process tells its callers apart.
pub struct Auth(Mode);

enum Mode {
    /// It does not: everybody is `anonymous`, with every right.
    Open(Caller),
    /// By their tokens.
    Tokens(Box<Tokens>),
}

struct Tokens {
    clock: Clock,
    expectations: Expectations,
    /// For HS256.
    secret: Option<DecodingKey>,
    /// For ES256 and RS256.
    public: Option<Jwks>,
    remembered: Cache<Box<str>, Remembered>,
}

/// What a token was found to say, by the keys of one generation.
#[derive(Clone)]
struct Remembered {
    verified: Arc<Verified>,
    generation: u64,
}

/// Why it is not known who calls.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The caller must bring another token.
    #[error(transparent)]
    Token(#[from] TokenFault),
    /// The token's key is not known, and the keys can't be fetched to see whether it is new; try again.
    #[error("the keys that tokens are checked with can't be fetched; try again")]
    KeysAway,
}

impl Auth {
    /// A ledger that asks for no token.
    #[must_use]
    pub fn open() -> Self {
        Self(Mode::Open(Caller::Actor(Actor::anonymous())))
    }

    /// What `settings` ask for, and the task that keeps keys from the network current until `stop` is cancelled, if
    /// there are any.
    ///
    /// # Errors
    /// Of the HTTP client that fetches keys.
    pub fn start(
        settings: AuthSettings,
        clock: Clock,
        stop: CancellationToken,
    ) -> Result<(Self, Option<JoinHandle<()>>), reqwest::Error> {
        let AuthSettings::Tokens { secret, jwks_url, expectations } = settings else {
            return Ok((Self::open(), None));
        };
        let (public, keeping) = jwks_url.map(|url| Jwks::start(url, stop)).transpose()?.unzip();
        let tokens = Tokens {
            clock,
            expectations,
            secret: secret.map(|secret| DecodingKey::from_secret(secret.bytes())),
            public,
            remembered: Cache::new(REMEMBERED_MAX),
        };
        Ok((Self(Mode::Tokens(Box::new(tokens))), keeping))
    }

    /// Whether callers must bring a token.
    #[must_use]
    pub fn asks_for_tokens(&self) -> bool {
        matches!(self.0, Mode::Tokens(_))
    }

    /// Where the state of the fetched keys is told; none if no keys are fetched.
    #[must_use]
    pub fn keys(&self) -> Option<jwks::Watch> {
        match &self.0 {
            Mode::Tokens(tokens) => tokens.public.as_ref().map(Jwks::watch),
            Mode::Open(_) => None,
        }
    }

    /// Who calls with this bearer token; in open mode nobody looks at it.
    ///
    /// # Errors
    /// [`AuthError`]. May wait some seconds for keys to be fetched, if there is patience for it.
    pub async fn caller(
        &self,
        token: Result<&str, TokenFault>,
        patience: Patience,
    ) -> Result<Caller, AuthError> {
        match &self.0 {
            Mode::Open(anonymous) => Ok(anonymous.clone()),
            Mode::Tokens(tokens) => tokens.caller(token?, patience).await,
        }
    }
}

impl Tokens {
    async fn caller(&self, token: &str, patience: Patience) -> Result<Caller, AuthError> {
        let generation = self.public.as_ref().map_or(0, Jwks::generation);
        if let Some(known) = self.remembered.get(token)
            && known.generation == generation
        {
            self.still_valid(&known.verified)?;
            return Ok(known.verified.caller.clone());
        }
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenFault::TooLong.into());
        }
        let verified = Arc::new(self.check(token, patience).await?);
        self.still_valid(&verified)?;
        let caller = verified.caller.clone();
        self.remembered.insert(token.into(), Remembered { verified, generation });
        Ok(caller)
    }

    async fn check(&self, token: &str, patience: Patience) -> Result<Verified, AuthError> {
        let header = verify::header(token)?;
        match (header.algorithm, &self.secret, &self.public) {
            (Algorithm::HS256, Some(secret), _) => {
                Ok(verify::verify(token, Algorithm::HS256, secret, &self.expectations)?)
            }
            (Algorithm::ES256 | Algorithm::RS256, _, Some(jwks)) => {
                match jwks.find(header.key_id.as_deref(), header.algorithm, patience).await {
                    Lookup::Found(key) => {
                        Ok(verify::verify(token, key.algorithm, &key.decoding, &self.expectations)?)
                    }
                    Lookup::Unknown => Err(TokenFault::UnknownKey.into()),
                    Lookup::Away => Err(AuthError::KeysAway),
                }
            }
            _ => Err(TokenFault::Algorithm.into()),
        }
    }

    /// Against the clock of this process: a token that was checked before may have run out since.
    fn still_valid(&self, verified: &Verified) -> Result<(), TokenFault> {
        let now_seconds = self.clock.now().millis().div_euclid(1000);
        if verified.expires_at_seconds.saturating_add(LEEWAY_SECONDS) < now_seconds {
            return Err(TokenFault::Expired);
        }
        Ok(())
    }
}
