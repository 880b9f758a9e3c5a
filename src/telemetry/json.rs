//! Log lines as `tracing_subscriber`'s own JSON formatter prints them, flattened and with the current span, in a
//! third of the time: that one reads a span's fields as JSON for every line, to print them again.

use std::fmt::{self, Debug, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use crate::domain::json::ObjectWriter;

/// About how long a line is.
const LINE_BYTES: usize = 384;

/// Prints an event as one line; spans' fields must be those of [`JsonFields`].
pub(super) struct JsonLine;

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, JsonFields> for JsonLine {
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        // Events of the `log` crate bear their origin in their fields.
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
        let mut text = String::with_capacity(LINE_BYTES);
        let mut line = ObjectWriter::new(&mut text);
        let mut printed = Ok(());
        line.print("timestamp", |out| {
            out.push('"');
            printed = SystemTime.format_time(&mut Writer::new(out));
            out.push('"');
        });
        printed?;
        line.string("level", metadata.level().as_str());
        event.record(&mut Fields { line: &mut line });
        line.string("target", metadata.target());
        if let Some(span) =
            event.parent().and_then(|id| context.span(id)).or_else(|| context.lookup_current())
        {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<JsonFields>>().map_or("", |fields| &fields.fields);
            line.print("span", |out| write_span(fields, span.name(), out));
        }
        line.finish();
        text.push('\n');
        out.write_str(&text)
    }
}

/// The fields, which are an object already, and the span's name in it.
fn write_span(fields: &str, name: &str, out: &mut String) {
    let inner = fields.strip_prefix('{').and_then(|fields| fields.strip_suffix('}')).unwrap_or_default();
    out.push('{');
    out.push_str(inner);
    if !inner.is_empty() {
        out.push(',');
    }
    // A name is one of this program's own, or of a library's: no escapes.
    out.push_str("\"name\":\"");
    out.push_str(name);
    out.push_str("\"}");
}

/// Puts an event's fields into its line.
struct Fields<'a, 'b> {
    line: &'a mut ObjectWriter<'b>,
}

impl Visit for Fields<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.line.string(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.line.number(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.line.raw(field.name(), &value.to_string());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        match serde_json::Number::from_f64(value) {
            Some(number) => self.line.raw(field.name(), &number.to_string()),
            None => self.line.null(field.name()),
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.line.raw(field.name(), if value { "true" } else { "false" });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        // A String takes whatever is printed.
        let _ = write!(text, "{value:?}");
        self.line.string(field.name(), &text);
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::Value;
    use tracing_subscriber::fmt::layer;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        /// The lines but for their times, which no two formatters print at the same microsecond.
        fn read(&self) -> Vec<String> {
            let bytes = self.0.lock().unwrap().clone();
            let lines: Vec<String> = String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect();
            let untimed = lines.iter().map(|line| {
                let value: Value = serde_json::from_str(line).unwrap();
                let time = value["timestamp"].as_str().unwrap();
                assert_eq!(time.len(), "2025-10-28T10:00:00.000000Z".len());
                line.replacen(time, "", 1)
            });
            untimed.collect()
        }
    }

    #[test]
    fn lines_are_those_of_the_library() {
        let (ours, theirs) = (Lines::default(), Lines::default());
        let (our_writer, their_writer) = (ours.clone(), theirs.clone());
        let their_layer = layer().json().flatten_event(true).with_current_span(true).with_span_list(false);
        let subscriber = tracing_subscriber::registry()
            .with(their_layer.with_writer(move || their_writer.clone()))
            .with(layer().json().event_format(JsonLine).with_writer(move || our_writer.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("plain");
            tracing::warn!(
                text = "\"a\"\\\n\u{1}ä",
                yes = true,
                no = false,
                none = None::<u64>,
                "message {}",
                1
            );
            let span = tracing::error_span!("request", request_id = "a\"b\\c");
            span.in_scope(|| {
                tracing::error!(small = -1_i64, large = u64::MAX, half = 0.5, whole = 2.0, tiny = 1e-9, huge = 1e30);
                tracing::info!(debug = ?Some("x"), display = %"y\"", nan = f64::NAN, infinite = f64::INFINITY, "z");
            });
            tracing::info_span!("bare").in_scope(|| tracing::info!(duration_ms = 34.175, "within"));
            tracing::info!(parent: &span, "by its parent");
        });
        let (ours, theirs) = (ours.read(), theirs.read());
        assert_eq!(ours.len(), 6);
        assert_eq!(ours, theirs);
    }
}
