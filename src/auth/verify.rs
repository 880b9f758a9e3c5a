//! Checking one token with one key. Pure, but for the time of day, which the library asks for itself.

use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};

use super::claims::{Caller, Claims};

/// By so much clocks may differ.
pub const LEEWAY_SECONDS: i64 = 30;

/// What a token must say besides who calls.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expectations {
    /// `iss`, if it is to be looked at.
    pub issuer: Option<String>,
    /// `aud`, if it is to be looked at; one of several in the token will do.
    pub audience: Option<String>,
}

/// A token whose signature and claims hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Who calls.
    pub caller: Caller,
    /// `exp`: seconds since 1970.
    pub expires_at_seconds: i64,
}

/// Why a request is not one of a known caller. What is shown is what whoever has the token knows anyway.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// There is none.
    #[error("a token is needed: Authorization: Bearer <token>")]
    Missing,
    /// The header has something else, or came more than once.
    #[error("the Authorization header must be one, and be: Bearer <token>")]
    NotBearer,
    /// Longer than [`super::TOKEN_BYTES_MAX`].
    #[error("the token is too long")]
    TooLong,
    /// Not a signed token.
    #[error("the token is malformed")]
    Malformed,
    /// Not signed in a way that is accepted here.
    #[error("the token's algorithm is not accepted")]
    Algorithm,
    /// Signed with a key that is not in the set.
    #[error("the token's key is unknown")]
    UnknownKey,
    /// Not signed with its key.
    #[error("the token's signature is wrong")]
    Signature,
    /// `exp` is over.
    #[error("the token has expired")]
    Expired,
    /// `nbf` has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `aud`.
    #[error("the token is for another audience")]
    Audience,
    /// `iss`.
    #[error("the token is of another issuer")]
    Issuer,
    /// A claim that is missing, of the wrong type, or has a value that can't be.
    #[error("the token's {0} claim is missing or can't be used")]
    Claim(&'static str),
    /// The same of one that the parser does not name.
    #[error("the token's claims can't be read")]
    Claims,
}

/// Which key and algorithm a token asks for.
pub(super) struct TokenHeader {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
}

/// Reads a token's header, which proves nothing.
pub(super) fn header(token: &str) -> Result<TokenHeader, TokenFault> {
    let header = jsonwebtoken::decode_header(token).map_err(|error| match error.kind() {
        // `none` among them, and whatever else is no known name.
        ErrorKind::Json(cause) if cause.is_data() => TokenFault::Algorithm,
        ErrorKind::InvalidAlgorithmName => TokenFault::Algorithm,
        _ => TokenFault::Malformed,
    })?;
    // Extensions that must be understood (RFC 7515, 4.1.11): we understand none.
    if header.crit.is_some() {
        return Err(TokenFault::Malformed);
    }
    Ok(TokenHeader { algorithm: header.alg, key_id: header.kid })
}

/// Checks signature, times and claims; `algorithm` is the key's own, whatever the token says.
pub(super) fn verify(
    token: &str,
    algorithm: Algorithm,
    key: &DecodingKey,
    expectations: &Expectations,
) -> Result<Verified, TokenFault> {
    let validation = validation(algorithm, expectations);
    let claims =
        jsonwebtoken::decode::<Claims>(token, key, &validation).map_err(|error| fault(&error))?.claims;
    let expires_at_seconds = seconds(&claims.exp).ok_or(TokenFault::Claim("exp"))?;
    Ok(Verified { caller: claims.caller()?, expires_at_seconds })
}

fn validation(algorithm: Algorithm, expectations: &Expectations) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.leeway = LEEWAY_SECONDS.unsigned_abs();
    validation.validate_nbf = true;
    validation.validate_aud = expectations.audience.is_some();
    let mut required = vec!["exp"];
    if let Some(audience) = &expectations.audience {
        validation.set_audience(&[audience]);
        required.push("aud");
    }
    if let Some(issuer) = &expectations.issuer {
        validation.set_issuer(&[issuer]);
        required.push("iss");
    }
    validation.set_required_spec_claims(&required);
    validation
}

/// `exp` may have a fraction.
fn seconds(exp: &serde_json::Number) -> Option<i64> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a cast from a float saturates, which is what is wanted"
    )]
    exp.as_i64().or_else(|| exp.as_f64().map(|seconds| seconds as i64))
}

fn fault(error: &Error) -> TokenFault {
    match error.kind() {
        ErrorKind::InvalidSignature => TokenFault::Signature,
        ErrorKind::ExpiredSignature => TokenFault::Expired,
        ErrorKind::ImmatureSignature => TokenFault::NotYetValid,
        ErrorKind::InvalidAudience => TokenFault::Audience,
        ErrorKind::InvalidIssuer => TokenFault::Issuer,
        ErrorKind::MissingRequiredClaim(claim) | ErrorKind::InvalidClaimFormat(claim) => named(claim),
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => TokenFault::Algorithm,
        ErrorKind::Json(_) => TokenFault::Claims,
        _ => TokenFault::Malformed,
    }
}

fn named(claim: &str) -> TokenFault {
    ["exp", "nbf", "aud", "iss"]
        .into_iter()
        .find(|known| *known == claim)
        .map_or(TokenFault::Claims, TokenFault::Claim)
}
