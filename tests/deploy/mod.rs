//! What is in `deploy/` fits the program, and the schemas of those who read it.

mod files;
mod permissions;
mod settings;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const COMPOSE: [&str; 2] = ["docker-compose.yml", "deploy/docker-compose.ha.yml"];
const KUBERNETES: [&str; 3] =
    ["deploy/kubernetes/config.yaml", "deploy/kubernetes/migrate.yaml", "deploy/kubernetes/ledger.yaml"];
const SERVICE_MONITOR: &str = "deploy/kubernetes/service-monitor.yaml";
const CLOUD_RUN: &str = "deploy/cloud-run/service.yaml";

/// A program of the environment that `make test-deps` makes for these checks.
fn tool(name: &str) -> Command {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/manifests/bin").join(name);
    assert!(path.exists(), "{} is missing: run `make test-deps`", path.display());
    let mut command = Command::new(path);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// Runs it to its end; what it said, as an error where it failed.
fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().unwrap();
    let told = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(told(&output.stdout))
    } else {
        Err(told(&[output.stdout, output.stderr].concat()))
    }
}

fn file(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The documents of a YAML file.
fn documents(path: &str) -> Vec<Value> {
    let program = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    let json = run(tool("python").args(["-c", program, path])).unwrap();
    serde_json::from_str(&json).unwrap()
}

/// All Kubernetes objects, Cloud Run's too.
fn objects() -> Vec<Value> {
    KUBERNETES.into_iter().chain([SERVICE_MONITOR, CLOUD_RUN]).flat_map(documents).collect()
}

/// The object of a kind and name.
fn object(kind: &str, name: &str) -> Value {
    let mut all = KUBERNETES.into_iter().flat_map(documents);
    let found = all.find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}"))
}
