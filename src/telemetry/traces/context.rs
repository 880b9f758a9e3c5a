//! A `traceparent` as the library has it, and back.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

use crate::domain::origin::TraceParent;

/// The span that a `traceparent` names.
pub(crate) fn context_of(traceparent: &TraceParent) -> Option<SpanContext> {
    let mut parts = traceparent.as_str().split('-').skip(1);
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    let flags = TraceFlags::new(u8::from_str_radix(parts.next()?, 16).ok()?);
    Some(SpanContext::new(trace, span, flags, true, TraceState::default()))
}

/// What names this span elsewhere.
pub(crate) fn traceparent_of(context: &SpanContext) -> Option<TraceParent> {
    // The one flag that version 00 knows.
    let sampled = u8::from(context.is_sampled());
    TraceParent::parse(&format!("00-{}-{}-{sampled:02x}", context.trace_id(), context.span_id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_comes_back() {
        for text in [
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000001-0000000000000001-00",
        ] {
            let context = context_of(&TraceParent::parse(text).unwrap()).unwrap();
            assert!(context.is_valid() && context.is_remote());
            assert_eq!(context.is_sampled(), text.ends_with("01"));
            assert_eq!(traceparent_of(&context).unwrap().as_str(), text);
        }
    }

    #[test]
    fn no_span_has_no_name() {
        assert_eq!(traceparent_of(&SpanContext::empty_context()), None);
    }
}
