//! Minting a token: for trying things out, and for services that hold the secret.

use jsonwebtoken::errors::Error;
use jsonwebtoken::{EncodingKey, Header};
use serde::Serialize;

use super::settings::Secret;
use crate::domain::origin::Role;
use crate::domain::text::{ActorId, Tenant};
use crate::domain::time::Timestamp;

/// What a token is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// `role`
    pub role: Role,
    /// `sub`; without one the actor is the role's name.
    pub subject: Option<ActorId>,
    /// `app_metadata.tenant`
    pub tenant: Option<Tenant>,
    /// From now until `exp`, in seconds.
    pub ttl_seconds: u32,
    /// `iss`
    pub issuer: Option<String>,
    /// `aud`
    pub audience: Option<String>,
}

#[derive(Serialize)]
struct MintedClaims<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_metadata: Option<MintedMetadata<'a>>,
    iat: i64,
    exp: i64,
}

#[derive(Serialize)]
struct MintedMetadata<'a> {
    tenant: &'a str,
}

/// Signs a token with `secret` (HS256).
///
/// # Errors
/// The library's, of a secret that can't be used.
pub fn mint(request: &TokenRequest, secret: &Secret, now: Timestamp) -> Result<String, Error> {
    let iat = now.millis().div_euclid(1000);
    let claims = MintedClaims {
        iss: request.issuer.as_deref(),
        aud: request.audience.as_deref(),
        sub: request.subject.as_ref().map(ActorId::as_str),
        role: request.role.as_str(),
        app_metadata: request.tenant.as_ref().map(|tenant| MintedMetadata { tenant: tenant.as_str() }),
        iat,
        exp: iat + i64::from(request.ttl_seconds),
    };
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.bytes()))
}
