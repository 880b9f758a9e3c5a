//! Every variable is one that the program knows; ports, paths and users are the program's own, wherever they are said.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use super::{CLOUD_RUN, COMPOSE, SERVICE_MONITOR, documents, file, object, objects, run};
use crate::support::program;

/// The SDK's own, beside those in the program's help.
const OF_OPENTELEMETRY: [&str; 7] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_SERVICE_NAME",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
];

fn printed(arguments: &[&str]) -> String {
    run(Command::new(program()).env_clear().args(arguments)).unwrap()
}

/// What `--help` says the program reads.
fn known() -> BTreeSet<String> {
    let help = ["serve", "migrate"].map(|command| printed(&[command, "--help"])).concat();
    let names = help.split("[env: ").skip(1).map(|rest| {
        rest.chars().take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '_').collect()
    });
    names.chain(OF_OPENTELEMETRY.map(str::to_owned)).collect()
}

fn keys(map: &Value) -> Vec<String> {
    map.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default()
}

fn names(list: &Value) -> Vec<String> {
    let all = list.as_array().into_iter().flatten();
    all.map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

/// The services of a Compose file that run the ledger.
fn composed(path: &str) -> Vec<(String, Value)> {
    let services = documents(path).remove(0)["services"].as_object().unwrap().clone();
    services.into_iter().filter(|(_, service)| service.get("build").is_some()).collect()
}

/// The containers of whatever has a pod's template.
fn containers(object: &Value) -> Vec<Value> {
    object["spec"]["template"]["spec"]["containers"].as_array().cloned().unwrap_or_default()
}

#[test]
fn the_program_knows_every_variable() {
    let known = known();
    assert!(known.contains("DATABASE_URL") && known.contains("METRICS_LISTEN"), "{known:?}");
    let of_compose = COMPOSE.into_iter().flat_map(composed).map(|(_, service)| keys(&service["environment"]));
    let of_objects = objects().into_iter().map(|object| {
        let given = containers(&object).into_iter().flat_map(|container| names(&container["env"]));
        given.chain(keys(&object["data"])).chain(keys(&object["stringData"])).collect::<Vec<_>>()
    });
    let given: Vec<String> = of_compose.chain(of_objects).flatten().collect();
    assert!(given.len() > 20, "{given:?}");
    let unknown: Vec<_> = given.iter().filter(|name| !known.contains(*name)).collect();
    assert!(unknown.is_empty(), "not the program's: {unknown:?}");
}

fn variable(container: &Value, name: &str) -> String {
    let all = container["env"].as_array().unwrap();
    let found = all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    found["value"].as_str().unwrap().to_owned()
}

fn port(container: &Value, name: &str) -> i64 {
    let all = container["ports"].as_array().unwrap();
    all.iter().find(|one| one["name"] == name).unwrap()["containerPort"].as_i64().unwrap()
}

#[test]
fn ports_and_paths_agree() {
    let deployment = object("Deployment", "vtid-ledger");
    let [ledger] = &containers(&deployment)[..] else { panic!("{deployment}") };
    assert_eq!(variable(ledger, "PORT"), port(ledger, "http").to_string());
    let metrics = format!("0.0.0.0:{}", port(ledger, "metrics"));
    assert_eq!(variable(ledger, "METRICS_LISTEN"), metrics);
    let described: Value = serde_json::from_str(&printed(&["openapi"])).unwrap();
    let cloud_run = documents(CLOUD_RUN).remove(0);
    for container in containers(&deployment).into_iter().chain(containers(&cloud_run)) {
        let probes = ["livenessProbe", "readinessProbe", "startupProbe"].map(|probe| &container[probe]);
        let paths: Vec<&str> = probes.iter().filter_map(|probe| probe["httpGet"]["path"].as_str()).collect();
        assert_eq!(paths.len(), 2, "{container}");
        assert!(paths.iter().all(|path| described["paths"].get(*path).is_some()), "{paths:?}");
    }
    assert_eq!(ledger["livenessProbe"]["httpGet"]["path"], "/vtid/health");
    assert_eq!(ledger["readinessProbe"]["httpGet"]["path"], "/readyz");
    // Named ports are there, in services, the policy and the monitor.
    for (service, target) in [("vtid-ledger", "http"), ("vtid-ledger-metrics", "metrics")] {
        assert_eq!(object("Service", service)["spec"]["ports"][0]["targetPort"], target);
    }
    let monitor = documents(SERVICE_MONITOR).remove(0);
    let monitored = object("Service", "vtid-ledger-metrics");
    assert_eq!(monitor["spec"]["endpoints"][0]["port"], monitored["spec"]["ports"][0]["name"]);
    assert_eq!(monitor["spec"]["selector"]["matchLabels"], monitored["metadata"]["labels"]);
    assert!(file("deploy/prometheus/prometheus.yml").contains(&format!(":{}\"", port(ledger, "metrics"))));
    for (name, service) in
        COMPOSE.into_iter().flat_map(composed).filter(|(name, _)| name.starts_with("ledger"))
    {
        for (variable, value) in [("PORT", "8080"), ("METRICS_LISTEN", &*metrics)] {
            assert_eq!(service["environment"][variable], value, "{name}");
        }
        let ports = service["ports"].as_array().unwrap().iter().map(|port| port.as_str().unwrap());
        let inner: Vec<&str> = ports.map(|port| port.rsplit_once(':').unwrap().1).collect();
        assert_eq!(inner, ["8080", "9464"], "{name}");
    }
}

#[test]
fn every_selector_selects_what_there_is() {
    let labels = object("Deployment", "vtid-ledger")["spec"]["template"]["metadata"]["labels"].clone();
    for (kind, name, path) in [
        ("Deployment", "vtid-ledger", "/spec/selector/matchLabels"),
        ("Service", "vtid-ledger", "/spec/selector"),
        ("Service", "vtid-ledger-metrics", "/spec/selector"),
        ("PodDisruptionBudget", "vtid-ledger", "/spec/selector/matchLabels"),
        ("NetworkPolicy", "vtid-ledger", "/spec/podSelector/matchLabels"),
    ] {
        assert_eq!(object(kind, name).pointer(path), Some(&labels), "{kind} {name}");
    }
    for (kind, name) in [("Deployment", "vtid-ledger"), ("Job", "vtid-ledger-migrate")] {
        for container in containers(&object(kind, name)) {
            for source in container["envFrom"].as_array().unwrap() {
                let kinds = [("configMapRef", "ConfigMap"), ("secretRef", "Secret")];
                let (reference, kind) = kinds.into_iter().find(|(key, _)| source.get(key).is_some()).unwrap();
                object(kind, source[reference]["name"].as_str().unwrap());
            }
        }
    }
}

#[test]
fn nothing_runs_with_more_rights_than_it_needs() {
    let image = file("Dockerfile");
    for (kind, name) in [("Deployment", "vtid-ledger"), ("Job", "vtid-ledger-migrate")] {
        let object = object(kind, name);
        let pod = &object["spec"]["template"]["spec"];
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert!(image.contains(&format!("\nUSER {}\n", pod["securityContext"]["runAsUser"])));
        for container in containers(&object) {
            let context = &container["securityContext"];
            assert_eq!(context["readOnlyRootFilesystem"], true);
            assert_eq!(context["allowPrivilegeEscalation"], false);
            assert_eq!(context["capabilities"]["drop"][0], "ALL");
            assert!(container["resources"]["limits"]["memory"].is_string());
        }
    }
    assert_eq!(object("Deployment", "vtid-ledger")["spec"]["replicas"], 3);
}
