//! Points in time as the ledger keeps them: UTC, cut to milliseconds.

use std::fmt;

use chrono::{DateTime, Datelike, Utc};

/// A point in time, in whole milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The text is not a time of the form `2025-10-28T10:00:00.000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a UTC time such as 2025-10-28T10:00:00.000Z")]
pub struct MalformedTimestamp;

impl Timestamp {
    /// 0001-01-01T00:00:00.000Z: earlier times have no four-digit year.
    pub const MIN: Self = Self(-62_135_596_800_000);
    /// 9999-12-31T23:59:59.999Z: later ones have no VTID.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// From milliseconds since 1970; what lies outside of [`Self::MIN`] and [`Self::MAX`] is cut to them.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn millis(self) -> i64 {
        self.0
    }

    /// The UTC year.
    #[must_use]
    pub fn year(self) -> u16 {
        // Invariant: MIN and MAX keep the year within 1 to 9999.
        u16::try_from(self.to_datetime().year()).unwrap_or(9999)
    }

    /// For the database driver.
    #[must_use]
    pub fn to_datetime(self) -> DateTime<Utc> {
        // Invariant: every value from MIN to MAX is one that chrono can hold.
        DateTime::from_timestamp_millis(self.0).unwrap_or_default()
    }

    /// Cut to milliseconds, never rounded up.
    #[must_use]
    pub fn from_datetime(time: DateTime<Utc>) -> Self {
        Self::from_millis(time.timestamp_millis())
    }

    /// Reads what [`fmt::Display`] prints.
    ///
    /// # Errors
    /// [`MalformedTimestamp`] for every other form.
    pub fn parse(text: &str) -> Result<Self, MalformedTimestamp> {
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| MalformedTimestamp)?;
        let parsed = Self::from_datetime(time.to_utc());
        if parsed.to_string() == text { Ok(parsed) } else { Err(MalformedTimestamp) }
    }

    /// Hours from `earlier` to `self`, rounded to four decimals; never negative.
    #[must_use]
    pub fn hours_since(self, earlier: Self) -> f64 {
        let millis = self.0.saturating_sub(earlier.0).max(0);
        // One ten-thousandth of an hour is 360 ms. In integers, so that the rounding is exact.
        let ten_thousandths = (millis + 180) / 360;
        #[expect(clippy::cast_precision_loss, reason = "at most 10^12, far below 2^53")]
        let hours = ten_thousandths as f64 / 10_000.0;
        hours
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.to_datetime().date_naive();
        let year = u32::from(self.year());
        // Invariant: less than a day has fewer milliseconds than 2³².
        let millis = u32::try_from(self.0.rem_euclid(MILLIS_A_DAY)).unwrap_or_default();
        let seconds = millis / 1000;
        let mut text = *b"0000-00-00T00:00:00.000Z";
        put_digits(&mut text[..4], year);
        put_digits(&mut text[5..7], date.month());
        put_digits(&mut text[8..10], date.day());
        put_digits(&mut text[11..13], seconds / 3600);
        put_digits(&mut text[14..16], seconds / 60 % 60);
        put_digits(&mut text[17..19], seconds % 60);
        put_digits(&mut text[20..23], millis % 1000);
        f.write_str(str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// A time as callers give it: RFC 3339, with any offset and any fraction of a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GivenTime {
    cut: Timestamp,
    is_whole: bool,
}

/// The text is no time of RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a time of RFC 3339 such as 2025-10-28T10:00:00.000Z (the + of an offset is written %2B)")]
pub struct NotRfc3339;

impl GivenTime {
    /// Reads RFC 3339. Years outside of 1 to 9999, by UTC, are cut to them.
    ///
    /// # Errors
    /// [`NotRfc3339`]; also without an offset, for nobody knows which was meant.
    pub fn parse(text: &str) -> Result<Self, NotRfc3339> {
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| NotRfc3339)?.to_utc();
        let is_whole = time.timestamp_subsec_nanos().is_multiple_of(1_000_000);
        Ok(Self { cut: Timestamp::from_datetime(time), is_whole })
    }

    /// The last whole millisecond that is not after it: what was recorded until then was recorded until this.
    #[must_use]
    pub fn cut(self) -> Timestamp {
        self.cut
    }

    /// The first whole millisecond that is not before it.
    #[must_use]
    pub fn rounded_up(self) -> Timestamp {
        Timestamp::from_millis(self.cut.millis() + i64::from(!self.is_whole))
    }
}

const MILLIS_A_DAY: i64 = 24 * 60 * 60 * 1000;

/// Fills `place` with the last digits of `number`.
fn put_digits(place: &mut [u8], mut number: u32) {
    for digit in place.iter_mut().rev() {
        *digit = b"0123456789"[(number % 10) as usize];
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prints_milliseconds_and_a_z() {
        assert_eq!(Timestamp::from_millis(1_761_645_600_000).to_string(), "2025-10-28T10:00:00.000Z");
        assert_eq!(Timestamp::MIN.to_string(), "0001-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn refuses_other_forms() {
        for text in [
            "",
            "2025-10-28",
            "2025-10-28T10:00:00Z",
            "2025-10-28T10:00:00.000+00:00",
            "2025-10-28t10:00:00.000z",
        ] {
            assert_eq!(Timestamp::parse(text), Err(MalformedTimestamp), "{text}");
        }
    }

    #[test]
    fn times_are_given_with_any_offset_and_fraction() {
        let given =
            |text| GivenTime::parse(text).map(|time| [time.cut(), time.rounded_up()].map(|t| t.to_string()));
        let whole = "2025-10-28T10:00:00.000Z".to_owned();
        for text in [
            "2025-10-28T10:00:00Z",
            "2025-10-28T10:00:00.000Z",
            "2025-10-28T12:00:00+02:00",
            "2025-10-28T05:30:00.000000000-04:30",
            "2025-10-28t10:00:00z",
        ] {
            assert_eq!(given(text), Ok([whole.clone(), whole.clone()]), "{text}");
        }
        let next = "2025-10-28T10:00:00.001Z".to_owned();
        for text in ["2025-10-28T10:00:00.0001Z", "2025-10-28T10:00:00.000999999Z"] {
            assert_eq!(given(text), Ok([whole.clone(), next.clone()]), "{text}");
        }
        assert_eq!(GivenTime::parse("0000-01-01T00:00:00Z").unwrap().cut(), Timestamp::MIN);
        for text in [
            "",
            "2025-10-28",
            "2025-10-28T10:00:00",
            "2025-10-28T10:00:00 02:00",
            "1761645600",
            "now",
            "2025-02-30T00:00:00Z",
        ] {
            assert_eq!(given(text), Err(NotRfc3339), "{text}");
        }
    }

    #[test]
    fn hours_are_rounded_to_four_decimals() {
        let start = Timestamp::from_millis(0);
        let after = |millis| Timestamp::from_millis(millis).hours_since(start);
        assert_eq!(after(12_600_000).to_string(), "3.5");
        assert_eq!(after(179).to_string(), "0");
        assert_eq!(after(180).to_string(), "0.0001");
        assert_eq!(after(-5).to_string(), "0");
    }

    proptest! {
        #[test]
        fn every_time_comes_back(millis in Timestamp::MIN.0..=Timestamp::MAX.0) {
            let time = Timestamp::from_millis(millis);
            prop_assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
            prop_assert_eq!(Timestamp::from_datetime(time.to_datetime()), time);
            let by_chrono = time.to_datetime().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
            prop_assert_eq!(time.to_string(), by_chrono);
        }
    }
}
