//! A JSON number as an exact decimal, written out.

use std::fmt;

/// A JSON number in one canonical text: what PostgreSQL's `numeric`, and so `jsonb`, prints for it.
///
/// Every digit stays, trailing zeros of the fraction included (`0.10`); an exponent is written out (`1e3` is
/// `1000`, `1.50e1` is `15.0`, `1.5e-3` is `0.0015`); zero has no sign (`-0.00` is `0.00`). The text has
/// [`Decimal::CHARS_MAX`] characters at most. Equality is that of the text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decimal(Box<str>);

/// Why a text is not a [`Decimal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// The text is not a number by JSON's grammar.
    #[error("is not a JSON number")]
    NotANumber,
    /// Written out, it would have more than [`Decimal::CHARS_MAX`] characters.
    #[error("is a number of more than 400 characters when written out")]
    TooLong,
}

/// Past this, an exponent's size no longer matters: no text in memory has so many digits to make up for it.
const EXPONENT_MAX: i64 = 1_000_000_000_000_000;

impl Decimal {
    /// The most characters a number may have when written out, sign and point included.
    pub const CHARS_MAX: usize = 400;

    /// Reads a number by exactly JSON's grammar.
    ///
    /// # Errors
    /// [`DecimalError::NotANumber`] for any other text; [`DecimalError::TooLong`] where the written-out text
    /// would be too long, which is found without building it.
    pub fn parse(text: &str) -> Result<Self, DecimalError> {
        let literal = Literal::split(text).ok_or(DecimalError::NotANumber)?;
        literal.write_out().map(|text| Self(text.into_boxed_str()))
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number 0.
    pub(super) fn zero() -> Self {
        Self("0".into())
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The parts of a number as given.
struct Literal<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    /// Held within ±[`EXPONENT_MAX`].
    exponent: i64,
}

impl<'a> Literal<'a> {
    fn split(text: &'a str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (negative, bytes) = match bytes.strip_prefix(b"-") {
            Some(rest) => (true, rest),
            None => (false, bytes),
        };
        let (whole, mut rest) = take_digits(bytes);
        if whole.is_empty() || (whole.len() > 1 && whole.starts_with(b"0")) {
            return None;
        }
        let mut fraction: &[u8] = b"";
        if let Some(after_point) = rest.strip_prefix(b".") {
            (fraction, rest) = take_digits(after_point);
            if fraction.is_empty() {
                return None;
            }
        }
        let exponent = match rest {
            [] => 0,
            [b'e' | b'E', b'-', digits @ ..] => -exponent(digits)?,
            [b'e' | b'E', b'+', digits @ ..] | [b'e' | b'E', digits @ ..] => exponent(digits)?,
            _ => return None,
        };
        Some(Self { negative, whole, fraction, exponent })
    }

    fn write_out(&self) -> Result<String, DecimalError> {
        // Think of the digits as standing at 0, 1, 2, …, with zeros without end on both sides.
        let point = length(self.whole) + self.exponent;
        let scale = (length(self.fraction) - self.exponent).max(0);
        let first_nonzero = self.digits().zip(0_i64..).find(|(digit, _)| *digit != b'0').map(|(_, at)| at);
        let whole_length = first_nonzero.map_or(1, |at| (point - at).max(1));
        let negative = self.negative && first_nonzero.is_some();
        let chars = i64::from(negative) + whole_length + if scale > 0 { 1 + scale } else { 0 };
        let chars = usize::try_from(chars).map_err(|_| DecimalError::TooLong)?;
        if chars > Decimal::CHARS_MAX {
            return Err(DecimalError::TooLong);
        }
        let mut text = String::with_capacity(chars);
        if negative {
            text.push('-');
        }
        text.extend((point - whole_length..point).map(|at| self.digit(at)));
        if scale > 0 {
            text.push('.');
            text.extend((point..point + scale).map(|at| self.digit(at)));
        }
        Ok(text)
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.whole.iter().chain(self.fraction).copied()
    }

    fn digit(&self, at: i64) -> char {
        let given = usize::try_from(at).ok().and_then(|at| match at.checked_sub(self.whole.len()) {
            None => self.whole.get(at),
            Some(at) => self.fraction.get(at),
        });
        char::from(given.copied().unwrap_or(b'0'))
    }
}

fn take_digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    bytes.split_at(end)
}

fn exponent(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_i64, |value, digit| {
        digit.is_ascii_digit().then(|| (value * 10 + i64::from(digit - b'0')).min(EXPONENT_MAX))
    })
}

fn length(digits: &[u8]) -> i64 {
    // A longer text does not fit in memory; were there one, it would count as too long.
    i64::try_from(digits.len()).unwrap_or(EXPONENT_MAX).min(EXPONENT_MAX)
}
