//! Going through a record from left to right, as long as it is what the ledger prints.

use std::borrow::Cow;

/// A piece of a line. Lines have 65,535 bytes at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    from: u16,
    to: u16,
}

impl Span {
    fn new(from: usize, to: usize) -> Option<Self> {
        Some(Self { from: u16::try_from(from).ok()?, to: u16::try_from(to).ok()? })
    }

    /// The piece of the line that it was found in.
    pub(crate) fn of(self, line: &[u8]) -> &[u8] {
        line.get(usize::from(self.from)..usize::from(self.to)).unwrap_or_default()
    }
}

/// A text without escapes, and where it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece<'a> {
    pub(crate) text: &'a str,
    pub(crate) span: Span,
}

/// A line, and how far it was read. Whatever gives none ends the reading: the line has another form.
pub(crate) struct Reader<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(line: &'a str) -> Self {
        Self { line, at: 0 }
    }

    fn rest(&self) -> &'a [u8] {
        self.line.as_bytes().get(self.at..).unwrap_or_default()
    }

    pub(crate) fn at_end(&self) -> bool {
        self.at == self.line.len()
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.line.as_bytes().get(self.at).copied()
    }

    /// Takes one byte.
    pub(crate) fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// Takes this very text.
    #[inline]
    pub(crate) fn literal(&mut self, text: &str) -> Option<()> {
        self.skip(text).then_some(())
    }

    /// Takes this very text, if it comes next.
    #[inline]
    pub(crate) fn skip(&mut self, text: &str) -> bool {
        let comes = self.rest().starts_with(text.as_bytes());
        if comes {
            self.at += text.len();
        }
        comes
    }

    /// The rest of a string without escapes; takes its closing quote.
    pub(crate) fn plain(&mut self) -> Option<Piece<'a>> {
        let from = self.at;
        let to = from + plain_bytes(self.rest());
        if self.line.as_bytes().get(to) != Some(&b'"') {
            return None;
        }
        let text = self.line.get(from..to)?;
        self.at = to + 1;
        Some(Piece { text, span: Span::new(from, to)? })
    }

    /// As [`Self::plain`], which must be what `allows` takes.
    pub(crate) fn allowed(&mut self, allows: impl Fn(&str) -> bool) -> Option<Span> {
        let piece = self.plain()?;
        allows(piece.text).then_some(piece.span)
    }

    /// As [`Self::plain`], which must be what `parse` reads.
    pub(crate) fn read<T>(&mut self, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.plain().and_then(|piece| parse(piece.text))
    }

    /// The rest of a string, its escapes resolved; takes its closing quote.
    pub(crate) fn text(&mut self) -> Option<Cow<'a, str>> {
        let from = self.at;
        if self.string()? {
            return self.line.get(from..self.at - 1).map(Cow::Borrowed);
        }
        let quoted = self.line.get(from.checked_sub(1)?..self.at)?;
        serde_json::from_str(quoted).ok().map(Cow::Owned)
    }

    /// Takes the rest of a string with its closing quote; tells whether it has no escapes. None where an escape is one
    /// that needs a closer look: U+0000, and the halves of surrogate pairs.
    pub(crate) fn string(&mut self) -> Option<bool> {
        let mut plain = true;
        loop {
            self.at += plain_bytes(self.rest());
            match self.next()? {
                b'"' => return Some(plain),
                b'\\' => {}
                _ => return None,
            }
            plain = false;
            self.escape()?;
        }
    }

    fn escape(&mut self) -> Option<()> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let digits = self.line.get(self.at..self.at + 4)?;
                // No sign: the first byte is looked at too.
                let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                let unit = u16::from_str_radix(digits, 16).ok().filter(|_| is_hex)?;
                self.at += 4;
                (unit != 0 && !(0xD800..=0xDFFF).contains(&unit)).then_some(())
            }
            _ => None,
        }
    }

    /// Takes the digits that come next; tells how many.
    pub(crate) fn digits(&mut self) -> usize {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        count
    }

    /// The whole line.
    pub(crate) fn line(&self) -> &'a str {
        self.line
    }

    /// How many bytes were read.
    pub(crate) fn position(&self) -> usize {
        self.at
    }
}

/// The byte eight times.
const fn eight(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// How many bytes come before the next quote, backslash or control character, or the end. Eight at a time: of each byte the
/// highest bit of `found` tells whether it is one of them, up to and with the first that is.
fn plain_bytes(bytes: &[u8]) -> usize {
    let (pieces, rest) = bytes.as_chunks::<8>();
    for (index, piece) in pieces.iter().enumerate() {
        let word = u64::from_le_bytes(*piece);
        let is_zero = |word: u64| word.wrapping_sub(eight(1)) & !word;
        let is_control = word.wrapping_sub(eight(0x20)) & !word;
        let found = (is_zero(word ^ eight(b'"')) | is_zero(word ^ eight(b'\\')) | is_control) & eight(0x80);
        if found != 0 {
            return index * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let is_plain = |byte: &&u8| **byte >= 0x20 && **byte != b'"' && **byte != b'\\';
    pieces.len() * 8 + rest.iter().take_while(is_plain).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_byte_that_is_not_plain_is_found(
            bytes in proptest::collection::vec(prop_oneof![4 => any::<u8>(), 1 => Just(b'"'), 8 => 0x20u8..0x7f], 0..40),
        ) {
            let expected = bytes.iter().position(|byte| *byte < 0x20 || *byte == b'"' || *byte == b'\\');
            prop_assert_eq!(plain_bytes(&bytes), expected.unwrap_or(bytes.len()));
        }
    }
}
