//! Opaque texts: a place that a caller is given, and hands back with the same question.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// Of the text's end. No secret: it tells a mistake, and a caller who makes one up sees no more than by a text of
/// their own.
const CHECKSUM: usize = 8;

/// The name of something that can be asked for, and what was.
pub type Named = (&'static str, Option<String>);

/// What a place is bound to: another question refuses its text.
pub struct Binding<'a> {
    /// The kind of place, and the form of its text.
    pub label: &'static str,
    /// The names and values of what was asked for; one without a value was not.
    pub asked: &'a [Named],
}

impl Binding<'_> {
    /// The place and its checksum in base64url.
    #[must_use]
    pub fn seal(&self, place: &[u8]) -> String {
        let mut bytes = place.to_vec();
        bytes.extend(self.checksum(place));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The place of `N` bytes that was sealed under this binding; none for any other text.
    #[must_use]
    pub fn open<const N: usize>(&self, text: &str) -> Option<[u8; N]> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (place, checksum) = bytes.split_first_chunk::<N>()?;
        (checksum == self.checksum(place)).then_some(*place)
    }

    fn checksum(&self, place: &[u8]) -> [u8; CHECKSUM] {
        let mut hash = Sha256::new();
        hash.update(self.label);
        hash.update(place);
        for (name, value) in self.asked {
            let Some(value) = value else { continue };
            for part in [name, value.as_str()] {
                hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
                hash.update(part);
            }
        }
        let digest = hash.finalize();
        std::array::from_fn(|index| digest[index])
    }
}

/// Two numbers as the bytes of a place.
#[must_use]
pub fn pair(first: i64, second: i64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&first.to_be_bytes());
    bytes[8..].copy_from_slice(&second.to_be_bytes());
    bytes
}

/// What [`pair`] was given.
#[must_use]
pub fn numbers(bytes: [u8; 16]) -> (i64, i64) {
    let number = |from: usize| i64::from_be_bytes(std::array::from_fn(|index| bytes[from + index]));
    (number(0), number(8))
}
