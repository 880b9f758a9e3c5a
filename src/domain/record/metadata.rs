//! Whether what comes next is metadata as the ledger prints it: compact, within its limits, no key twice.

use super::reader::{Piece, Reader, Span};
use crate::domain::metadata::{MAX_BYTES, MAX_DEPTH, Printed};

/// Keys of one object that are compared with each other here; with more of them the parser looks at the record.
const MAX_KEYS: usize = 64;
/// Bytes of a number that is surely within the limit, however it is written out.
const MAX_NUMBER: usize = 300;

/// Takes an object. None where it is not one that the parser would surely accept.
pub(crate) fn object<'a>(reader: &mut Reader<'a>, keys: &mut Vec<Span>) -> Option<Printed<'a>> {
    let from = reader.position();
    keys.clear();
    let line = reader.line();
    let mut open = Open { keys, line: line.as_bytes(), levels: [Level::Array; MAX_DEPTH], depth: 0 };
    if reader.peek()? != b'{' {
        return None;
    }
    loop {
        let mut closes = open.value(reader)?;
        while closes {
            if open.depth == 0 {
                // Printed compactly it has no more bytes than it has here: escapes only shrink.
                let text = line.get(from..reader.position()).filter(|text| text.len() <= MAX_BYTES)?;
                return Some(Printed::seen(text));
            }
            closes = open.after_value(reader)?;
        }
    }
}

#[derive(Clone, Copy)]
enum Level {
    Array,
    /// With the place of its first key among those kept.
    Object(usize),
}

struct Open<'a> {
    /// The keys of all objects that are open.
    keys: &'a mut Vec<Span>,
    line: &'a [u8],
    levels: [Level; MAX_DEPTH],
    depth: usize,
}

impl Open<'_> {
    /// Takes a value, or the beginning of one; tells whether it is complete.
    fn value(&mut self, reader: &mut Reader) -> Option<bool> {
        match reader.next()? {
            b'{' => {
                self.push(Level::Object(self.keys.len()))?;
                if reader.skip("}") {
                    self.pop();
                    return Some(true);
                }
                self.key(reader)?;
                Some(false)
            }
            b'[' => {
                self.push(Level::Array)?;
                if reader.skip("]") {
                    self.pop();
                    return Some(true);
                }
                Some(false)
            }
            b'"' => reader.string().map(|_| true),
            b't' => reader.literal("rue").map(|()| true),
            b'f' => reader.literal("alse").map(|()| true),
            b'n' => reader.literal("ull").map(|()| true),
            first @ (b'-' | b'0'..=b'9') => number(reader, first).map(|()| true),
            _ => None,
        }
    }

    /// Takes what stands behind a value; tells whether that closes the array or object around it.
    fn after_value(&mut self, reader: &mut Reader) -> Option<bool> {
        let level = self.levels[self.depth - 1];
        match (reader.next()?, level) {
            (b',', Level::Object(_)) => self.key(reader).map(|()| false),
            (b',', Level::Array) => Some(false),
            (b'}', Level::Object(_)) | (b']', Level::Array) => {
                self.pop();
                Some(true)
            }
            _ => None,
        }
    }

    fn key(&mut self, reader: &mut Reader) -> Option<()> {
        reader.literal("\"")?;
        // A key with escapes could be another one's twin.
        let Piece { text, span } = reader.plain()?;
        reader.literal(":")?;
        let Level::Object(first) = self.levels[self.depth - 1] else { return None };
        let known = &self.keys[first..];
        if known.len() >= MAX_KEYS || known.iter().any(|key| key.of(self.line) == text.as_bytes()) {
            return None;
        }
        self.keys.push(span);
        Some(())
    }

    fn push(&mut self, level: Level) -> Option<()> {
        *self.levels.get_mut(self.depth)? = level;
        self.depth += 1;
        Some(())
    }

    fn pop(&mut self) {
        self.depth -= 1;
        if let Level::Object(first) = self.levels[self.depth] {
            self.keys.truncate(first);
        }
    }
}

/// Takes a number without an exponent: one with an exponent may be long, written out.
fn number(reader: &mut Reader, first: u8) -> Option<()> {
    let from = reader.position();
    let lead = if first == b'-' { reader.next()? } else { first };
    match lead {
        b'0' => {}
        b'1'..=b'9' => {
            reader.digits();
        }
        _ => return None,
    }
    if reader.skip(".") && reader.digits() == 0 {
        return None;
    }
    let ends = !matches!(reader.peek()?, b'e' | b'E');
    (ends && reader.position() - from < MAX_NUMBER).then_some(())
}
