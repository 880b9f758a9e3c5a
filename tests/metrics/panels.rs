//! The dashboard's panels, each asked of a real Prometheus that reads a ledger at work: every one has an answer.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::scrape::SCRAPED;
use crate::support::service::{Service, platform, some_task};

/// Scraped once a second, so that rates over this window have points enough.
const RATE_WINDOW: &str = "8s";
/// The panels that show what should not be there: how long it takes until Prometheus knows.
const PATIENCE: Duration = Duration::from_mins(2);

/// A Prometheus with a store of its own; killed when dropped.
struct Prometheus {
    child: Child,
    url: String,
    http: Client,
    _folder: TempDir,
}

impl Prometheus {
    fn start(targets: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = serde_json::json!({
            "global": {"scrape_interval": "1s"},
            "scrape_configs": [{"job_name": "vtid-ledger", "static_configs": [{"targets": targets}]}],
        });
        // JSON is YAML too.
        std::fs::write(folder.path().join("prometheus.yml"), config.to_string()).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("prometheus");
        command.current_dir(folder.path()).args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"]);
        command.arg(format!("--web.listen-address=127.0.0.1:{port}")).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let child = command.spawn().expect("the package `prometheus`: run `make test-deps`");
        let http = vtid_ledger::fetch::client().no_proxy().build().unwrap();
        Self { child, url: format!("http://127.0.0.1:{port}/api/v1/query"), http, _folder: folder }
    }

    /// The series that an expression gives; none while it can't be asked. An expression that is wrong is a failure.
    async fn query(&mut self, expression: &str) -> Option<Vec<Value>> {
        if let Some(status) = self.child.try_wait().unwrap() {
            let mut told = String::new();
            self.child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
            panic!("Prometheus ended with {status}: {told}");
        }
        let mut url = reqwest::Url::parse(&self.url).unwrap();
        url.query_pairs_mut().append_pair("query", expression);
        let answer = self.http.get(url).send().await.ok()?.text().await.ok()?;
        let answer: Value = serde_json::from_str(&answer).ok()?;
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        answer["data"]["result"].as_array().cloned()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One of everything that callers do.
async fn work(service: &Service) {
    let vtid = service.create(some_task("counted")).await.expect(200).vtid().to_owned();
    service.patch(&vtid, r#"{"status":"active"}"#).await.expect(200);
    service.patch(&vtid, r#"{"status":"complete"}"#).await.expect(200);
    service.get(&format!("/vtid/{vtid}")).await.expect(200);
    service.get("/vtid/list?limit=5").await.expect(200);
    service.create("{}").await.expect(400);
}

/// Those that have no number yet, such as one over a window in which nothing happened.
fn is_empty(series: &[Value]) -> bool {
    !series.iter().any(|one| one["value"][1].as_str().is_some_and(|value| value != "NaN"))
}

#[tokio::test]
async fn every_panel_has_an_answer_from_prometheus() {
    let platform = platform().await;
    let services = [platform.serve_with(&SCRAPED).await, platform.serve_with(&SCRAPED).await];
    let mut targets = Vec::new();
    for service in &services {
        targets.push(service.metrics_address().await);
    }
    let mut prometheus = Prometheus::start(&targets);
    let mut empty: Vec<String> = super::files::panels(RATE_WINDOW);
    assert!(empty.len() >= 30, "{empty:#?}");
    let deadline = Instant::now() + PATIENCE;
    while !empty.is_empty() {
        assert!(Instant::now() < deadline, "no answer to {empty:#?}");
        for service in &services {
            work(service).await;
        }
        let mut still = Vec::new();
        for expression in empty {
            if prometheus.query(&expression).await.is_none_or(|series| is_empty(&series)) {
                still.push(expression);
            }
        }
        empty = still;
    }
    // And one that can't have any is seen to have none.
    let nothing = prometheus.query(r#"sum(vtid_ledger_ready{job="another"})"#).await.unwrap();
    assert!(is_empty(&nothing), "{nothing:?}");
}
