//! A process's metrics, as Prometheus reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

use super::eventually;
use super::service::{Platform, Service};

/// Has a process serve its metrics too, on any free port.
pub(crate) const SCRAPED: [&str; 2] = ["--metrics-listen", "127.0.0.1:0"];

/// One scrape.
#[derive(Debug)]
pub(crate) struct Scrape {
    pub(crate) text: String,
    /// By name and labels, as they are printed.
    samples: BTreeMap<String, f64>,
}

impl Scrape {
    fn of(text: String) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("not a sample: {line}"));
            (series.to_owned(), value.parse().unwrap())
        });
        let samples: BTreeMap<String, f64> = samples.collect();
        Self { text, samples }
    }

    /// The value of a series, such as `turns_total` or `hold{a="b"}`, named without the prefix, cut to a whole number;
    /// none if it is not there.
    pub(crate) fn get(&self, series: &str) -> Option<i64> {
        self.samples.get(&format!("vtid_ledger_{series}")).map(|value| whole(*value))
    }

    /// As [`Self::get`], where it must be there.
    pub(crate) fn value(&self, series: &str) -> i64 {
        self.get(series).unwrap_or_else(|| panic!("no {series}: {}", self.text))
    }

    /// All series of a metric: their labels as printed, and their values.
    pub(crate) fn all<'a>(&'a self, metric: &'a str) -> impl Iterator<Item = (&'a str, i64)> {
        self.samples.iter().filter_map(move |(series, value)| {
            let labels = series.strip_prefix("vtid_ledger_")?.strip_prefix(metric)?.strip_prefix('{')?;
            Some((labels.strip_suffix('}')?, whole(*value)))
        })
    }

    /// The names of all series, and the labels that each has.
    pub(crate) fn names(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut names: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for series in self.samples.keys() {
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let labels = labels.split("=\"").filter_map(|before| before.rsplit(['"', ',']).next());
            let labels = labels.filter(|label| *label != "}" && !label.is_empty());
            names.entry(name).or_default().extend(labels);
        }
        names
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the tests' numbers are small")]
fn whole(value: f64) -> i64 {
    value as i64
}

impl Platform {
    /// Starts a process that serves its metrics too, and waits until it is ready.
    pub(crate) async fn serve_scraped(&self) -> Service {
        self.serve_with(&SCRAPED).await
    }
}

impl Service {
    /// The address of its metrics.
    pub(crate) async fn metrics_address(&self) -> String {
        eventually("metrics are served", async || {
            self.log_lines().iter().find_map(|line| Some(line["metrics"].as_str()?.to_owned()))
        })
        .await
    }

    /// Reads its metrics, as Prometheus does.
    pub(crate) async fn scrape(&self) -> Scrape {
        let client = vtid_ledger::fetch::client().no_proxy().build().unwrap();
        let address = format!("http://{}/metrics", self.metrics_address().await);
        let response = client.get(address).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let media_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        assert_eq!(media_type, "text/plain; version=0.0.4; charset=utf-8");
        Scrape::of(response.text().await.unwrap())
    }

    /// Reads them until they are as they should be.
    pub(crate) async fn scraped(&self, what: &str, is_so: impl Fn(&Scrape) -> bool) -> Scrape {
        eventually(what, async || Some(self.scrape().await).filter(&is_so)).await
    }
}

/// Runs Prometheus' own tool, which must find nothing wrong.
pub(crate) fn promtool(arguments: &[&str], input: &str) {
    let root = env!("CARGO_MANIFEST_DIR");
    let mut command = Command::new("promtool");
    command
        .args(arguments)
        .current_dir(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("promtool of the package `prometheus`: run `make test-deps`");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    assert!(output.status.success() && !told.contains("FAILED"), "promtool {arguments:?}: {told}");
}
