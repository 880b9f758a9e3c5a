//! `<L>/<N>[.p/<W>]`, as C2SP's `tlog-tiles` spells a tile: each has one spelling, and any other names none.

use std::fmt;

use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::tlog::tree::TILE_WIDTH;

/// The highest level that the specification knows.
const LEVEL_MAX: u8 = 63;
/// Numbers are cut into elements of three digits.
const ELEMENT: u64 = 1000;

/// Which tile of a level, and how many hashes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TileName {
    pub(super) number: u64,
    pub(super) width: usize,
}

impl TileName {
    /// Reads it, as it stands in the path: nothing is percent-decoded.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (number, width) = match text.split_once(".p/") {
            Some((number, width)) => (number, width.parse().ok()?),
            None => (text, TILE_WIDTH),
        };
        let add = |number: u64, element: &str| {
            let digits = element.strip_prefix('x').unwrap_or(element);
            number.checked_mul(ELEMENT)?.checked_add(digits.parse().ok()?)
        };
        let number = number.split('/').try_fold(0, add)?;
        let is_partial = (1..TILE_WIDTH).contains(&width);
        let name = Self { number, width };
        ((is_partial || width == TILE_WIDTH) && name.to_string() == text).then_some(name)
    }
}

impl fmt::Display for TileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut above = Vec::new();
        let mut rest = self.number;
        while rest >= ELEMENT {
            above.push(rest % ELEMENT);
            rest /= ELEMENT;
        }
        let last = above.first().copied();
        if last.is_some() {
            write!(f, "x{rest:03}/")?;
        }
        above.iter().skip(1).rev().try_for_each(|element| write!(f, "x{element:03}/"))?;
        write!(f, "{:03}", last.unwrap_or(rest))?;
        if self.width < TILE_WIDTH { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

/// A level, as it is printed.
pub(super) fn parse_level(text: &str) -> Option<u8> {
    text.parse().ok().filter(|level: &u8| *level <= LEVEL_MAX && level.to_string() == text)
}

impl PartialSchema for TileName {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^(x[0-9]{3}/){0,6}[0-9]{3}(\\.p/[1-9][0-9]{0,2})?$"))
            .examples([serde_json::json!("000.p/1")])
            .into()
    }
}

impl ToSchema for TileName {}

/// For the document.
pub(super) struct Level;

impl PartialSchema for Level {
    fn schema() -> RefOr<Schema> {
        let level = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(LEVEL_MAX));
        level.examples([serde_json::json!(0)]).into()
    }
}

impl ToSchema for Level {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_as_the_specification_spells_them() {
        for (text, number, width) in [
            ("000", 0, 256),
            ("999", 999, 256),
            ("x001/000", 1000, 256),
            // Its example.
            ("x001/x234/067", 1_234_067, 256),
            ("x001/x234/067.p/112", 1_234_067, 112),
            ("x001/x000/000.p/1", 1_000_000, 1),
            ("000.p/255", 0, 255),
            ("x018/x446/x744/x073/x709/x551/615", u64::MAX, 256),
        ] {
            let name = TileName { number, width };
            assert_eq!((TileName::parse(text), name.to_string().as_str()), (Some(name), text));
        }
    }

    #[test]
    fn no_other_spelling() {
        for text in [
            "",
            "0",
            "00",
            "0000",
            "x000",
            "x000/001",
            "1000",
            "x001",
            "001/000",
            "x001/x000",
            "x1/000",
            "x001//000",
            "x001/000/",
            "/000",
            "+00",
            "-01",
            "000.p",
            "000.p/",
            "000.p/0",
            "000.p/01",
            "000.p/256",
            "000.p/+1",
            "000.p/1/",
            "000.p/1.p/1",
            "000.P/1",
            "000.p%2F1",
            "x001%2f000",
            "X001/000",
            "xx01/000",
            " 000",
            "000 ",
            "x018/x446/x744/x073/x709/x551/616",
            "x999/x999/x999/x999/x999/x999/x999/999",
            "٠٠٠",
        ] {
            assert_eq!(TileName::parse(text), None, "{text}");
        }
        for text in ["", "00", "01", "64", "255", "256", "-0", "+1", "1.0", " 1", "x", "entries"] {
            assert_eq!(parse_level(text), None, "{text}");
        }
        assert_eq!((parse_level("0"), parse_level("63")), (Some(0), Some(63)));
    }

    proptest! {
        #[test]
        fn names_come_back(number in prop_oneof![0u64..3000, any::<u64>()], width in 1usize..=256) {
            let name = TileName { number, width };
            prop_assert_eq!(TileName::parse(&name.to_string()), Some(name));
        }

        #[test]
        fn whatever_is_read_is_spelled_so(text in "(x?[0-9]{1,4}/){0,3}[0-9]{0,4}(\\.p/?[0-9]{0,3})?|\\PC{0,12}") {
            if let Some(name) = TileName::parse(&text) {
                prop_assert_eq!(name.to_string(), text);
            }
        }
    }
}
