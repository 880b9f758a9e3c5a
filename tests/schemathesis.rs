//! The live service against its own document, by Schemathesis: every phase and every check (see schemathesis.toml), once
//! shortly with the same seed every time. `make fuzz` runs many more cases, from another seed every time:
//! `SCHEMATHESIS_CASES=n` is how many at least, `SCHEMATHESIS_SEED=n` repeats one.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::support::service::{Service, platform};
use crate::support::tokens::{WITH_SECRET, now_seconds, token};

/// Of a short run.
const EXAMPLES: u64 = 35;
const SEED: u64 = 20_261_124;
/// A run makes more cases than this for each example that it may take of a call, and some hundreds besides.
const CASES_AN_EXAMPLE: u64 = 15;
/// Of a short run, and for each case of a long one.
const PATIENCE: Duration = Duration::from_mins(5);
const PATIENCE_A_CASE: Duration = Duration::from_secs(1);

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[tokio::test]
async fn schemathesis_finds_nothing() {
    let cases = setting("SCHEMATHESIS_CASES");
    let seed = setting("SCHEMATHESIS_SEED").unwrap_or_else(|| cases.map_or(SEED, |_| fastrand::u64(..)));
    let examples = cases.map_or(EXAMPLES, |cases| cases.div_ceil(CASES_AN_EXAMPLE));
    let platform = platform().await;
    // With tokens, so that it tries to do without.
    let service = platform.serve_with(&WITH_SECRET).await;
    let token = token(&json!({"role": "service_role", "sub": "fuzzer", "exp": now_seconds() + 86_400}));
    let bearer = format!("Bearer {token}");
    println!("SCHEMATHESIS_SEED={seed}");
    let run = tokio::time::timeout(patience(cases), run(&service, &bearer, examples, seed));
    let (found_nothing, told) = run.await.expect("Schemathesis ends");
    let (_, summary) = told.split_once("= SUMMARY =").unwrap_or(("", &told));
    assert!(found_nothing, "see above");
    assert!(told.contains("15 selected / 15 total"), "not every call was made");
    assert!(generated(&told) >= cases.unwrap_or(1), "fewer cases than asked for");
    for phase in ["Examples", "Coverage", "Fuzzing", "Stateful"] {
        assert!(summary.contains(&format!("✅ {phase}")), "{phase} did not run");
    }
    service.get("/vtid/health").await.expect(200);
}

fn patience(cases: Option<u64>) -> Duration {
    PATIENCE + PATIENCE_A_CASE * u32::try_from(cases.unwrap_or(0)).unwrap()
}

/// Whether it found nothing, and all that it printed, which is printed here too.
async fn run(service: &Service, authorization: &str, examples: u64, seed: u64) -> (bool, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tool = tool(root);
    let mut command = Command::new(tool.join("bin/python"));
    command.args(["-m", "schemathesis.cli", "run", "--no-color"]);
    // Every path: by itself it would leave out the one that the document comes from.
    command.args(["--include-path-regex", "."]);
    command.arg("--max-examples").arg(examples.to_string()).arg("--seed").arg(seed.to_string());
    command.arg("--header").arg(format!("Authorization: {authorization}"));
    command.arg(format!("{}/openapi.json", service.base()));
    command.env_clear().env("HYPOTHESIS_STORAGE_DIRECTORY", tool.join("hypothesis"));
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONIOENCODING", "utf-8").env("COLUMNS", "100");
    command.env("PYTHONUNBUFFERED", "1").current_dir(root).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut told = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        println!("{line}");
        told += &line;
        told.push('\n');
    }
    (child.wait().await.unwrap().success(), told)
}

fn tool(root: &Path) -> PathBuf {
    let tool = root.join(".tools/schemathesis");
    assert!(tool.join("bin/python").exists(), "{} is missing: run `make test-deps`", tool.display());
    tool
}

/// How many cases it made.
fn generated(told: &str) -> u64 {
    let (before, _) = told.split_once(" generated,").expect("the number of cases");
    before.rsplit(char::is_whitespace).next().unwrap().parse().unwrap()
}
