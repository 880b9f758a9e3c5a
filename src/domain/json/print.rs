//! Compact printing: no space, strings escaped as `serde_json` escapes them.

use super::{Json, Object};

impl Object {
    /// Appends the object as compact JSON.
    pub fn write_compact(&self, out: &mut String) {
        print_object(self, out);
    }

    /// The length of the compact JSON in bytes, without building it.
    #[must_use]
    pub fn compact_len(&self) -> usize {
        let mut count = Count(0);
        print_object(self, &mut count);
        count.0
    }
}

/// Appends `text` as a JSON string.
pub(super) fn write_string(text: &str, out: &mut String) {
    print_string(text, out);
}

impl Json {
    /// The value as compact JSON.
    #[must_use]
    pub fn to_compact(&self) -> String {
        let mut text = String::new();
        self.write_compact(&mut text);
        text
    }

    /// Appends the value as compact JSON.
    pub fn write_compact(&self, out: &mut String) {
        print(self, out);
    }

    /// The length of [`Json::to_compact`] in bytes, without building it.
    #[must_use]
    pub fn compact_len(&self) -> usize {
        let mut count = Count(0);
        print(self, &mut count);
        count.0
    }
}

/// Where the text goes: one printer serves the text and its length, so the two agree.
trait Sink {
    fn put(&mut self, text: &str);
}

impl Sink for String {
    fn put(&mut self, text: &str) {
        self.push_str(text);
    }
}

struct Count(usize);

impl Sink for Count {
    fn put(&mut self, text: &str) {
        self.0 += text.len();
    }
}

fn print(value: &Json, out: &mut impl Sink) {
    match value {
        Json::Null => out.put("null"),
        Json::Bool(true) => out.put("true"),
        Json::Bool(false) => out.put("false"),
        Json::Number(number) => out.put(number.as_str()),
        Json::String(text) => print_string(text, out),
        Json::Array(items) => {
            out.put("[");
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.put(",");
                }
                print(item, out);
            }
            out.put("]");
        }
        Json::Object(object) => print_object(object, out),
    }
}

fn print_object(object: &Object, out: &mut impl Sink) {
    out.put("{");
    for (index, (key, value)) in object.iter().enumerate() {
        if index > 0 {
            out.put(",");
        }
        print_string(key, out);
        out.put(":");
        print(value, out);
    }
    out.put("}");
}

/// Whether a JSON string has this byte as it is.
const fn stands_as_it_is(byte: u8) -> bool {
    byte >= 0x20 && byte != b'"' && byte != b'\\'
}

/// Whether nothing in the text needs an escape.
pub(super) fn is_plain(text: &str) -> bool {
    // To the end without a branch, so that many bytes are looked at in one step.
    text.bytes().fold(true, |plain, byte| plain & stands_as_it_is(byte))
}

fn print_string(text: &str, out: &mut impl Sink) {
    out.put("\"");
    if is_plain(text) {
        out.put(text);
    } else {
        print_escaped(text, out);
    }
    out.put("\"");
}

fn print_escaped(text: &str, out: &mut impl Sink) {
    // What is escaped is ASCII, so every cut falls between characters.
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if stands_as_it_is(byte) {
            continue;
        }
        out.put(&text[plain_from..at]);
        plain_from = at + 1;
        match byte {
            b'"' => out.put("\\\""),
            b'\\' => out.put("\\\\"),
            0x08 => out.put("\\b"),
            0x0C => out.put("\\f"),
            b'\n' => out.put("\\n"),
            b'\r' => out.put("\\r"),
            b'\t' => out.put("\\t"),
            control => {
                out.put(if control < 0x10 { "\\u000" } else { "\\u001" });
                let digit = usize::from(control % 0x10);
                out.put(&"0123456789abcdef"[digit..=digit]);
            }
        }
    }
    out.put(&text[plain_from..]);
}
