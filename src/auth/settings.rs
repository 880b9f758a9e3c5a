//! How callers are told apart, by flag and by environment.
#![expect(
    clippy::doc_markdown,
    reason = "these comments are also the text of --help, which shows no Markdown"
)]

use std::fmt;
use std::net::IpAddr;

use clap::Args;
use reqwest::Url;

use super::verify::Expectations;

/// The shortest secret that HS256 may have (RFC 7518, 3.2), in bytes.
pub const SECRET_BYTES_MIN: usize = 32;

/// A secret, which no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// For signing and checking.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Refuses one that could be guessed.
    ///
    /// # Errors
    /// [`AuthSettingError::ShortSecret`]
    pub fn check(&self) -> Result<(), AuthSettingError> {
        if self.0.len() < SECRET_BYTES_MIN { Err(AuthSettingError::ShortSecret) } else { Ok(()) }
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Who may call
#[derive(Debug, Clone, Args)]
pub struct AuthArgs {
    /// The secret of HS256 tokens, 32 bytes at least
    #[arg(long, env = "JWT_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub jwt_secret: Option<Secret>,
    /// Where the public keys of ES256 and RS256 tokens are found, such as
    /// https://PROJECT.supabase.co/auth/v1/.well-known/jwks.json
    #[arg(long, env = "JWKS_URL", hide_env_values = true, value_name = "URL")]
    pub jwks_url: Option<String>,
    /// off: no token is asked for, and every caller may do everything
    #[arg(long, env = "AUTH", value_name = "off")]
    pub auth: Option<String>,
    /// The issuer that tokens must name (iss) [default: any]
    #[arg(long, env = "JWT_ISSUER", value_name = "TEXT")]
    pub jwt_issuer: Option<String>,
    /// The audience that tokens must name (aud) [default: any]
    #[arg(long, env = "JWT_AUDIENCE", value_name = "TEXT")]
    pub jwt_audience: Option<String>,
}

/// What the settings come to.
#[derive(Clone, PartialEq, Eq)]
pub enum AuthSettings {
    /// No token is asked for.
    Open,
    /// Tokens, checked with one of these or both.
    Tokens {
        /// For HS256.
        secret: Option<Secret>,
        /// For ES256 and RS256.
        jwks_url: Option<Url>,
        /// What else a token must say.
        expectations: Expectations,
    },
}

impl AuthSettings {
    /// The host whose keys come over plain HTTP, if it is not this machine.
    #[must_use]
    pub fn keys_in_the_clear(&self) -> Option<String> {
        let Self::Tokens { jwks_url: Some(url), .. } = self else { return None };
        let host = url.host_str().filter(|_| url.scheme() == "http")?;
        let is_here = host == "localhost"
            || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        (!is_here).then(|| host.to_owned())
    }
}

/// The settings can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthSettingError {
    /// Nothing says whether tokens are asked for.
    #[error(
        "who may call is not set: give JWT_SECRET (HS256), JWKS_URL (ES256, RS256), or AUTH=off, with which every caller may do everything"
    )]
    Missing,
    /// Both at once.
    #[error("AUTH=off stands beside {0}: unset one of them")]
    Contradiction(&'static str),
    /// Another word.
    #[error("AUTH={0:?} is not known: the only value is off")]
    UnknownMode(String),
    /// It could be guessed.
    #[error("JWT_SECRET must have {SECRET_BYTES_MIN} bytes at least")]
    ShortSecret,
    /// Not an address.
    #[error("JWKS_URL must be an http or https address: {0}")]
    Url(String),
}

/// A setting that was given; an empty one, as compose files leave behind, was not.
#[must_use]
pub fn given(setting: Option<&String>) -> Option<&String> {
    setting.filter(|text| !text.trim().is_empty())
}

impl AuthArgs {
    /// The settings of `serve`, which must be told.
    ///
    /// # Errors
    /// [`AuthSettingError`]
    pub fn settings(&self) -> Result<AuthSettings, AuthSettingError> {
        self.chosen()?.ok_or(AuthSettingError::Missing)
    }

    /// The settings of `dev`, which is open unless it is told otherwise.
    ///
    /// # Errors
    /// [`AuthSettingError`]
    pub fn settings_or_open(&self) -> Result<AuthSettings, AuthSettingError> {
        Ok(self.chosen()?.unwrap_or(AuthSettings::Open))
    }

    fn chosen(&self) -> Result<Option<AuthSettings>, AuthSettingError> {
        let secret = self.jwt_secret.as_ref().filter(|secret| !secret.0.trim().is_empty());
        let url = given(self.jwks_url.as_ref());
        let (issuer, audience) = (given(self.jwt_issuer.as_ref()), given(self.jwt_audience.as_ref()));
        let named = [
            ("JWT_SECRET", secret.is_some()),
            ("JWKS_URL", url.is_some()),
            ("JWT_ISSUER", issuer.is_some()),
            ("JWT_AUDIENCE", audience.is_some()),
        ];
        let mut named = named.into_iter().filter_map(|(name, is_given)| is_given.then_some(name));
        match (given(self.auth.as_ref()).map(|mode| mode.trim()), named.next()) {
            (Some("off"), None) => return Ok(Some(AuthSettings::Open)),
            (Some("off"), Some(name)) => return Err(AuthSettingError::Contradiction(name)),
            (Some(other), _) => return Err(AuthSettingError::UnknownMode(other.to_owned())),
            (None, None) => return Ok(None),
            (None, Some(_)) => {}
        }
        if secret.is_none() && url.is_none() {
            return Err(AuthSettingError::Missing);
        }
        secret.map_or(Ok(()), Secret::check)?;
        Ok(Some(AuthSettings::Tokens {
            secret: secret.cloned(),
            jwks_url: url.map(|url| parse_url(url)).transpose()?,
            expectations: Expectations { issuer: issuer.cloned(), audience: audience.cloned() },
        }))
    }
}

fn parse_url(text: &str) -> Result<Url, AuthSettingError> {
    let url = Url::parse(text.trim()).map_err(|error| AuthSettingError::Url(error.to_string()))?;
    let is_web = matches!(url.scheme(), "http" | "https");
    if is_web { Ok(url) } else { Err(AuthSettingError::Url(format!("{} is not", url.scheme()))) }
}
