//! Texts with their limits: each type can hold only what the contract allows.

use std::fmt;
use std::sync::Arc;

/// Why a text is not allowed in its place. Characters are Unicode scalar values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextFault {
    /// Nothing but white space.
    #[error("must not be blank")]
    Blank,
    /// More characters than allowed.
    #[error("must have {0} characters at most")]
    TooLong(usize),
    /// More bytes of UTF-8 than allowed.
    #[error("must have {0} bytes of UTF-8 at most")]
    TooManyBytes(usize),
    /// A control character, U+0000 among them.
    #[error("must not contain control characters")]
    Control,
    /// Not a tenant's name.
    #[error("must match {}", Tenant::PATTERN)]
    NotATenant,
    /// Not a key that a caller may send.
    #[error("must be 1 to 255 visible ASCII characters")]
    NotVisibleAscii,
}

/// What a text must keep to; the API's document is made from the same rule.
pub(crate) struct Rule {
    /// Whether it may have nothing but white space.
    pub(crate) may_be_blank: bool,
    /// Unicode scalar values at most.
    pub(crate) max_characters: usize,
    /// Bytes of UTF-8 at most.
    pub(crate) max_bytes: usize,
    /// Control characters that are allowed nevertheless.
    pub(crate) controls: &'static [char],
}

/// All faults of `text`, in a fixed order; none means that it is allowed.
fn faults(text: &str, rule: &Rule) -> Vec<TextFault> {
    let mut found = Vec::new();
    if !rule.may_be_blank && text.chars().all(char::is_whitespace) {
        found.push(TextFault::Blank);
    }
    // A character has one byte at least.
    if text.len() > rule.max_characters && text.chars().count() > rule.max_characters {
        found.push(TextFault::TooLong(rule.max_characters));
    }
    if text.len() > rule.max_bytes {
        found.push(TextFault::TooManyBytes(rule.max_bytes));
    }
    if !is_printable_ascii(text) && text.chars().any(|c| c.is_control() && !rule.controls.contains(&c)) {
        found.push(TextFault::Control);
    }
    found
}

/// Found without a look at the single characters; most texts are.
fn is_printable_ascii(text: &str) -> bool {
    // To the end without a branch, so that many bytes are looked at in one step.
    text.bytes().fold(true, |printable, byte| printable & (b' '..=b'~').contains(&byte))
}

// Shared: an event, the states that come of it, and all that is kept of them in memory have one text.
macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $rule:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// What it keeps to.
            pub(crate) const RULE: Rule = $rule;

            /// Takes the text unchanged.
            ///
            /// # Errors
            /// Every fault that it has, not only the first.
            pub fn parse(text: &str) -> Result<Self, Vec<TextFault>> {
                let found = faults(text, &Self::RULE);
                if found.is_empty() { Ok(Self(text.into())) } else { Err(found) }
            }

            /// Whether [`Self::parse`] would take the text.
            #[must_use]
            pub fn allows(text: &str) -> bool {
                faults(text, &Self::RULE).is_empty()
            }

            /// The text as it was sent.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_type!(
    /// The family of a task (`task_family`): not blank, 100 characters at most.
    TaskFamily,
    Rule { may_be_blank: false, max_characters: 100, max_bytes: usize::MAX, controls: &[] }
);
text_type!(
    /// The type of a task within its family (`task_type`): not blank, 100 characters at most.
    TaskType,
    Rule { may_be_blank: false, max_characters: 100, max_bytes: usize::MAX, controls: &[] }
);
text_type!(
    /// What the task is about: not blank, 10,000 characters and 16 KiB at most; newline and tab are allowed.
    Description,
    Rule { may_be_blank: false, max_characters: 10_000, max_bytes: 16 * 1024, controls: &['\n', '\t'] }
);
text_type!(
    /// To whom the task is assigned: 200 characters at most.
    Assignee,
    Rule { may_be_blank: true, max_characters: 200, max_bytes: usize::MAX, controls: &[] }
);
text_type!(
    /// Who asked: a token's `sub`; 255 characters at most. Shared by all that they ask for.
    ActorId,
    Rule { may_be_blank: false, max_characters: 255, max_bytes: usize::MAX, controls: &[] }
);

impl ActorId {
    /// Whoever calls a ledger that asks for no token.
    #[must_use]
    pub fn anonymous() -> Self {
        // Within the rule of its type, which a test holds it to.
        Self("anonymous".into())
    }
}

/// A tenant: `^[a-z0-9][a-z0-9_-]{0,62}$`, since it becomes a subject token on NATS. Shared by a task and
/// its events.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(Arc<str>);

impl Tenant {
    /// What every name matches, as an ECMA-262 expression.
    pub(crate) const PATTERN: &str = "^[a-z0-9][a-z0-9_-]{0,62}$";

    /// Takes a tenant's name.
    ///
    /// # Errors
    /// [`TextFault::NotATenant`] for any text outside of the pattern.
    pub fn parse(text: &str) -> Result<Self, TextFault> {
        if Self::allows(text) { Ok(Self(text.into())) } else { Err(TextFault::NotATenant) }
    }

    /// Whether [`Self::parse`] would take the text.
    #[must_use]
    pub fn allows(text: &str) -> bool {
        let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        // To the end without an early exit.
        text.len() <= 63
            && text.bytes().next().is_some_and(alphanumeric)
            && text.bytes().fold(true, |valid, b| valid & (alphanumeric(b) || b == b'_' || b == b'-'))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_met_exactly() {
        assert!(TaskFamily::parse(&"🚀".repeat(100)).is_ok());
        assert_eq!(TaskFamily::parse(&"x".repeat(101)), Err(vec![TextFault::TooLong(100)]));
        assert!(Description::parse(&"x".repeat(10_000)).is_ok());
        assert_eq!(Description::parse(&"x".repeat(10_001)), Err(vec![TextFault::TooLong(10_000)]));
        assert!(Description::parse(&"🚀".repeat(4096)).is_ok());
        assert_eq!(Description::parse(&"🚀".repeat(4097)), Err(vec![TextFault::TooManyBytes(16 * 1024)]));
        assert!(Assignee::parse(&"ä".repeat(200)).is_ok());
        assert_eq!(Assignee::parse(&"ä".repeat(201)), Err(vec![TextFault::TooLong(200)]));
    }

    #[test]
    fn control_characters_and_blanks() {
        assert!(Description::parse("a\n\tb").is_ok());
        for text in ["a\0", "a\r", "\u{1b}[31m", "a\u{7f}", "a\u{85}", "a\u{9f}"] {
            assert_eq!(Description::parse(text), Err(vec![TextFault::Control]), "{text:?}");
            assert_eq!(Assignee::parse(text), Err(vec![TextFault::Control]), "{text:?}");
        }
        assert_eq!(TaskType::parse("a\nb"), Err(vec![TextFault::Control]));
        for text in ["", " ", "\u{3000}\u{a0}"] {
            assert_eq!(TaskType::parse(text), Err(vec![TextFault::Blank]), "{text:?}");
        }
        assert_eq!(
            TaskType::parse("\n"),
            Err(vec![TextFault::Blank, TextFault::Control]),
            "every fault is told"
        );
        assert!(Assignee::parse("").is_ok());
    }

    #[test]
    fn anonymous_is_an_actor_like_others() {
        assert_eq!(ActorId::parse("anonymous"), Ok(ActorId::anonymous()));
    }

    #[test]
    fn tenants() {
        for text in ["a", "0", "system", "a-b_c", &"x".repeat(63)] {
            assert_eq!(Tenant::parse(text).map(|t| t.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "-a", "_a", "A", "a.b", "a*", ">", "a b", "ä", "а", "a\n", &"x".repeat(64)] {
            assert_eq!(Tenant::parse(text), Err(TextFault::NotATenant), "{text:?}");
        }
    }
}
