//! Which of two forms a caller would rather have (RFC 9110, 12.5.1).

use axum::http::{HeaderMap, HeaderValue, header};
use mime::Mime;

/// One record a line.
pub(super) const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// Whether the caller asks for lines by name, and not more for JSON.
pub(super) fn wants_lines(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
    let ranges: Vec<Mime> =
        lines.flat_map(|line| line.split(',')).filter_map(|range| range.trim().parse().ok()).collect();
    let weight = |subtype| ranges.iter().filter(|range| is(range, subtype)).map(weight_of).max().unwrap_or(0);
    let lines = weight("x-ndjson");
    lines > 0 && lines >= weight("json")
}

fn is(range: &Mime, subtype: &str) -> bool {
    range.type_() == mime::APPLICATION && range.subtype().as_str().eq_ignore_ascii_case(subtype)
}

/// In thousandths; a malformed one counts as none given.
fn weight_of(range: &Mime) -> u16 {
    let given = range.get_param("q").and_then(|q| q.as_str().parse::<f32>().ok());
    let weight = given.filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or(1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
    let thousandths = (weight * 1000.0).round() as u16;
    thousandths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(lines: &[&'static str]) -> bool {
        let lines = lines.iter().map(|line| (header::ACCEPT, HeaderValue::from_static(line)));
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, value);
        }
        wants_lines(&headers)
    }

    #[test]
    fn lines_are_for_those_who_name_them() {
        for accept in [
            &["application/x-ndjson"][..],
            &["application/x-ndjson, */*"],
            &["application/json;q=0.9, application/x-ndjson"],
            &["application/x-ndjson;q=0.5, text/html"],
            &["text/html", "Application/X-NDJSON"],
            &["application/json, application/x-ndjson"],
        ] {
            assert!(asked(accept), "{accept:?}");
        }
        for accept in [
            &[][..],
            &["*/*"],
            &["application/*"],
            &["application/json"],
            &["application/x-ndjson;q=0"],
            &["application/x-ndjson;q=0.5, application/json"],
            &["application/ndjson"],
            &["text/x-ndjson"],
            &[""],
            &[",,;"],
        ] {
            assert!(!asked(accept), "{accept:?}");
        }
    }
}
