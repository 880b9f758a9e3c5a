//! A set of public keys (RFC 7517), each with the one algorithm that it is used with. Pure.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

/// Keys that a set may have.
const KEYS_MAX: usize = 100;

/// A key that signatures can be checked with.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its name in the set.
    pub id: Option<String>,
    /// The one algorithm that it is used with: ES256 or RS256.
    pub algorithm: Algorithm,
    /// The key.
    pub decoding: DecodingKey,
}

/// The keys of an issuer.
#[derive(Debug, Clone, Default)]
pub struct KeySet(Vec<Key>);

/// What was fetched is not a set of keys that could be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Not JSON of that form.
    #[error("the answer is no JSON Web Key Set")]
    Malformed,
    /// More keys than anybody has.
    #[error("the set has more than {KEYS_MAX} keys")]
    TooMany,
}

impl KeySet {
    /// Reads a JSON Web Key Set. Keys for other algorithms or other uses are left out, as the standard asks for.
    ///
    /// # Errors
    /// [`KeySetError`]
    pub fn parse(json: &[u8]) -> Result<Self, KeySetError> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<serde_json::Value>,
        }
        let document: Document = serde_json::from_slice(json).map_err(|_| KeySetError::Malformed)?;
        if document.keys.len() > KEYS_MAX {
            return Err(KeySetError::TooMany);
        }
        Ok(Self(document.keys.into_iter().filter_map(usable).collect()))
    }

    /// Whether there is none that could be used.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key of this name for this algorithm; of a token that names none, the only key for the algorithm.
    #[must_use]
    pub fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&Key> {
        let mut fitting = self
            .0
            .iter()
            .filter(|key| key.algorithm == algorithm && (id.is_none() || key.id.as_deref() == id));
        let first = fitting.next()?;
        fitting.next().is_none().then_some(first)
    }
}

/// Characters that 32 bytes have in base64url without padding.
const COORDINATE: usize = 43;

fn usable(key: serde_json::Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(key).ok()?;
    let signs = jwk.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
    let verifies = jwk
        .common
        .key_operations
        .as_ref()
        .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
    let algorithm = match (&jwk.algorithm, jwk.common.key_algorithm) {
        (AlgorithmParameters::EllipticCurve(key), None | Some(KeyAlgorithm::ES256))
            if key.curve == EllipticCurve::P256 && [&key.x, &key.y].iter().all(|c| c.len() == COORDINATE) =>
        {
            Algorithm::ES256
        }
        (AlgorithmParameters::RSA(_), None | Some(KeyAlgorithm::RS256)) => Algorithm::RS256,
        // A symmetric key in a public place is nobody's secret.
        _ => return None,
    };
    let decoding = DecodingKey::from_jwk(&jwk).ok().filter(|_| signs && verifies)?;
    Some(Key { id: jwk.common.key_id, algorithm, decoding })
}
