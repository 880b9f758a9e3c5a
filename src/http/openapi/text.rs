//! The document's schema of a text, made from the rule that its parser keeps to.

use std::fmt::Write as _;

use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::domain::text::Rule;

/// Of a text that keeps to `rule`.
pub(super) fn text(rule: &Rule) -> ObjectBuilder {
    let length_min = (!rule.may_be_blank).then_some(1);
    string(&pattern(rule)).min_length(length_min).max_length(Some(rule.max_characters))
}

/// Of a text that matches an ECMA-262 expression.
pub(super) fn string(pattern: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern))
}

/// The rule as an ECMA-262 expression, length apart. It names every character by number: what `\s` means differs
/// from one implementation to the next.
pub(super) fn pattern(rule: &Rule) -> String {
    let is_refused = |c: char| c.is_control() && !rule.controls.contains(&c);
    let allowed = format!("[^{}]", ranges(is_refused));
    if rule.may_be_blank {
        format!("^{allowed}*$")
    } else {
        let visible = format!("[^{}]", ranges(|c| is_refused(c) || c.is_whitespace()));
        format!("^{allowed}*{visible}{allowed}*$")
    }
}

/// White space ends here, and control characters long before.
const LAST: char = '\u{3000}';

/// The characters up to [`LAST`] that `belongs` picks, as the inside of a character class.
fn ranges(belongs: impl Fn(char) -> bool) -> String {
    let mut class = String::new();
    let mut begun: Option<char> = None;
    let mut last = '\0';
    for c in ('\0'..=LAST).filter(|c| belongs(*c)) {
        match begun {
            Some(_) if u32::from(last) + 1 == u32::from(c) => {}
            Some(first) => {
                push_range(&mut class, first, last);
                begun = Some(c);
            }
            None => begun = Some(c),
        }
        last = c;
    }
    if let Some(first) = begun {
        push_range(&mut class, first, last);
    }
    class
}

fn push_range(class: &mut String, first: char, last: char) {
    // Writing to a string can't fail.
    let _ = write!(class, "\\u{:04x}", u32::from(first));
    if first != last {
        let _ = write!(class, "-\\u{:04x}", u32::from(last));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::string::string_regex;

    use super::*;
    use crate::domain::text::{Assignee, Description, TaskFamily, Tenant};
    use crate::domain::vtid::Vtid;

    /// What the expression says, in the dialect of the generator: without anchors, numbers in braces.
    fn generator(pattern: &str) -> impl Strategy<Value = String> + use<> {
        let inside = pattern.trim_start_matches('^').trim_end_matches('$');
        let mut dialect = String::new();
        let mut parts = inside.split("\\u");
        dialect.push_str(parts.next().unwrap());
        for part in parts {
            let (digits, rest) = part.split_at(4);
            write!(dialect, "\\x{{{digits}}}{rest}").unwrap();
        }
        string_regex(&dialect).unwrap()
    }

    #[test]
    fn the_expressions() {
        assert_eq!(pattern(&Assignee::RULE), r"^[^\u0000-\u001f\u007f-\u009f]*$");
        assert_eq!(
            pattern(&Description::RULE),
            [
                r"^[^\u0000-\u0008\u000b-\u001f\u007f-\u009f]*",
                r"[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028-\u2029\u202f\u205f\u3000]",
                r"[^\u0000-\u0008\u000b-\u001f\u007f-\u009f]*$"
            ]
            .concat()
        );
    }

    #[test]
    fn no_white_space_or_control_character_lies_past_the_last() {
        assert!((LAST..=char::MAX).skip(1).all(|c| !c.is_whitespace() && !c.is_control()));
    }

    proptest! {
        #[test]
        fn what_matches_is_taken(
            family in generator(&pattern(&TaskFamily::RULE)),
            description in generator(&pattern(&Description::RULE)),
            assignee in generator(&pattern(&Assignee::RULE)),
            tenant in generator(Tenant::PATTERN),
            vtid in generator(Vtid::PATTERN),
        ) {
            prop_assert!(TaskFamily::parse(&family).is_ok());
            prop_assert!(Description::parse(&description).is_ok());
            prop_assert!(Assignee::parse(&assignee).is_ok());
            prop_assert!(Tenant::parse(&tenant).is_ok());
            prop_assert!(Vtid::parse(&vtid).is_ok());
        }
    }
}
