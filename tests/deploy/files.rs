//! Each file is one by its reader's own schema.

use super::{COMPOSE, KUBERNETES, file, run, tool};

/// Merge keys are YAML's own, which that library leaves to others.
const COMPOSE_CHECK: &str = "import json, sys, yaml, compose_spec
compose_spec.PyCompose.from_json(json.dumps(yaml.safe_load(open(sys.argv[1]))))";

fn check_kubernetes(path: &str) -> Result<String, String> {
    run(tool("kubernetes-validate").args(["--strict", "--no-warn", path]))
}

fn check_compose(path: &str) -> Result<String, String> {
    run(tool("python").args(["-c", COMPOSE_CHECK, path]))
}

/// The file with a word in it changed, somewhere else.
fn spoilt(path: &str, from: &str, to: &str) -> tempfile::TempPath {
    let text = file(path);
    assert!(text.contains(from), "{path} has no {from}");
    let changed = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap().into_temp_path();
    std::fs::write(&changed, text.replacen(from, to, 1)).unwrap();
    changed
}

#[test]
fn kubernetes_takes_the_manifests() {
    for path in KUBERNETES {
        check_kubernetes(path).unwrap_or_else(|told| panic!("{path}: {told}"));
    }
    let wrong = spoilt("deploy/kubernetes/ledger.yaml", "readinessProbe", "readyProbe");
    assert!(check_kubernetes(wrong.to_str().unwrap()).is_err(), "the check finds nothing");
}

#[test]
fn compose_takes_its_files() {
    for path in COMPOSE {
        check_compose(path).unwrap_or_else(|told| panic!("{path}: {told}"));
    }
    let wrong = spoilt(COMPOSE[1], "depends_on:", "depend_on:");
    assert!(check_compose(wrong.to_str().unwrap()).is_err(), "the check finds nothing");
}

#[test]
fn shells_take_the_scripts() {
    for path in ["deploy/postgres/primary.sh", "deploy/postgres/standby.sh"] {
        run(std::process::Command::new("sh").args(["-n", path]).current_dir(env!("CARGO_MANIFEST_DIR")))
            .unwrap();
    }
}
