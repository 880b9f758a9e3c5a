//! Ed25519 keys of signed notes: the log's own (`signed-note`, type 1) and a witness's (`tlog-cosignature`, type 4), in the
//! text form that Go's tools print too.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, Verifier as _, VerifyingKey};
use signed_note::{Signer, Verifier};

const SECRET_PREFIX: &str = "PRIVATE+KEY+";
/// Seconds since 1970 in front of a cosignature.
const TIMESTAMP_BYTES: usize = 8;
/// Characters of a name at most; what an origin may have in a cosignature.
const NAME_MAX: usize = 255;

/// A key's name: for a log its origin. Not empty, no spaces, no `+`, 255 bytes at most.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

/// The text can't name a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be 1 to {NAME_MAX} bytes without spaces, control characters or +, such as ledger.example.org/tasks"
)]
pub struct MalformedName;

impl KeyName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for KeyName {
    type Err = MalformedName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = signed_note::is_key_name_valid(text)
            && text.len() <= NAME_MAX
            && !text.chars().any(char::is_control);
        if valid { Ok(Self(text.to_owned())) } else { Err(MalformedName) }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who signs with a key, and so what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// A log: signs the checkpoint's text.
    Log,
    /// A witness: signs that it saw the checkpoint, and when.
    Witness,
}

impl KeyKind {
    const ALL: [Self; 2] = [Self::Log, Self::Witness];

    const fn type_byte(self) -> u8 {
        match self {
            Self::Log => 1,
            Self::Witness => 4,
        }
    }
}

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not of the form.
    #[error("not a key of the form NAME+ID+BASE64 (a secret one: {SECRET_PREFIX}NAME+ID+BASE64)")]
    Form,
    /// Of another algorithm.
    #[error("a key of another algorithm: Ed25519 keys of logs and witnesses are known")]
    Algorithm,
    /// The id is not that of name and key.
    #[error("the key's id does not belong to its name and key: a character was changed")]
    Id,
}

/// A key that verifies.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: KeyName,
    kind: KeyKind,
    id: u32,
    /// Not inside: it is large, with what is computed from it.
    key: Box<VerifyingKey>,
}

impl PublicKey {
    fn new(name: KeyName, kind: KeyKind, key: VerifyingKey) -> Self {
        let id = signed_note::key_id(name.as_str(), &with_type(kind, key.as_bytes()));
        Self { name, kind, id, key: Box::new(key) }
    }

    /// Reads a verifier key (`NAME+ID+BASE64`).
    ///
    /// # Errors
    /// [`KeyError`]
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, kind, id, bytes) = parse(text)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::Form)?;
        let key = Self::new(name, kind, key);
        if key.id == id { Ok(key) } else { Err(KeyError::Id) }
    }

    /// Whose it is.
    #[must_use]
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// What it verifies.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}+{:08x}+{}",
            self.name,
            self.id,
            STANDARD.encode(with_type(self.kind, self.key.as_bytes()))
        )
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Verifier for PublicKey {
    fn name(&self) -> &str {
        self.name.as_str()
    }

    fn key_id(&self) -> u32 {
        self.id
    }

    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        let verifies = |text: &[u8], signature: &[u8]| {
            Signature::from_slice(signature).is_ok_and(|signature| self.key.verify(text, &signature).is_ok())
        };
        match (self.kind, signature.split_first_chunk::<TIMESTAMP_BYTES>()) {
            (KeyKind::Log, _) => verifies(text, signature),
            (KeyKind::Witness, Some((seconds, signature))) => {
                let seconds = u64::from_be_bytes(*seconds);
                i64::try_from(seconds).is_ok() && verifies(&cosigned(text, seconds), signature)
            }
            (KeyKind::Witness, None) => false,
        }
    }
}

/// A key that signs. Not shown by `Debug`.
#[derive(Clone)]
pub struct SecretKey {
    public: PublicKey,
    key: SigningKey,
}

impl SecretKey {
    /// A new one, from the machine's randomness.
    ///
    /// # Errors
    /// What the machine says, if it has none.
    pub fn generate(name: KeyName, kind: KeyKind) -> Result<Self, getrandom::Error> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        Ok(Self::new(name, kind, SigningKey::from_bytes(&seed)))
    }

    fn new(name: KeyName, kind: KeyKind, key: SigningKey) -> Self {
        Self { public: PublicKey::new(name, kind, key.verifying_key()), key }
    }

    /// Reads a signer key (`PRIVATE+KEY+NAME+ID+BASE64`).
    ///
    /// # Errors
    /// [`KeyError`]
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, kind, id, seed) = parse(text.strip_prefix(SECRET_PREFIX).ok_or(KeyError::Form)?)?;
        let key = Self::new(name, kind, SigningKey::from_bytes(&seed));
        if key.public.id == id { Ok(key) } else { Err(KeyError::Id) }
    }

    /// The text form, which is to be kept secret.
    #[must_use]
    pub fn print(&self) -> String {
        let PublicKey { name, kind, id, .. } = &self.public;
        format!("{SECRET_PREFIX}{name}+{id:08x}+{}", STANDARD.encode(with_type(*kind, &self.key.to_bytes())))
    }

    /// The key that verifies what this one signs.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The signature of a checkpoint's text, as a note bears it; a witness's says that it was seen at `seconds` since 1970.
    #[must_use]
    pub fn sign_at(&self, text: &[u8], seconds: u64) -> Vec<u8> {
        match self.public.kind {
            KeyKind::Log => self.key.sign(text).to_vec(),
            KeyKind::Witness => {
                let signature = self.key.sign(&cosigned(text, seconds)).to_bytes();
                [seconds.to_be_bytes().as_slice(), &signature].concat()
            }
        }
    }

    /// As [`signed_note`] wants it, for notes that are signed at `seconds` since 1970.
    #[must_use]
    pub fn at(&self, seconds: u64) -> SignerAt<'_> {
        SignerAt { key: self, seconds }
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the secret key of {}", self.public)
    }
}

/// A key, and the time at which it signs.
pub struct SignerAt<'a> {
    key: &'a SecretKey,
    seconds: u64,
}

impl Signer for SignerAt<'_> {
    fn name(&self) -> &str {
        self.key.public.name.as_str()
    }

    fn key_id(&self) -> u32 {
        self.key.public.id
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, ed25519_dalek::SignatureError> {
        Ok(self.key.sign_at(text, self.seconds))
    }
}

fn with_type(kind: KeyKind, key: &[u8; 32]) -> Vec<u8> {
    [&[kind.type_byte()], key.as_slice()].concat()
}

/// What a witness signs.
fn cosigned(text: &[u8], seconds: u64) -> Vec<u8> {
    [format!("cosignature/v1\ntime {seconds}\n").as_bytes(), text].concat()
}

fn parse(text: &str) -> Result<(KeyName, KeyKind, u32, [u8; 32]), KeyError> {
    let (name, rest) = text.split_once('+').ok_or(KeyError::Form)?;
    let (id, key) = rest.split_once('+').ok_or(KeyError::Form)?;
    let name = name.parse().map_err(|_| KeyError::Form)?;
    let is_id = id.len() == 8 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let id = u32::from_str_radix(id, 16).ok().filter(|_| is_id).ok_or(KeyError::Form)?;
    let bytes = STANDARD.decode(key).map_err(|_| KeyError::Form)?;
    let (kind, key) = bytes.split_first().ok_or(KeyError::Form)?;
    let known = KeyKind::ALL.into_iter().find(|known| known.type_byte() == *kind);
    let kind = known.ok_or(KeyError::Algorithm)?;
    Ok((name, kind, id, key.try_into().map_err(|_| KeyError::Form)?))
}
