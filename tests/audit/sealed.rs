//! `audit verify` on a ledger that a service has sealed: by its keys and by checkpoints that somebody kept, and after
//! somebody was at work who may do everything with the database.

use std::path::{Path, PathBuf};

use vtid_ledger::tlog::checkpoint::Checkpoint;
use vtid_ledger::tlog::key::{KeyKind, SecretKey};
use vtid_ledger::tlog::tree::Tree;

use super::caught_up;
use super::found::Found;
use crate::sealer::stage::{ORIGIN, Stage, new_key, write};
use crate::support::eventually;
use crate::support::service::{Service, some_task};

/// Events of two checkpoints; the first has more than a tile.
const EVENTS: [usize; 2] = [260, 40];

/// A ledger whose log is sealed to its end, and its newest checkpoint as anybody can fetch it; nobody writes any more.
struct Ledger {
    stage: Stage,
    size: u64,
    note: PathBuf,
}

async fn ledger() -> Ledger {
    let stage = Stage::new().await;
    let service = stage.serve().await;
    let vtid = service.create(some_task("the first")).await.expect(200).vtid().to_owned();
    service.patch(&vtid, r#"{"status":"complete"}"#).await.expect(200);
    let mut size = stage.all_sealed().await;
    for events in EVENTS {
        write(&service, events).await;
        size = stage.all_sealed().await;
    }
    let note = stage.file("seen");
    fetch(&service, size, &note).await;
    stop(service, &stage, size).await;
    Ledger { stage, size, note }
}

/// Keeps the checkpoint of `size` events, once it is shown.
async fn fetch(service: &Service, size: u64, to: &Path) {
    let note = eventually("the newest checkpoint is shown", async || {
        let answer = service.get("/tlog/checkpoint").await.expect(200);
        answer.text.contains(&format!("\n{size}\n")).then_some(answer.text)
    })
    .await;
    std::fs::write(to, note).unwrap();
}

/// Ends the service when nothing is left to do.
async fn stop(mut service: Service, stage: &Stage, head: u64) {
    caught_up(&stage.platform, head).await;
    service.terminate();
    service.ended().await;
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_ledger_is_known_by_its_key_and_by_a_checkpoint_that_was_kept() {
    let Ledger { stage, size, note } = ledger().await;
    let sealed = stage.sealed().await;
    let verify = async |arguments: &[&str]| Found::with(&stage.platform, arguments).await;
    let key = stage.key.public().to_string();
    let good = verify(&["--key", &key, "--checkpoint", path(&note)]).await.good();
    assert_eq!(good.looked_at("checkpoints"), sealed.len() as u64 + 1, "{}", good.0);
    assert_eq!((good.looked_at("tree"), good.looked_at("stream")), (size / 256, size), "{}", good.0);
    assert_eq!(good.0["notes"], serde_json::json!([]));
    verify(&[]).await.good().says("the signatures were checked with the keys that the ledger itself names");
    // Another's key of the same name, and one of another name: those that the ledger names do not count then.
    let forged = new_key(ORIGIN).public().to_string();
    let first = sealed[0].size.get();
    verify(&["--key", &forged]).await.first("checkpoints", first).says("none of the given keys signed it");
    let stranger = new_key("ledger.example.org/another").public().to_string();
    let unproven = verify(&["--key", &stranger]).await;
    unproven
        .first("checkpoints", None::<u64>)
        .says("no checkpoint of these events is signed with a key that");
    unproven.says(&format!("{} checkpoints of the log {ORIGIN} were not looked at", sealed.len()));
    verify(&["--key", &stranger, "--key", &key]).await.good();
    let witness = SecretKey::generate("w".parse().unwrap(), KeyKind::Witness).unwrap().public().to_string();
    stage.platform.run(&["audit", "verify", "--key", &witness]).await.failed();
    // The same ledger's hand under another past, and one under more events than there are.
    let other = stage.file("other");
    for (at, root, named) in [(200, [7; 32], 1), (size + 1, [7; 32], size + 1)] {
        let root = vtid_ledger::tlog::Hash(root);
        let fork = Checkpoint::sign(&stage.origin, at, root, std::slice::from_ref(&stage.key)).unwrap();
        std::fs::write(&other, fork.note).unwrap();
        for more in [&["--key", key.as_str()][..], &[]] {
            let found = verify(&[&["--checkpoint", path(&other)], more].concat()).await;
            found.first("checkpoints", named).says("the checkpoint that you hold");
        }
    }
    // A checkpoint of nothing is one of every log.
    let empty =
        Checkpoint::sign(&stage.origin, 0, Tree::new().root(), std::slice::from_ref(&stage.key)).unwrap();
    std::fs::write(&other, empty.note).unwrap();
    verify(&["--checkpoint", path(&other)]).await.good();
    std::fs::write(&other, "no checkpoint").unwrap();
    let refused = stage.platform.run(&["audit", "verify", "--checkpoint", path(&other)]).await.failed();
    assert!(refused.contains("other: not a checkpoint"), "{refused}");
}

/// What is done to a table, which check finds it first, at which position, and up to which one if that is not sure.
struct Tampered {
    table: &'static str,
    statement: String,
    check: &'static str,
    position: u64,
    up_to: Option<u64>,
}

fn tampered(table: &'static str, statement: &str, check: &'static str, position: u64) -> Tampered {
    Tampered { table, statement: statement.to_owned(), check, position, up_to: None }
}

fn tampered_up_to(table: &'static str, statement: &str, position: u64, up_to: u64) -> Tampered {
    Tampered { up_to: Some(up_to), ..tampered(table, statement, "tree", position) }
}

/// The triggers are off meanwhile.
async fn tamper(stage: &Stage, table: &str, statement: &str) {
    stage.as_superuser(table, &format!("{table}_is_immutable"), statement).await;
}

const CHANGED: &str = "update ledger.event set body = replace(body, '\"anonymous\"', '\"anonymoux\"'),
    actor = 'anonymoux' where position = ";

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_done_to_what_was_sealed_is_named() {
    let Ledger { stage, size, .. } = ledger().await;
    let sizes: Vec<u64> = stage.sealed().await.iter().map(|sealed| sealed.size.get()).collect();
    assert!(sizes.len() > 2, "{sizes:?}");
    let flip = |column: &str, byte: u64| {
        format!(
            "update ledger.tile set {column} = set_byte({column}, {byte}, get_byte({column}, {byte}) # 1)"
        )
    };
    let newest = format!("where size = {size}");
    let cases = [
        // A tile tells the very record, where a checkpoint tells between which positions it is.
        tampered("event", &format!("{CHANGED} 7"), "tree", 7),
        tampered(
            "event",
            &format!("delete from ledger.event where position > {}", size - 3),
            "checkpoints",
            size - 2,
        ),
        tampered("tile", &flip("hashes", 64), "tree", 3),
        tampered_up_to("tile", &flip("root", 0), 1, 256),
        tampered_up_to("tile", "delete from ledger.tile", 1, 256),
        tampered(
            "checkpoint",
            &format!("update ledger.checkpoint set root = sha256('x') {newest}"),
            "checkpoints",
            size,
        ),
        tampered(
            "checkpoint",
            &format!(
                "update ledger.checkpoint set note = (select note from ledger.checkpoint order by size limit 1) {newest}"
            ),
            "checkpoints",
            size,
        ),
        tampered(
            "checkpoint",
            &format!("delete from ledger.checkpoint where size = {}", sizes[0]),
            "checkpoints",
            sizes[1],
        ),
        tampered("audit_key", "delete from ledger.audit_key", "checkpoints", sizes[0]),
        tampered(
            "checkpoint",
            &format!("update ledger.checkpoint set event_id = gen_random_uuid() {newest}"),
            "checkpoints",
            sizes[sizes.len() - 2] + 1,
        ),
    ];
    let copy = stage.platform.database.copy().await;
    for Tampered { table, statement, check, position, up_to } in cases {
        tamper(&stage, table, &statement).await;
        let found = Found::of(&stage.platform).await;
        found.names(check, position).first(check, position);
        if let Some(last) = up_to {
            found.up_to(check, last);
        }
        stage.platform.database.put_back(&copy).await;
    }
    // Between which positions, where no tile tells more.
    let (before, last) = (sizes[sizes.len() - 2], sizes[sizes.len() - 1]);
    assert!(last > 256);
    tamper(&stage, "event", &format!("{CHANGED} {last}")).await;
    Found::of(&stage.platform).await.names("checkpoints", before + 1).up_to("checkpoints", last);
    stage.platform.database.put_back(&copy).await;
    // Nobody signs when they signed; but any time is read.
    tamper(&stage, "checkpoint", "update ledger.checkpoint set signed_at = 'infinity'").await;
    tamper(&stage, "audit_key", "update ledger.audit_key set first_used = '-infinity'").await;
    Found::of(&stage.platform).await.good();
}

/// The tiles of every log are looked at, not of the newest alone.
#[tokio::test(flavor = "multi_thread")]
async fn tiles_of_an_older_log_are_looked_at_too() {
    let Ledger { mut stage, .. } = ledger().await;
    stage.give_keys(&[&new_key("ledger.example.org/renamed")]);
    let service = stage.serve().await;
    let created = service.create(some_task("under a new name")).await.expect(200).position();
    let size = stage.all_sealed().await;
    assert_eq!(size, created);
    stop(service, &stage, size).await;
    let good = Found::of(&stage.platform).await.good();
    assert_eq!(good.looked_at("tree"), 2, "{}", good.0);
    let copy = stage.platform.database.copy().await;
    for (statement, position) in [
        ("update ledger.tile set hashes = set_byte(hashes, 320, get_byte(hashes, 320) # 1)", 11),
        ("delete from ledger.tile", 1),
    ] {
        tamper(&stage, "tile", &format!("{statement} where origin = '{ORIGIN}'")).await;
        Found::of(&stage.platform).await.first("tree", position);
        stage.platform.database.put_back(&copy).await;
    }
}

/// With a new tree, and every signature that it needs: only what somebody kept elsewhere can tell.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_rewritten_whole_is_told_by_a_checkpoint_that_was_kept() {
    let Ledger { mut stage, size, note } = ledger().await;
    tamper(&stage, "event", &format!("{CHANGED} 2")).await;
    for table in ["cosignature", "checkpoint", "tile", "audit_key"] {
        tamper(&stage, table, &format!("delete from ledger.{table}")).await;
    }
    stage.platform.nats.wipe_store().await;
    let service = stage.serve().await;
    // It would have been there before, were the new tree not to be made.
    service.create(some_task("after the rewriting")).await.expect(200);
    let head = stage.all_sealed().await;
    assert!(head > size);
    stop(service, &stage, head).await;
    let key = stage.key.public().to_string();
    Found::with(&stage.platform, &["--key", &key]).await.good();
    let told = Found::with(&stage.platform, &["--key", &key, "--checkpoint", path(&note)]).await;
    told.names("checkpoints", 1).up_to("checkpoints", size).first("checkpoints", 1);
    told.says("the checkpoint that you hold has the root");
    // The file that is exported from it is as good as it, and no better.
    let file = stage.file("ledger.ndjson");
    stage.platform.run(&["audit", "export", "--out", path(&file)]).await.succeeded();
    Found::with(&stage.platform, &["--key", &key, "--file", path(&file)]).await.good();
    let offline = ["--key", &key, "--checkpoint", path(&note), "--file", path(&file)];
    Found::with(&stage.platform, &offline).await.first("checkpoints", 1);
}
