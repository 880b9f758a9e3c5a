//! What can be wrong with a JSON text.

use json_event_parser::JsonSyntaxError;

/// A fault other than one of syntax.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonFault {
    /// Where: keys and array indexes (in decimal digits) from the outermost value inwards.
    pub path: Vec<String>,
    /// What.
    pub kind: FaultKind,
}

/// What is wrong with a part of a syntactically correct JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultKind {
    /// The path is a key that its object has more than once (told once for each such key).
    #[error("is given more than once")]
    DuplicateKey,
    /// The path is the first array or object beyond the limit (told once for each key or index of the outermost
    /// value; other faults within it are not looked for).
    #[error("is nested too deeply")]
    TooDeep,
    /// The path is a number of more than [`super::Decimal::CHARS_MAX`] characters when written out.
    #[error("is a number of more than 400 characters when written out")]
    NumberTooLong,
    /// The path is a string with U+0000 in it, or a key with it.
    #[error("must not contain the character U+0000")]
    NulCharacter,
}

/// The text is not JSON (RFC 8259).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not valid JSON: {message} (line {line}, column {column})")]
pub struct SyntaxError {
    /// The line, from 1.
    pub line: u64,
    /// The byte within the line, from 1.
    pub column: u64,
    /// The byte within the text, from 0.
    pub offset: u64,
    /// What was wrong there; without control characters.
    pub message: String,
}

impl SyntaxError {
    pub(super) fn new(line: u64, column: u64, offset: u64, message: impl Into<String>) -> Self {
        Self { line, column, offset, message: message.into() }
    }

    pub(super) fn from_parser(error: &JsonSyntaxError, input_length: usize) -> Self {
        let at = error.location().start;
        let is_at_end = usize::try_from(at.offset).is_ok_and(|offset| offset >= input_length);
        let message = if is_at_end {
            // Else it depends on what stood open: "Object keys must be strings" for `{`.
            "Unexpected end of input".to_owned()
        } else {
            // The parser quotes what it met.
            error.message().replace(char::is_control, "\u{FFFD}")
        };
        Self::new(at.line + 1, at.column + 1, at.offset, message)
    }
}
