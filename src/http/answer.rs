//! Answers in JSON, and the headers that say what they show.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;

use crate::domain::json::ObjectWriter;
use crate::domain::position::{Position, Version};
use crate::domain::row::write_row;
use crate::domain::task::Task;

/// The position that an answer shows, or that a write came to.
pub(super) const LEDGER_POSITION: HeaderName = HeaderName::from_static("ledger-position");

/// About how long a row is.
pub(super) const ROW_BYTES: usize = 640;

/// An answer whose body is JSON already.
pub(super) fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An answer with 200, whose body `write` fills after `"ok":true`.
pub(super) fn ok(capacity: usize, write: impl FnOnce(&mut ObjectWriter)) -> Response {
    let mut body = String::with_capacity(capacity);
    let mut object = ObjectWriter::new(&mut body);
    object.raw("ok", "true");
    write(&mut object);
    object.finish();
    json(StatusCode::OK, body)
}

/// Adds `Ledger-Position`.
pub(super) fn show_position(response: &mut Response, position: Position) {
    response.headers_mut().insert(LEDGER_POSITION, HeaderValue::from(position.get()));
}

/// Adds the task's `ETag`.
pub(super) fn show_version(response: &mut Response, version: Version) {
    if let Some(value) = header_value(format!("\"v{version}\"")) {
        response.headers_mut().insert(header::ETAG, value);
    }
}

/// A header's value from a text that has visible ASCII characters alone, as numbers and VTIDs do.
pub(super) fn header_value(text: String) -> Option<HeaderValue> {
    let value = HeaderValue::try_from(text);
    debug_assert!(value.is_ok(), "only visible ASCII is put into headers");
    value.ok()
}

/// The task's row.
pub(super) fn row(task: &Task) -> String {
    let mut row = String::with_capacity(ROW_BYTES);
    write_row(task, &mut row);
    row
}
