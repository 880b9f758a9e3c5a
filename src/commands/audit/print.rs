//! How audits are printed: for people, and as JSON.

use std::io::{self, Write};

use crate::domain::event::Event;
use crate::domain::json::{Json, ObjectWriter, ParseLimits};
use crate::domain::metadata::MAX_DEPTH;
use crate::domain::origin::TraceParent;
use crate::domain::record::Recorded;
use crate::domain::text::Tenant;

/// Characters of a free text in a table.
const CELL: usize = 60;

/// A text as a terminal may show it: what it would obey, and what would turn the order of the text round, is escaped.
pub(super) fn shown(text: &str) -> String {
    let obeys = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if obeys(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// As [`shown`], cut to what fits into a table.
pub(super) fn cell(text: &str) -> String {
    let text = shown(text);
    match text.char_indices().nth(CELL) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A table whose rows are printed as they come, so that it may have any number of them.
pub(super) struct Table<const N: usize> {
    widths: [usize; N],
}

impl<const N: usize> Table<N> {
    /// Prints the heads, each with the width that its column has at least.
    pub(super) fn begin(out: &mut impl Write, heads: [(&str, usize); N]) -> io::Result<Self> {
        let table = Self { widths: heads.map(|(head, width)| width.max(head.chars().count())) };
        table.row(out, &heads.map(|(head, _)| head.to_owned()))?;
        table.row(out, &table.widths.map(|width| "-".repeat(width)))?;
        Ok(table)
    }

    pub(super) fn row(&self, out: &mut impl Write, cells: &[String; N]) -> io::Result<()> {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(self.widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count())));
            line.push_str("  ");
        }
        writeln!(out, "{}", line.trim_end())
    }
}

/// An array of objects, printed as they come.
pub(super) struct JsonList {
    first: bool,
}

impl JsonList {
    /// `before`: what stands in front of the array, its bracket included.
    pub(super) fn begin(out: &mut impl Write, before: &str) -> io::Result<Self> {
        write!(out, "{before}")?;
        Ok(Self { first: true })
    }

    pub(super) fn item(&mut self, out: &mut impl Write, json: &str) -> io::Result<()> {
        let comma = if std::mem::take(&mut self.first) { "" } else { "," };
        write!(out, "{comma}\n{json}")
    }
}

/// Who asked: the actor, and in which capacity.
pub(super) fn who(event: &Event) -> String {
    let actor = &event.origin.actor;
    let tenant = actor.tenant.as_ref().map_or(String::new(), |tenant| format!(", {}", tenant.as_str()));
    format!("{} ({}{tenant})", shown(actor.id.as_str()), actor.role.as_str())
}

/// An event's attributes, as JSON has them in every command.
pub(super) fn write_event(object: &mut ObjectWriter, recorded: &Recorded) {
    let Event { position, id, vtid, version, tenant, recorded_at, origin, data } = &recorded.event;
    object.number("position", position.get());
    object.plain("event_id", id);
    object.string("type", data.event_type().as_str());
    object.plain("vtid", vtid);
    object.number("version", version.get());
    object.plain("time", recorded_at);
    object.string("tenant", tenant.as_str());
    object.string("actor", origin.actor.id.as_str());
    object.string("actor_role", origin.actor.role.as_str());
    object.string_or_null("actor_tenant", origin.actor.tenant.as_ref().map(Tenant::as_str));
    object.string("request_id", origin.request_id.as_str());
    object.string_or_null("traceparent", origin.traceparent.as_ref().map(TraceParent::as_str));
    let key = origin.idempotency.as_ref().map(|given| given.key.as_str());
    object.string_or_null("idempotency_key", key);
}

/// What was asked for, as the record has it.
pub(super) fn asked(recorded: &Recorded) -> Option<Json> {
    let limits = ParseLimits { max_depth: 2 + MAX_DEPTH };
    match Json::parse(recorded.body.as_bytes(), &limits).ok()?.value {
        Json::Object(mut record) => record.take("data"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(shown("a\u{1b}[31m\u{202e}ü🚀\n"), "a\\u{1b}[31m\\u{202e}ü🚀\\n");
        assert_eq!(cell(&"ü".repeat(61)), format!("{}…", "ü".repeat(60)));
        assert_eq!(cell(&"ü".repeat(60)), "ü".repeat(60));
    }

    #[test]
    fn rows_stand_below_their_heads() {
        let mut out = Vec::new();
        let table = Table::begin(&mut out, [("a", 3), ("long head", 0)]).unwrap();
        table.row(&mut out, &["ü".to_owned(), "x".to_owned()]).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "a    long head\n---  ---------\nü    x\n");
    }
}
