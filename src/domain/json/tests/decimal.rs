use crate::domain::json::{Decimal, DecimalError};
use proptest::prelude::*;

fn written(text: &str) -> Result<String, DecimalError> {
    Decimal::parse(text).map(|decimal| decimal.to_string())
}

#[test]
fn every_digit_stays_and_an_exponent_is_written_out() {
    for (given, expected) in [
        ("0", "0"),
        ("-0", "0"),
        ("-0.00", "0.00"),
        ("0.10", "0.10"),
        ("-0.10", "-0.10"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("1e3", "1000"),
        ("1E+3", "1000"),
        ("1e-0", "1"),
        ("1.50e1", "15.0"),
        ("1.5e-3", "0.0015"),
        ("0.001e2", "0.1"),
        ("0.001e3", "1"),
        ("0.0010e5", "100"),
        ("120e-2", "1.20"),
        ("120e-3", "0.120"),
        ("120e-4", "0.0120"),
        ("0e400", "0"),
        ("0e99999999999999999999", "0"),
        ("-0e-3", "0.000"),
        ("0.000e2", "0.0"),
        ("-0.000e-1", "0.0000"),
        ("1e00000000000000000000000000000002", "100"),
    ] {
        assert_eq!(written(given).as_deref(), Ok(expected), "{given}");
    }
}

#[test]
fn four_hundred_characters_are_the_most() {
    let power = |zeros: usize| format!("1{}", "0".repeat(zeros));
    assert_eq!(written("1e308"), Ok(power(308)));
    assert_eq!(written("1e399"), Ok(power(399)));
    assert_eq!(written("-1e398"), Ok(format!("-{}", power(398))));
    assert_eq!(written("1e-398"), Ok(format!("0.{}1", "0".repeat(397))));
    assert_eq!(written("0e-398"), Ok(format!("0.{}", "0".repeat(398))));
    assert_eq!(written(&format!("{}e-399", "0.0")), Err(DecimalError::TooLong));
    let long_but_small = format!("0.{}1e600", "0".repeat(599));
    assert_eq!(written(&long_but_small).as_deref(), Ok("1"));
    for too_long in [
        "1e400",
        "-1e399",
        "1e-399",
        "-1e-398",
        "0e-399",
        "0e-99999",
        "1e-16384",
        "1e99999999999999999999",
        "-1e-99999999999999999999",
        "0.5e9223372036854775807",
        "0.5e-9223372036854775808",
        &"9".repeat(401),
    ] {
        assert_eq!(written(too_long), Err(DecimalError::TooLong), "{too_long}");
    }
}

#[test]
fn only_what_json_calls_a_number_is_one() {
    for text in [
        "",
        "-",
        "+1",
        "01",
        "-01",
        "00",
        "1.",
        ".5",
        "-.5",
        "1e",
        "1e+",
        "1e-",
        "1.e1",
        "1e1.5",
        "1e+-1",
        "0x1",
        "1_000",
        " 1",
        "1 ",
        "1,",
        "NaN",
        "Infinity",
        "-Infinity",
        "1e1e1",
        "1.2.3",
        "٣",
        "--1",
        "1f",
    ] {
        assert_eq!(written(text), Err(DecimalError::NotANumber), "{text:?}");
    }
}

/// A number's value as (negative, significant digits, power of ten of the last of them), found by another way
/// than the code's: everything is shifted into one integer and its zeros are cut.
fn value_of(text: &str) -> (bool, String, i64) {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let lower = text.to_lowercase();
    let (mantissa, exponent) = lower.split_once('e').unwrap_or((&lower, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut power: i64 = exponent.parse().unwrap();
    power -= i64::try_from(fraction.len()).unwrap();
    let all = format!("{whole}{fraction}");
    let digits = all.trim_start_matches('0');
    let cut = digits.trim_end_matches('0');
    if cut.is_empty() {
        return (false, String::new(), 0);
    }
    (negative, cut.to_owned(), power + i64::try_from(digits.len() - cut.len()).unwrap())
}

fn scale_of(text: &str) -> i64 {
    let lower = text.to_lowercase();
    let (mantissa, exponent) = lower.split_once('e').unwrap_or((&lower, "0"));
    let fraction = mantissa.split_once('.').map_or("", |(_, fraction)| fraction);
    (i64::try_from(fraction.len()).unwrap() - exponent.parse::<i64>().unwrap()).max(0)
}

proptest! {
    #[test]
    fn the_value_and_its_scale_stay(
        text in r"-?(0|[1-9][0-9]{0,30}|[1-9]0{0,30})(\.(0{0,20}|[0-9]{1,20})[0-9])?([eE][+-]?[0-9]{1,2})?",
    ) {
        let decimal = Decimal::parse(&text).unwrap();
        let written = decimal.as_str();
        prop_assert!(!written.contains(['e', 'E', '+']));
        prop_assert_eq!(value_of(written), value_of(&text));
        prop_assert_eq!(scale_of(written), scale_of(&text));
        prop_assert_eq!(Decimal::parse(written), Ok(decimal.clone()));
        let whole = written.trim_start_matches('-').split('.').next().unwrap();
        prop_assert!(whole == "0" || !whole.starts_with('0'), "{}", written);
    }

    #[test]
    fn whether_it_is_too_long_is_a_matter_of_its_length(
        negative: bool, digits in "[1-9][0-9]{0,20}", fraction in "([0-9]{1,20})?", exponent in -450_i64..450,
    ) {
        let point = if fraction.is_empty() { "" } else { "." };
        let text = format!("{}{digits}{point}{fraction}e{exponent}", if negative { "-" } else { "" });
        let whole = (i64::try_from(digits.len()).unwrap() + exponent).max(1);
        let scale = scale_of(&text);
        let length = i64::from(negative) + whole + scale + i64::from(scale > 0);
        match Decimal::parse(&text) {
            Ok(decimal) => {
                prop_assert_eq!(i64::try_from(decimal.as_str().len()).unwrap(), length);
                prop_assert!(length <= 400);
            }
            Err(error) => {
                prop_assert_eq!(error, DecimalError::TooLong);
                prop_assert!(length > 400);
            }
        }
    }

    #[test]
    fn no_text_panics(text in r"[-+0-9.eE]{0,12}|\PC{0,8}") {
        let by_serde = serde_json::from_str::<f64>(&text);
        let by_us = Decimal::parse(&text);
        // serde_json allows spaces around it and knows no number past f64; otherwise the two must agree.
        if text.trim() == text && !text.contains(['e', 'E']) {
            prop_assert_eq!(by_us.is_ok(), by_serde.is_ok(), "{}", text);
        }
    }
}
