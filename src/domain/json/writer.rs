//! Writing an object key by key, without building a value first.

use std::fmt::{Display, Write as _};

use super::print::{is_plain, write_string};
use super::{Json, Object};

/// Writes one object, compactly, at the end of a text. The caller gives each key once, and only keys that need no
/// escape: they are names of this program's own.
pub struct ObjectWriter<'a> {
    out: &'a mut String,
    first: bool,
}

impl<'a> ObjectWriter<'a> {
    /// Begins an object.
    pub fn new(out: &'a mut String) -> Self {
        out.push('{');
        Self { out, first: true }
    }

    fn key(&mut self, key: &str) {
        if !self.first {
            self.out.push(',');
        }
        self.first = false;
        debug_assert!(is_plain(key), "the key {key:?} needs an escape");
        self.out.push('"');
        self.out.push_str(key);
        self.out.push_str("\":");
    }

    /// A string.
    pub fn string(&mut self, key: &str, text: &str) {
        self.key(key);
        write_string(text, self.out);
    }

    /// A string that `value` prints, such as an id, a time or a number, in which nothing needs an escape.
    pub fn plain(&mut self, key: &str, value: impl Display) {
        self.key(key);
        let from = self.out.len();
        // A String takes whatever is printed.
        let _ = write!(self.out, "\"{value}\"");
        debug_assert!(is_plain(&self.out[from + 1..self.out.len() - 1]), "what {key} prints needs an escape");
    }

    /// A string, or nothing at all.
    pub fn string_if_some(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.string(key, text);
        }
    }

    /// A string, or null.
    pub fn string_or_null(&mut self, key: &str, text: Option<&str>) {
        match text {
            Some(text) => self.string(key, text),
            None => self.null(key),
        }
    }

    /// `null`
    pub fn null(&mut self, key: &str) {
        self.raw(key, "null");
    }

    /// A text that is JSON already.
    pub fn raw(&mut self, key: &str, json: &str) {
        self.key(key);
        self.out.push_str(json);
    }

    /// JSON that `write` appends.
    pub fn print(&mut self, key: &str, write: impl FnOnce(&mut String)) {
        self.key(key);
        write(self.out);
    }

    /// A number that prints as JSON does.
    pub fn number(&mut self, key: &str, number: u64) {
        self.key(key);
        let _ = write!(self.out, "{number}");
    }

    /// An object that is there already.
    pub fn value(&mut self, key: &str, object: &Object) {
        self.key(key);
        object.write_compact(self.out);
    }

    /// Any value.
    pub fn json(&mut self, key: &str, json: &Json) {
        self.key(key);
        json.write_compact(self.out);
    }

    /// An object that `write` fills.
    pub fn object(&mut self, key: &str, write: impl FnOnce(&mut ObjectWriter)) {
        self.key(key);
        let mut inner = ObjectWriter::new(self.out);
        write(&mut inner);
        inner.finish();
    }

    /// Ends the object.
    pub fn finish(self) {
        self.out.push('}');
    }
}
