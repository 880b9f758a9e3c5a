//! Clients that share no code with the service: a script of ours, and the library of Go's checksum database.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::proofs::change_record;
use super::stage::{Stage, stage};

const PATIENCE: Duration = Duration::from_mins(3);

struct Ended {
    success: bool,
    out: String,
    error: String,
}

async fn run(mut command: Command) -> Ended {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(PATIENCE, output).await.expect("it ends").unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { success: output.status.success(), out: text(output.stdout), error: text(output.stderr) }
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tlog").join(name)
}

async fn script(stage: &Stage, key: &str, arguments: &[&str]) -> Ended {
    let mut command = Command::new("python3");
    command.arg(source("verifier.py")).args([stage.service.base(), key, "--token", &stage.token]);
    command.args(arguments).env("PYTHONDONTWRITEBYTECODE", "1");
    run(command).await
}

#[tokio::test]
async fn a_script_of_its_own_finds_everything_right_and_what_was_changed() {
    let stage = stage("ledger.example.org/script").await;
    let folder = tempfile::tempdir().unwrap();
    let older = folder.path().join("checkpoint.txt");
    let older = older.to_str().unwrap();
    let key = stage.vkey();
    for size in [1, 256, 700] {
        stage.grow(size).await;
        stage.seal().await;
        let compared =
            if size == 1 { vec!["--save", older] } else { vec!["--older", older, "--save", older] };
        let told = script(&stage, &key, &compared).await;
        assert!(told.success, "{}", told.error);
        let found: serde_json::Value = serde_json::from_str(&told.out).unwrap();
        assert_eq!(
            (found["size"].as_u64(), found["records"].as_u64()),
            (Some(size as u64), Some(size as u64))
        );
        assert_eq!(found["older"].is_u64(), size > 1);
    }
    // Another's key; another log's checkpoint of the same key's name.
    let other = super::stage::stage("ledger.example.org/script").await;
    let told = script(&stage, &other.vkey(), &[]).await;
    assert!(!told.success && told.error.contains("not signed with the key"), "{}", told.error);
    other.grow(256).await;
    other.seal().await;
    std::fs::write(older, other.get_plain("/tlog/checkpoint").await.text).unwrap();
    let told = script(&stage, &key, &["--older", older]).await;
    assert!(!told.success, "{}", told.out);

    change_record(&stage, 300).await;
    let told = script(&stage, &key, &[]).await;
    assert!(!told.success && told.error.contains("not those that were signed"), "{}", told.error);
}

/// Builds the client, once; none where the library is not there.
async fn go_client() -> Option<PathBuf> {
    static BUILT: tokio::sync::OnceCell<Option<PathBuf>> = tokio::sync::OnceCell::const_new();
    BUILT.get_or_init(build_go_client).await.clone()
}

async fn build_go_client() -> Option<PathBuf> {
    // Debian's golang-golang-x-mod-dev.
    let library = Path::new("/usr/share/gocode");
    if !library.join("src/golang.org/x/mod/sumdb/tlog").exists() {
        assert_eq!(std::env::consts::OS, "macos", "golang-golang-x-mod-dev is missing: run `make test-deps`");
        eprintln!("golang.org/x/mod is not packaged here: the log is not checked with Go's client");
        return None;
    }
    let built = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let client = built.join("tlog-go-client");
    let mut command = Command::new("go");
    command.args(["build", "-o"]).arg(&client).arg("main.go").current_dir(source("go"));
    command.env("GO111MODULE", "off").env("GOPATH", library).env("GOFLAGS", "");
    command.env("GOCACHE", built.join("go-cache")).env("CGO_ENABLED", "0");
    let told = run(command).await;
    assert!(told.success, "{}", told.error);
    Some(client)
}

async fn go(client: &Path, stage: &Stage, key: &str, old: u64) -> Ended {
    let mut command = Command::new(client);
    command.args([stage.service.base(), key, &old.to_string(), &stage.token]).env("NO_PROXY", "*");
    run(command).await
}

#[tokio::test]
async fn the_client_of_gos_checksum_database_finds_everything_right_and_what_was_changed() {
    let Some(client) = go_client().await else { return };
    let stage = stage("ledger.example.org/go").await;
    let key = stage.vkey();
    for (size, olds) in
        [(1, vec![1]), (255, vec![1, 254]), (257, vec![1, 255, 256, 257]), (1_000, vec![257, 513])]
    {
        stage.grow(size).await;
        stage.seal().await;
        for old in olds {
            let told = go(&client, &stage, &key, old).await;
            assert!(told.success, "{size}: {}", told.error);
            let expected =
                format!("{size} records of ledger.example.org/go, and the first {old} before them\n");
            assert_eq!(told.out, expected);
        }
    }
    let stranger = super::stage::stage("ledger.example.org/go").await;
    let told = go(&client, &stage, &stranger.vkey(), 1).await;
    assert!(!told.success && told.error.contains("no verifiable signatures"), "{}", told.error);
    change_record(&stage, 300).await;
    let told = go(&client, &stage, &key, 1).await;
    assert!(!told.success && told.error.starts_with("wrong: "), "{}", told.error);
}
