//! Entity tags, as callers send them back in `If-Match` and `If-None-Match` (RFC 9110, 8.8.3 and 13.1).

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::query::Parameters;
use crate::domain::command::Expected;
use crate::domain::position::Version;

/// A header with entity tags, and how the contract spells it, for the list of faults.
pub(super) struct TagHeader {
    pub(super) name: HeaderName,
    pub(super) spelled: &'static str,
}

/// The tags that a header lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TagList {
    /// `*`: whichever there is.
    Any,
    /// These, one at least.
    Of(Vec<Tag>),
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag {
    weak: bool,
    /// The version that has this tag; none has one that was never given out here.
    version: Option<Version>,
}

impl TagList {
    /// The list in the header, however many lines it has; none without one. A malformed one is told with the faults of
    /// the query, and so is one without any tag: nobody means that.
    pub(super) fn take(headers: &HeaderMap, header: &TagHeader, parameters: &mut Parameters) -> Option<Self> {
        let mut lines = headers.get_all(&header.name).iter().map(HeaderValue::as_bytes).peekable();
        lines.peek()?;
        let list = Self::parse(lines);
        if list.is_none() {
            parameters.fault(header.spelled, r#"must be *, or a list of entity tags such as "v3""#);
        }
        list
    }

    fn parse<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let lines: Vec<&[u8]> = lines.map(<[u8]>::trim_ascii).collect();
        if lines == [b"*"] {
            return Some(Self::Any);
        }
        let mut tags = Vec::new();
        for line in lines {
            parse_line(line, &mut tags)?;
        }
        (!tags.is_empty()).then_some(Self::Of(tags))
    }

    /// The versions whose tags are among these by the strong comparison: no weak tag is equal to any.
    pub(super) fn expected(self) -> Expected {
        match self {
            Self::Any => Expected::Any,
            Self::Of(tags) => {
                let strong = tags.into_iter().filter(|tag| !tag.weak);
                Expected::OneOf(strong.filter_map(|tag| tag.version).collect())
            }
        }
    }

    /// Whether the version's tag is among these by the weak comparison.
    pub(super) fn has(&self, version: Version) -> bool {
        match self {
            Self::Any => true,
            Self::Of(tags) => tags.iter().any(|tag| tag.version == Some(version)),
        }
    }
}

/// One line of a list, in which elements may be empty.
fn parse_line(line: &[u8], tags: &mut Vec<Tag>) -> Option<()> {
    let mut rest = line;
    while !rest.is_empty() {
        if !rest.starts_with(b",") {
            let (tag, after) = Tag::parse(rest)?;
            tags.push(tag);
            rest = after.trim_ascii_start();
            if rest.is_empty() {
                break;
            }
        }
        rest = rest.strip_prefix(b",")?.trim_ascii_start();
    }
    Some(())
}

impl Tag {
    /// The tag with which the text begins, and what follows it.
    fn parse(text: &[u8]) -> Option<(Self, &[u8])> {
        let weak = text.strip_prefix(b"W/");
        let opened = weak.unwrap_or(text).strip_prefix(b"\"")?;
        let (inside, after) = opened.split_at_checked(opened.iter().position(|byte| *byte == b'"')?)?;
        let allowed = |byte: &u8| *byte > b' ' && *byte != 0x7F;
        let tag = Self { weak: weak.is_some(), version: version_of(inside) };
        inside.iter().all(allowed).then_some((tag, after.strip_prefix(b"\"")?))
    }
}

/// As [`super::answer::show_version`] prints it.
fn version_of(inside: &[u8]) -> Option<Version> {
    let digits = std::str::from_utf8(inside.strip_prefix(b"v")?).ok()?;
    let version = digits.parse().ok().filter(|number: &u64| number.to_string() == digits)?;
    Some(Version::new(version))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::answer;

    fn parse(lines: &[&str]) -> Option<TagList> {
        TagList::parse(lines.iter().map(|line| line.as_bytes()))
    }

    fn strong(lines: &[&str]) -> Vec<u64> {
        match parse(lines).unwrap().expected() {
            Expected::Any => panic!("not any"),
            Expected::OneOf(versions) => versions.iter().map(|version| version.get()).collect(),
        }
    }

    #[test]
    fn lists_in_every_spelling() {
        for any in ["*", " * "] {
            assert_eq!(parse(&[any]), Some(TagList::Any));
        }
        assert_eq!(strong(&[r#""v3""#]), [3]);
        assert_eq!(strong(&[r#""v3","v12""#]), [3, 12]);
        assert_eq!(strong(&[r#" ,, "v3" ,	"v4",, "#]), [3, 4]);
        assert_eq!(strong(&[r#""v3""#, "", r#""v4""#]), [3, 4], "two lines are one list");
        assert_eq!(strong(&[r#""a,b", "v4""#]), [4], "a comma may be in a tag");
    }

    #[test]
    fn a_weak_tag_is_equal_by_the_weak_comparison_alone() {
        assert_eq!(strong(&[r#"W/"v3", "v4""#]), [4]);
        let list = parse(&[r#"W/"v3", "v4""#]).unwrap();
        let found: Vec<bool> = (2..6).map(|version| list.has(Version::new(version))).collect();
        assert_eq!(found, [false, true, true, false]);
    }

    #[test]
    fn tags_that_no_version_has() {
        for never in [r#""3""#, r#""v""#, r#""v03""#, r#""v+3""#, r#""V3""#, r#""vä""#, r#""""#] {
            assert_eq!(strong(&[never]), [0; 0], "{never}");
        }
        assert_eq!(strong(&[r#""v99999999999999999999""#]), [0; 0]);
    }

    #[test]
    fn what_is_no_list() {
        for wrong in [
            "",
            ",",
            "v3",
            "\"v3",
            "v3\"",
            "'v3'",
            r#""v3" "v4""#,
            r#""v 3""#,
            r#"w/"v3""#,
            "W/v3",
            r#"*, "v3""#,
        ] {
            assert_eq!(parse(&[wrong]), None, "{wrong}");
        }
        assert_eq!(parse(&["*", "*"]), None);
        assert_eq!(parse(&[r#""v3""#, "*"]), None);
    }

    proptest! {
        #![proptest_config(crate::http::tests::support::fuzz_cases())]

        /// What an answer bore is found again, wherever it stands in the list.
        #[test]
        fn a_tag_that_was_given_out_comes_back(
            version in 1..=i64::MAX.unsigned_abs(), weak in any::<bool>(), before in "(\"[a-z,]{0,3}\" ?, ?){0,2}"
        ) {
            let mut response = axum::response::Response::default();
            answer::show_version(&mut response, Version::new(version));
            let shown = response.headers()["etag"].to_str().unwrap();
            let list = parse(&[&format!("{before}{}{shown}", if weak { "W/" } else { "" })]).unwrap();
            prop_assert!(list.has(Version::new(version)));
            prop_assert!(!list.has(Version::new(version - 1)));
            prop_assert_eq!(list.expected().allows(Version::new(version)), !weak);
        }

        /// Whatever is read is made of as many tags as there are pairs of quotes; nothing else is left over.
        #[test]
        fn fuzz_lists(bytes in prop_oneof![
            "[Ww/\"v0-9, *\\t]{0,12}".prop_map(String::into_bytes),
            proptest::collection::vec(any::<u8>(), 0..12),
        ]) {
            match TagList::parse([bytes.as_slice()].into_iter()) {
                Some(TagList::Any) => prop_assert_eq!(bytes.trim_ascii(), b"*"),
                Some(TagList::Of(tags)) => {
                    let between_quotes = bytes.split(|byte| *byte == b'"').count();
                    prop_assert_eq!(between_quotes, 2 * tags.len() + 1);
                    prop_assert!(!tags.is_empty());
                }
                None => {}
            }
        }
    }
}
