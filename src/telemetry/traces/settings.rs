//! OpenTelemetry's standard variables, as far as this program must understand them itself: the SDK and its exporter read
//! the rest (`OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_BSP_*`). Where those would take a default for
//! what they can't read, the process refuses to start, as it does for its other settings.

use std::time::Duration;

/// Where to send everything; `/v1/traces` is added.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// Where to send traces, as it is.
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
const TIMEOUT_MS_MAX: u64 = 60_000;
const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

/// A variable can't be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} ({value:?}) must be {expected}")]
pub struct TraceSettingError {
    name: &'static str,
    value: String,
    expected: &'static str,
}

/// How to send traces.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// For one batch.
    pub(super) timeout: Duration,
    /// The service's name is among the variables.
    pub(super) service_named: bool,
}

impl Settings {
    /// None where no traces are asked for.
    pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, TraceSettingError> {
        // An empty one counts as none, says the specification.
        let given = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let disabled = given("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let exporter = given("OTEL_TRACES_EXPORTER");
        if disabled || exporter.as_deref() == Some("none") {
            return Ok(None);
        }
        if given(TRACES_ENDPOINT).or_else(|| given(ENDPOINT)).is_none() {
            return Ok(None);
        }
        one_of("OTEL_TRACES_EXPORTER", exporter, &["otlp"], "otlp or none")?;
        for name in ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"] {
            one_of(
                name,
                given(name),
                &["http/protobuf"],
                "http/protobuf: the other protocols are not built in",
            )?;
        }
        for name in ["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"] {
            one_of(name, given(name), &["none"], "none: compression is not built in")?;
        }
        sampler(given("OTEL_TRACES_SAMPLER"), given("OTEL_TRACES_SAMPLER_ARG"))?;
        let timeouts = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
        let timeout = timeouts.into_iter().find_map(|name| Some((name, given(name)?)));
        Ok(Some(Self {
            timeout: timeout.map_or(Ok(TIMEOUT_DEFAULT), |(name, value)| milliseconds(name, value))?,
            service_named: given("OTEL_SERVICE_NAME").is_some()
                || given("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|all| all.contains("service.name=")),
        }))
    }
}

fn one_of(
    name: &'static str,
    value: Option<String>,
    known: &[&str],
    expected: &'static str,
) -> Result<(), TraceSettingError> {
    match value {
        Some(value) if !known.contains(&&*value) => Err(TraceSettingError { name, value, expected }),
        _ => Ok(()),
    }
}

fn sampler(name: Option<String>, argument: Option<String>) -> Result<(), TraceSettingError> {
    let by_ratio = name.as_deref().is_some_and(|name| name.ends_with("traceidratio"));
    let expected = "always_on, always_off, traceidratio, or one of these after parentbased_";
    one_of("OTEL_TRACES_SAMPLER", name, &SAMPLERS, expected)?;
    let is_ratio = |text: &str| text.parse::<f64>().is_ok_and(|ratio| (0.0..=1.0).contains(&ratio));
    match argument {
        // The default is all.
        Some(value) if by_ratio && !is_ratio(&value) => Err(TraceSettingError {
            name: "OTEL_TRACES_SAMPLER_ARG",
            value,
            expected: "a number from 0 to 1",
        }),
        _ => Ok(()),
    }
}

fn milliseconds(name: &'static str, value: String) -> Result<Duration, TraceSettingError> {
    match value.trim().parse() {
        Ok(ms @ 1..=TIMEOUT_MS_MAX) => Ok(Duration::from_millis(ms)),
        _ => Err(TraceSettingError { name, value, expected: "milliseconds, from 1 to 60000" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: (&str, &str) = (ENDPOINT, "http://127.0.0.1:4318");

    fn read(given: &[(&str, &str)]) -> Result<Option<Settings>, TraceSettingError> {
        let find = |name: &str| given.iter().find(|(known, _)| *known == name);
        Settings::read(|name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn without_an_address_there_are_no_traces() {
        for given in [
            &[][..],
            &[(ENDPOINT, ""), (TRACES_ENDPOINT, " ")],
            &[("OTEL_SERVICE_NAME", "x"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
            &[AT, ("OTEL_SDK_DISABLED", "True")],
            &[AT, ("OTEL_TRACES_EXPORTER", "none")],
        ] {
            assert_eq!(read(given), Ok(None), "{given:?}");
        }
    }

    #[test]
    fn an_address_is_enough() {
        for address in [AT, (TRACES_ENDPOINT, "https://collector/x")] {
            let settings = read(&[address]).unwrap().unwrap();
            assert_eq!(settings, Settings { timeout: TIMEOUT_DEFAULT, service_named: false });
        }
        let settings = [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "500"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "never"),
            ("OTEL_RESOURCE_ATTRIBUTES", "region=eu,service.name=tasks"),
            AT,
        ];
        let settings = read(&settings).unwrap().unwrap();
        assert_eq!(settings, Settings { timeout: Duration::from_millis(500), service_named: true });
    }

    #[test]
    fn what_can_not_be_done_is_refused_by_name() {
        for wrong in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_TRACES_SAMPLER", "xray"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
            ("OTEL_TRACES_SAMPLER_ARG", "half"),
            ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
        ] {
            let error = read(&[wrong, ("OTEL_TRACES_SAMPLER", "traceidratio"), AT]).unwrap_err();
            assert_eq!(error.name, wrong.0, "{wrong:?}");
        }
    }
}
