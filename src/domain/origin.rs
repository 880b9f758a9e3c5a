//! Where an event comes from: who asked, by which request.

use std::fmt;
use std::sync::Arc;

use super::text::{ActorId, Tenant, TextFault};

/// What a caller may do; see the contract's rules for each role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The platform's own services: everything.
    ServiceRole,
    /// Administrators: everything.
    Admin,
    /// Signed-in callers: read everything, create anywhere, patch within their own tenant.
    Authenticated,
}

impl Role {
    /// Every role that can write.
    pub const ALL: [Self; 3] = [Self::ServiceRole, Self::Admin, Self::Authenticated];

    /// The word in a token's `role` claim and in the record's `actorrole`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ServiceRole => "service_role",
            Self::Admin => "admin",
            Self::Authenticated => "authenticated",
        }
    }

    /// Reads the word; none for any other role.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// Who asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Actor {
    /// The token's `sub`, or `anonymous` in open mode.
    pub id: ActorId,
    /// What the caller may do.
    pub role: Role,
    /// The caller's own tenant, if the token names one.
    pub tenant: Option<Tenant>,
}

impl Actor {
    /// Whoever calls a ledger that asks for no token.
    #[must_use]
    pub fn anonymous() -> Self {
        Self { id: ActorId::anonymous(), role: Role::ServiceRole, tenant: None }
    }

    /// Whether this actor may patch tasks of `tenant`. Every actor may create in every tenant.
    #[must_use]
    pub fn may_patch_in(&self, tenant: &Tenant) -> bool {
        match self.role {
            Role::ServiceRole | Role::Admin => true,
            Role::Authenticated => self.tenant.as_ref() == Some(tenant),
        }
    }
}

/// The request id that goes through logs, events and answers: `[A-Za-z0-9._:/-]{1,128}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// Takes a caller's request id; none if it is not of the form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::allows(text).then(|| Self(text.into()))
    }

    /// Whether [`Self::parse`] would take the text.
    #[must_use]
    pub fn allows(text: &str) -> bool {
        // From - to : are - . / and the digits. To the end without an early exit.
        let allowed = |b: u8| b.is_ascii_alphabetic() || (b'-'..=b':').contains(&b) || b == b'_';
        matches!(text.len(), 1..=128) && text.bytes().fold(true, |valid, b| valid & allowed(b))
    }

    /// The id of a request that brought none.
    #[must_use]
    pub fn from_uuid(uuid: uuid::Uuid) -> Self {
        Self(uuid.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer())[..].into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A W3C `traceparent` of version 00.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceParent(Box<str>);

impl TraceParent {
    /// Takes `00-<trace id>-<parent id>-<flags>`; none for another version, form, or an id of zeros.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::allows(text).then(|| Self(text.into()))
    }

    /// Whether [`Self::parse`] would take the text.
    #[must_use]
    pub fn allows(text: &str) -> bool {
        Self::has_form(text).unwrap_or(false)
    }

    /// None where parts are missing.
    fn has_form(text: &str) -> Option<bool> {
        let hex = |s: &str, len| {
            s.len() == len && s.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let not_zero = |s: &str| s.bytes().any(|b| b != b'0');
        let mut parts = text.split('-');
        let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let has_form = version == "00"
            && hex(trace, 32)
            && hex(parent, 16)
            && hex(flags, 2)
            && not_zero(trace)
            && not_zero(parent)
            && parts.next().is_none();
        Some(has_form)
    }

    /// The header's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A caller's `Idempotency-Key`: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey(Box<str>);

impl IdempotencyKey {
    /// Takes the header's text.
    ///
    /// # Errors
    /// [`TextFault::NotVisibleAscii`].
    pub fn parse(text: &str) -> Result<Self, TextFault> {
        if Self::allows(text) { Ok(Self(text.into())) } else { Err(TextFault::NotVisibleAscii) }
    }

    /// Whether [`Self::parse`] would take the text.
    #[must_use]
    pub fn allows(text: &str) -> bool {
        matches!(text.len(), 1..=255) && text.bytes().all(|b| b.is_ascii_graphic())
    }

    /// The key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// SHA-256 over a request's method, path and body bytes: tells a retry from another request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestHash(pub [u8; 32]);

impl RequestHash {
    /// Reads 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |b: u8| match b {
            b'0'..=b'9' => Some(b - b'0'),
            b'a'..=b'f' => Some(b - b'a' + 10),
            _ => None,
        };
        let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(hash))
    }
}

impl fmt::Display for RequestHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The key under which a request may be repeated, and what it asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Idempotency {
    /// The caller's key.
    pub key: IdempotencyKey,
    /// What came with it.
    pub hash: RequestHash,
}

/// All that an event keeps of the request behind it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Who asked.
    pub actor: Actor,
    /// The request's id.
    pub request_id: RequestId,
    /// The caller's trace, if it sent one.
    pub traceparent: Option<TraceParent>,
    /// The caller's key, if it sent one; on the request's last event alone.
    pub idempotency: Option<Idempotency>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anonymous_is_a_service_role() {
        assert_eq!(Actor::anonymous().role, Role::ServiceRole);
        assert_eq!(Actor::anonymous().id.as_str(), "anonymous");
    }

    #[test]
    fn who_may_patch_where() {
        let tenant = |name| Tenant::parse(name).unwrap();
        for (role, own, other, without) in [
            (Role::ServiceRole, true, true, true),
            (Role::Admin, true, true, true),
            (Role::Authenticated, true, false, false),
        ] {
            let actor = |tenant| Actor { role, tenant, ..Actor::anonymous() };
            assert_eq!(actor(Some(tenant("a"))).may_patch_in(&tenant("a")), own, "{role:?}");
            assert_eq!(actor(Some(tenant("a"))).may_patch_in(&tenant("ab")), other, "{role:?}");
            assert_eq!(actor(None).may_patch_in(&tenant("a")), without, "{role:?}");
        }
    }

    #[test]
    fn request_ids() {
        for text in ["a", "A-z_0.9", "a/b:c", &"x".repeat(128)] {
            assert!(RequestId::parse(text).is_some(), "{text}");
        }
        for text in ["", "a b", "a,b", "ä", "a\n", &"x".repeat(129)] {
            assert!(RequestId::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn traceparents() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(TraceParent::parse(good).unwrap().as_str(), good);
        for text in [
            "",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        ] {
            assert!(TraceParent::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn hashes_come_back() {
        let hash = RequestHash(std::array::from_fn(|i| u8::try_from(i * 8 % 256).unwrap()));
        assert_eq!(RequestHash::parse(&hash.to_string()), Some(hash));
        for text in ["", "00", &"0".repeat(63), &"g".repeat(64), &"A".repeat(64)] {
            assert!(RequestHash::parse(text).is_none(), "{text}");
        }
    }
}
