//! The alert rules and the dashboard in `deploy/`: each is right by itself, and asks only for what there is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::read_to_string;

use serde_json::Value;
use vtid_ledger::tlog::key::{KeyKind, SecretKey};

use crate::support::folder;
use crate::support::scrape::{SCRAPED, Scrape, promtool};
use crate::support::service::{platform, some_task};

const ALERTS: &str = "deploy/prometheus/alerts.yml";
const ALERTS_TEST: &str = "deploy/prometheus/alerts_test.yml";

fn file(path: &str) -> String {
    read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The names of all rules.
fn alerts() -> Vec<String> {
    let rules = file(ALERTS);
    let names = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    names.map(str::to_owned).collect()
}

/// All expressions of the dashboard, with what Grafana would put in for its variables.
pub(super) fn panels(rate_window: &str) -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&file("deploy/grafana/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    let expressions = targets.map(|target| target["expr"].as_str().unwrap());
    expressions.map(|e| e.replace("$__rate_interval", rate_window).replace("$job", "vtid-ledger")).collect()
}

/// The metrics that an expression names, each with the labels that it selects by.
fn asked_for(expression: &str) -> BTreeMap<String, BTreeSet<String>> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut asked: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (at, _) in expression.match_indices("vtid_ledger_") {
        let rest = &expression[at..];
        let (name, rest) = rest.split_at(rest.find(|c| !is_name(c)).unwrap_or(rest.len()));
        let selector = rest.strip_prefix('{').map_or("", |rest| &rest[..rest.find('}').unwrap()]);
        let labels =
            selector.split(',').filter_map(|one| Some(one.split_once(['=', '!'])?.0.trim().to_owned()));
        asked.entry(name.to_owned()).or_default().extend(labels);
    }
    asked
}

/// Every metric that there can be, once all that has labels of its own has happened once.
async fn everything() -> Scrape {
    let platform = platform().await;
    let service = platform.serve().await;
    let vtid = service.create(some_task("counted")).await.expect(200).vtid().to_owned();
    service.get(&format!("/vtid/{vtid}")).await.expect(200);
    let keys = folder();
    let key = |name: &str, kind| SecretKey::generate(name.parse().unwrap(), kind).unwrap();
    let path = keys.path().join("audit.key");
    std::fs::write(&path, key("log", KeyKind::Log).print()).unwrap();
    let witness = format!("http://127.0.0.1:1={}", key("w", KeyKind::Witness).public());
    let sealing = ["--audit-key-file", path.to_str().unwrap(), "--witness-urls", &witness];
    let service = platform.serve_with(&[&SCRAPED[..], &sealing].concat()).await;
    service.create(some_task("one more")).await.expect(200);
    let all = |scrape: &Scrape| scrape.all("tasks").count() > 0 && scrape.all("witness_trouble").count() > 0;
    service.scraped("the tasks are counted, and the witness is asked", all).await
}

#[tokio::test]
async fn no_panel_and_no_rule_asks_for_what_does_not_exist() {
    let scrape = everything().await;
    let there = scrape.names();
    // What Prometheus puts on every series.
    let of_prometheus = ["job", "instance"];
    let (rules, panels) = (file(ALERTS), panels("5m"));
    assert!(panels.len() >= 30, "{panels:#?}");
    let mut used = BTreeSet::new();
    for (name, labels) in panels.iter().map(String::as_str).chain([&*rules]).flat_map(asked_for) {
        let known = there.get(&*name).unwrap_or_else(|| panic!("{name} does not exist: {}", scrape.text));
        for label in labels {
            let is_there = known.contains(&*label) || of_prometheus.contains(&&*label);
            assert!(is_there, "{name} has no label {label}: {known:?}");
        }
        used.insert(name);
    }
    // And everything that there is can be seen somewhere.
    let base = |name: &str| {
        let suffix = ["_bucket", "_count", "_sum"].iter().find_map(|suffix| name.strip_suffix(suffix));
        suffix.unwrap_or(name).to_owned()
    };
    let used: BTreeSet<String> = used.iter().map(|name| base(name)).collect();
    let unseen: Vec<_> = there.keys().filter(|name| !used.contains(&base(name))).collect();
    assert!(unseen.is_empty(), "on no panel: {unseen:?}");
}

#[test]
fn the_dashboards_expressions_are_sound() {
    let rules = panels("5m").into_iter().enumerate().map(|(number, expression)| {
        format!("      - record: panel:{number}\n        expr: {}\n", Value::from(expression))
    });
    let rules = format!("groups:\n  - name: dashboard\n    rules:\n{}", rules.collect::<String>());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dashboard.yml");
    std::fs::write(&path, rules).unwrap();
    promtool(&["check", "rules", path.to_str().unwrap()], "");
}

#[test]
fn every_rule_fires_when_it_should_and_not_otherwise() {
    promtool(&["check", "rules", ALERTS], "");
    promtool(&["test", "rules", ALERTS_TEST], "");
    let tests = file(ALERTS_TEST);
    let alerts = alerts();
    assert!(alerts.len() >= 15, "{alerts:?}");
    for alert in alerts {
        for does in ["fires", "does not fire"] {
            let name = format!("  - name: {alert} {does}\n");
            assert_eq!(tests.matches(&name).count(), 1, "{name}");
        }
    }
}

#[test]
fn every_rule_says_how_bad_it_is_and_what_to_do() {
    let rules = file(ALERTS);
    let pages = file("docs/alerts.md");
    let each: Vec<&str> = rules.split("- alert: ").skip(1).collect();
    for rule in &each {
        let name = rule.lines().next().unwrap();
        for part in ["        for: ", "          severity: ", "          summary: "] {
            assert_eq!(rule.matches(part).count(), 1, "{name} {part}");
        }
        let link = format!("runbook_url: docs/alerts.md#{}\n", name.to_lowercase());
        assert!(rule.contains(&link), "{name}");
        assert!(pages.contains(&format!("\n## {name}\n")), "docs/alerts.md has no section {name}");
    }
    assert_eq!(pages.matches("\n## ").count(), each.len(), "a section without a rule");
}

#[test]
fn the_example_of_a_configuration_is_one() {
    promtool(&["check", "config", "--syntax-only", "deploy/prometheus/prometheus.yml"], "");
}
