//! `VTID-YYYY-NNNN`: the number that the platform gives to a task.

use std::fmt;
use std::num::NonZeroU64;

/// The number of a task: unique, in gapless sequence within its year.
///
/// Ordered by (year, number), which is also the order in which the tasks were recorded; the text has
/// another order from the 10,000th task of a year on, so it is never compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vtid {
    year: u16,
    number: NonZeroU64,
}

/// What a well-formed text can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParsedVtid {
    /// A number that a task can have.
    Possible(Vtid),
    /// Well-formed, but no task ever has it: `VTID-2025-0000`, or a number past 2⁶³.
    Impossible,
}

/// The text is not of the form `VTID-YYYY-NNNN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must have the form VTID-YYYY-NNNN: a year of four digits, a number of four or more without further leading zeros"
)]
pub struct MalformedVtid;

impl Vtid {
    /// What [`Vtid::parse`] takes, as an ECMA-262 expression.
    pub(crate) const PATTERN: &str = "^VTID-[0-9]{4}-([0-9]{4}|[1-9][0-9]{4,})$";

    /// The number of the first task of `year`.
    ///
    /// Years past 9999 have no VTID; `year` is cut to it.
    #[must_use]
    pub fn first_of(year: u16) -> Self {
        Self { year: year.min(9999), number: NonZeroU64::MIN }
    }

    /// The next number of the same year.
    #[must_use]
    pub fn next(self) -> Self {
        Self { number: self.number.saturating_add(1), ..self }
    }

    /// The UTC year in which the task was recorded.
    #[must_use]
    pub fn year(self) -> u16 {
        self.year
    }

    /// Counts from 1 within the year.
    #[must_use]
    pub fn number(self) -> u64 {
        self.number.get()
    }

    /// Reads `VTID-YYYY-NNNN`.
    ///
    /// # Errors
    /// [`MalformedVtid`] for any text of another form: look-alike letters and digits, signs, spaces,
    /// fewer than four digits, a zero in front of five or more.
    pub fn parse(text: &str) -> Result<ParsedVtid, MalformedVtid> {
        let rest = text.as_bytes().strip_prefix(b"VTID-").ok_or(MalformedVtid)?;
        let (year, rest) = rest.split_first_chunk::<4>().ok_or(MalformedVtid)?;
        let number = rest.strip_prefix(b"-").ok_or(MalformedVtid)?;
        let digits = |s: &[u8]| s.iter().all(u8::is_ascii_digit);
        let padded = number.len() > 4 && number.starts_with(b"0");
        if number.len() < 4 || padded || !digits(year) || !digits(number) {
            return Err(MalformedVtid);
        }
        let year = year.iter().fold(0, |year, digit| year * 10 + u16::from(digit - b'0'));
        // Digits alone, so it begins at a character.
        let number = &text[text.len() - number.len()..];
        // A parse failure can only be an overflow here: well-formed, and past every number we give out.
        let number =
            number.parse::<u64>().ok().filter(|n| i64::try_from(*n).is_ok()).and_then(NonZeroU64::new);
        Ok(number.map_or(ParsedVtid::Impossible, |number| ParsedVtid::Possible(Self { year, number })))
    }

    /// Reads a VTID that this ledger once printed.
    ///
    /// # Errors
    /// [`MalformedVtid`], for a number that no task can have too.
    pub fn parse_possible(text: &str) -> Result<Self, MalformedVtid> {
        match Self::parse(text)? {
            ParsedVtid::Possible(vtid) => Ok(vtid),
            ParsedVtid::Impossible => Err(MalformedVtid),
        }
    }
}

impl fmt::Display for Vtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VTID-{:04}-{:04}", self.year, self.number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn possible(text: &str) -> Vtid {
        Vtid::parse_possible(text).expect(text)
    }

    #[test]
    fn prints_what_it_read() {
        for text in [
            "VTID-2026-0001",
            "VTID-2026-9999",
            "VTID-2026-10000",
            "VTID-0000-0001",
            "VTID-2026-9223372036854775807",
        ] {
            assert_eq!(possible(text).to_string(), text);
        }
    }

    #[test]
    fn order_is_by_number_and_not_by_text() {
        assert!(possible("VTID-2026-9999") < possible("VTID-2026-10000"));
        assert!(possible("VTID-2026-10000") < possible("VTID-2027-0001"));
        assert_eq!(possible("VTID-2026-9999").next(), possible("VTID-2026-10000"));
    }

    #[test]
    fn well_formed_numbers_that_no_task_has() {
        for text in
            ["VTID-2025-0000", "VTID-2026-9223372036854775808", "VTID-2026-99999999999999999999999999"]
        {
            assert_eq!(Vtid::parse(text), Ok(ParsedVtid::Impossible), "{text}");
        }
    }

    #[test]
    fn refuses_every_other_form() {
        for text in [
            "",
            "VTID",
            "VTID-",
            "VTID-2026",
            "VTID-2026-",
            "VTID-2026-1",
            "VTID-2026-001",
            "VTID-2026-00001",
            "VTID-2026-000000",
            "vtid-2026-0001",
            "VTID-26-0001",
            "VTID-02026-0001",
            "VTID-2026-0001 ",
            " VTID-2026-0001",
            "VTID-2026-+001",
            "VTID-2026--001",
            "VTID-2026-0001-1",
            "VTID-２０２６-0001",
            "VTID-2026-٠٠٠١",
            "VTID–2026–0001",
            "VТID-2026-0001",
            "VTID-2026-0001\n",
        ] {
            assert_eq!(Vtid::parse(text), Err(MalformedVtid), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_number_comes_back(year in 0u16..=9999, number in 1u64..=i64::MAX as u64) {
            let vtid = Vtid { year, number: NonZeroU64::new(number).unwrap() };
            prop_assert_eq!(Vtid::parse(&vtid.to_string()), Ok(ParsedVtid::Possible(vtid)));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}|VTID-[0-9]{3,5}-[0-9]{3,25}") {
            if let Ok(ParsedVtid::Possible(vtid)) = Vtid::parse(&text) {
                prop_assert_eq!(vtid.to_string(), text);
            }
        }
    }
}
