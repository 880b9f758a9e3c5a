//! Giving out VTID numbers: 1, 2, 3, … in each UTC year, without a gap.

use super::time::Timestamp;
use super::vtid::Vtid;

/// The last number that was given out; none in an empty ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Numbering {
    last: Option<Vtid>,
}

impl Numbering {
    /// Goes on after `last`.
    #[must_use]
    pub fn after(last: Option<Vtid>) -> Self {
        Self { last }
    }

    /// The number of a task recorded at `time`, which is then the last one.
    ///
    /// Times of the log never run backwards, so a year that is over never comes back; were `time` to lie in
    /// an earlier year, the number would still be a new one of the last year.
    pub fn give_out(&mut self, time: Timestamp) -> Vtid {
        let year = time.year();
        let vtid = match self.last {
            Some(last) if last.year() >= year => last.next(),
            _ => Vtid::first_of(year),
        };
        self.last = Some(vtid);
        vtid
    }

    /// Takes note of a number that stands in the log.
    pub fn observe(&mut self, vtid: Vtid) {
        self.last = self.last.max(Some(vtid));
    }

    /// The last number that was given out.
    #[must_use]
    pub fn last(&self) -> Option<Vtid> {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn counts_from_one_in_each_year_to_the_millisecond() {
        let mut numbering = Numbering::default();
        let mut next = |time| numbering.give_out(at(time)).to_string();
        assert_eq!(next("2025-12-31T23:59:59.998Z"), "VTID-2025-0001");
        assert_eq!(next("2025-12-31T23:59:59.999Z"), "VTID-2025-0002");
        assert_eq!(next("2026-01-01T00:00:00.000Z"), "VTID-2026-0001");
        assert_eq!(next("2026-01-01T00:00:00.000Z"), "VTID-2026-0002");
    }

    #[test]
    fn grows_past_9999() {
        let last = Vtid::parse_possible("VTID-2026-9999").unwrap();
        let mut numbering = Numbering::after(Some(last));
        assert_eq!(numbering.give_out(at("2026-05-05T00:00:00.000Z")).to_string(), "VTID-2026-10000");
    }

    #[test]
    fn never_gives_a_number_twice_even_if_time_ran_backwards() {
        let mut numbering = Numbering::default();
        assert_eq!(numbering.give_out(at("2026-01-01T00:00:00.000Z")).to_string(), "VTID-2026-0001");
        assert_eq!(numbering.give_out(at("2025-01-01T00:00:00.000Z")).to_string(), "VTID-2026-0002");
    }
}
