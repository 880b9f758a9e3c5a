//! A query's parameters, each decoded strictly and told of if it is not one that the route takes.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::error::ApiError;
use crate::domain::payload::Fault;

/// Faults that are listed at most: what a caller can read. The rest are counted.
const FAULTS_MAX: usize = 100;

/// The parameters of a query, taken one by one; what is left over at the end is unknown to the route.
pub(super) struct Parameters<'a> {
    known: &'static [&'static str],
    /// What was sent under each name of `known`, in its order.
    sent: Vec<Option<Cow<'a, str>>>,
    faults: Vec<Fault>,
    faults_left_out: usize,
}

impl<'a> Parameters<'a> {
    /// Reads a query (what follows the `?`) of a route that takes the parameters `known`.
    pub(super) fn read(query: Option<&'a str>, known: &'static [&'static str]) -> Self {
        let mut parameters =
            Self { known, sent: vec![None; known.len()], faults: Vec::new(), faults_left_out: 0 };
        // As in forms, nothing between two `&` is no parameter.
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            parameters.note(pair);
        }
        parameters
    }

    fn note(&mut self, pair: &'a str) {
        let (raw_name, raw_value) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(name) = decode(raw_name) else {
            return self.fault(raw_name, NOT_DECODABLE);
        };
        let Some(index) = self.known.iter().position(|known| *known == name) else {
            return self.fault(&name, "is not a known parameter");
        };
        match decode(raw_value) {
            _ if self.sent.get(index).is_some_and(Option::is_some) => {
                self.fault(&name, "is given more than once");
            }
            None => self.fault(&name, NOT_DECODABLE),
            Some(value) => {
                if value.is_empty() {
                    self.fault(&name, "must not be empty");
                }
                if let Some(place) = self.sent.get_mut(index) {
                    *place = Some(value);
                }
            }
        }
    }

    /// Notes a fault of a parameter, or of the header that goes with them.
    pub(super) fn fault(&mut self, name: &str, message: impl std::fmt::Display) {
        let fault = Fault::of_field(name, message);
        if self.faults.len() >= FAULTS_MAX {
            self.faults_left_out += 1;
        } else if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// The value of a parameter as `parse` reads it; none if it was not sent, is empty, or has faults.
    pub(super) fn take<T, E: std::fmt::Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, Vec<E>>,
    ) -> Option<T> {
        let index = self.known.iter().position(|known| *known == name)?;
        let value = self.sent.get_mut(index)?.take().filter(|value| !value.is_empty())?;
        match parse(&value) {
            Ok(value) => Some(value),
            Err(faults) => {
                for fault in faults {
                    self.fault(name, fault);
                }
                None
            }
        }
    }

    /// Whether a parameter was sent, and not taken yet.
    pub(super) fn has(&self, name: &str) -> bool {
        let index = self.known.iter().position(|known| *known == name);
        index.is_some_and(|index| self.sent.get(index).is_some_and(Option::is_some))
    }

    /// Whether nothing was found wrong so far.
    pub(super) fn are_right(&self) -> bool {
        self.faults.is_empty()
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// 400, if anything was found wrong.
    pub(super) fn finish(self) -> Result<(), ApiError> {
        let faults = self.into_faults();
        if faults.is_empty() { Ok(()) } else { Err(ApiError::InvalidQuery(faults)) }
    }

    /// Everything that was found wrong; empty if nothing was.
    pub(super) fn into_faults(mut self) -> Vec<Fault> {
        if self.faults_left_out > 0 {
            let message = format!("has {} more faults of this kind", self.faults_left_out);
            self.faults.push(Fault { path: Vec::new(), message });
        }
        self.faults
    }
}

const NOT_DECODABLE: &str = "must be percent-encoded UTF-8";

/// Decodes a name or a value as forms do, `+` for a space, but strictly: every `%` must begin a byte, and the
/// bytes must be UTF-8.
fn decode(raw: &str) -> Option<Cow<'_, str>> {
    if !raw.contains(['%', '+']) {
        return Some(Cow::Borrowed(raw));
    }
    let is_byte = |rest: &str| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !raw.split('%').skip(1).all(is_byte) {
        return None;
    }
    let spaced = raw.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().ok()?.into_owned();
    Some(Cow::Owned(decoded))
}

#[cfg(test)]
pub(super) mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;

    const KNOWN: &[&str] = &["a", "b"];

    fn read(query: &str) -> (Option<String>, Vec<String>) {
        let mut parameters = Parameters::read(Some(query), KNOWN);
        let a = parameters.take("a", |text| Ok::<_, Vec<String>>(text.to_owned()));
        let faults = parameters.into_faults();
        (a, faults.into_iter().map(|fault| format!("{} {}", fault.path.join("."), fault.message)).collect())
    }

    #[test]
    fn values_are_decoded_as_forms_are() {
        for (query, value) in [
            ("a=x", "x"),
            ("a=x+y", "x y"),
            ("a=%2B%26%3d", "+&="),
            ("a=%C3%A4", "ä"),
            ("a=x=y", "x=y"),
            ("&&a=x&", "x"),
            ("%61=x", "x"),
            ("a=ä", "ä"),
        ] {
            assert_eq!(read(query), (Some(value.to_owned()), vec![]), "{query}");
        }
        assert_eq!(read(""), (None, vec![]));
        assert_eq!(read("&"), (None, vec![]));
    }

    #[test]
    fn every_fault_is_told() {
        let (_, faults) = read("a=1&c=2&a=3&b=&d&=x&%ff=1&c=9");
        assert_eq!(
            faults,
            [
                "c is not a known parameter",
                "a is given more than once",
                "b must not be empty",
                "d is not a known parameter",
                " is not a known parameter",
                "%ff must be percent-encoded UTF-8",
            ]
        );
    }

    #[test]
    fn wrong_encodings_are_refused() {
        for value in ["%", "%4", "%zz", "x%", "%+1", "%ff", "%C3", "%ED%A0%80", "%é"] {
            assert_eq!(read(&format!("a={value}")).1, [format!("a {NOT_DECODABLE}")], "{value}");
        }
    }

    #[test]
    fn a_flood_of_parameters_gives_a_short_list() {
        let query: Vec<String> = (0..20_000).map(|n| format!("x{n}")).collect();
        let (_, faults) = read(&query.join("&"));
        assert_eq!(faults.len(), FAULTS_MAX + 1);
        assert_eq!(faults.last().unwrap(), " has 19900 more faults of this kind");
    }

    /// Pieces of queries, in any order.
    pub(in crate::http) fn queries() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => "(a|b|limit|status|cursor|tenant|taskFamily|parentVtid)=",
            4 => "[a-zA-Z0-9_-]{0,12}",
            2 => "%[0-9a-fA-F]{2}",
            2 => "[&=+%?#/ ]",
            1 => any::<String>(),
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(crate::http::tests::support::fuzz_cases())]

        /// What is read comes back from its own encoding; what is not is told of.
        #[test]
        fn fuzz_queries(query in queries()) {
            let (a, faults) = read(&query);
            prop_assert!(faults.len() <= FAULTS_MAX + 1);
            if let Some(a) = a {
                let again = format!("a={}", utf8_percent_encode(&a, NON_ALPHANUMERIC));
                prop_assert_eq!(read(&again), (Some(a), vec![]));
            }
        }
    }
}
