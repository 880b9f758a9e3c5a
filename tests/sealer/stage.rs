//! A ledger that seals, and what its seals are held against.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::jetstream;
use sqlx::{AssertSqlSafe, Executor, PgConnection};
use tempfile::TempDir;
use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::domain::position::Position;
use vtid_ledger::leases::Role;
use vtid_ledger::leases::table::look;
use vtid_ledger::sealer::message::checkpoint_in;
use vtid_ledger::sealer::reader::prove;
use vtid_ledger::sealer::table::{self, Stored};
use vtid_ledger::tlog::checkpoint::Checkpoint;
use vtid_ledger::tlog::key::{KeyKind, KeyName, SecretKey};
use vtid_ledger::tlog::leaf;
use vtid_ledger::tlog::tile::{Ask, goes_on};
use vtid_ledger::tlog::tree::Tree;

use crate::support::load::Load;
use crate::support::service::{Answer, Platform, Service, platform_on, program_on};
use crate::support::stream::log_after;
use crate::support::{NatsFlavor, eventually, folder};

pub(crate) const ORIGIN: &str = "ledger.example.org/tests";
const STREAM: &str = "OASIS_VTID_LEDGER_AUDIT";
pub(super) const CHECKPOINTS: &str = "oasis.system.vtid-ledger-audit.checkpoint";
const FINDINGS: &str = "oasis.system.vtid-ledger-audit.ledger-tampered";

/// Writes that are waited for at a time.
const BATCH: usize = 200;

pub(crate) struct Stage {
    pub(crate) platform: Platform,
    pub(crate) key: SecretKey,
    pub(crate) origin: KeyName,
    folder: TempDir,
}

pub(crate) fn new_key(origin: &str) -> SecretKey {
    SecretKey::generate(origin.parse().unwrap(), KeyKind::Log).unwrap()
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::on(NatsFlavor::Current).await
    }

    pub(crate) async fn on(flavor: NatsFlavor) -> Self {
        let (platform, folder, key) = (platform_on(flavor).await, folder(), new_key(ORIGIN));
        std::fs::write(folder.path().join("keys"), key.print()).unwrap();
        Self { platform, key, origin: ORIGIN.parse().unwrap(), folder }
    }

    /// The same keys on another ledger.
    pub(crate) fn moved_to(self, platform: Platform) -> Self {
        Self { platform, ..self }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// From now on processes are started with these.
    pub(crate) fn give_keys(&mut self, keys: &[&SecretKey]) {
        let printed: Vec<String> = keys.iter().map(|key| key.print()).collect();
        std::fs::write(self.file("keys"), printed.join("\n")).unwrap();
        self.origin = keys[0].public().name().clone();
        self.key = keys[0].clone();
    }

    /// A process that seals; returns once it is ready.
    pub(crate) async fn serve(&self) -> Service {
        self.serve_with(&[]).await
    }

    pub(crate) async fn serve_with(&self, arguments: &[&str]) -> Service {
        let keys = self.file("keys");
        let given = ["--audit-key-file", keys.to_str().unwrap()];
        self.platform.serve_with(&[&given[..], arguments].concat()).await
    }

    pub(crate) async fn connection(&self) -> PgConnection {
        self.platform.connection().await
    }

    /// How far the log is sealed.
    pub(crate) async fn size(&self) -> u64 {
        let newest = table::newest(&mut self.connection().await, &self.origin).await.unwrap();
        newest.map_or(0, |newest| newest.size.get())
    }

    /// Waits until the whole log is sealed, and gives its length.
    pub(crate) async fn all_sealed(&self) -> u64 {
        eventually("the whole log is sealed", async || {
            let head = self.head().await;
            (self.size().await == head).then_some(head)
        })
        .await
    }

    pub(crate) async fn head(&self) -> u64 {
        let head: Option<i64> = sqlx::query_scalar("select max(position) from ledger.event")
            .fetch_one(&mut self.connection().await)
            .await
            .unwrap();
        u64::try_from(head.unwrap_or(0)).unwrap()
    }

    /// All checkpoints on record, smallest first.
    pub(crate) async fn sealed(&self) -> Vec<Stored> {
        table::page(&mut self.connection().await, self.origin.as_str(), Position::ZERO, 10_000).await.unwrap()
    }

    /// Asserts that each checkpoint on record is signed with the key, has the root of the records up to its size, and goes on
    /// where the one before it ended. Gives them.
    pub(crate) async fn assert_sealed(&self) -> Vec<Stored> {
        let (sealed, mut tree) = (self.sealed().await, Tree::new());
        let log = log_after(self.platform.database.url(), Cursor::Start).await;
        let mut records = log.iter();
        let mut connection = self.connection().await;
        let mut previous: Option<&Stored> = None;
        let largest = sealed.last().map_or(0, |newest| newest.size.get());
        for one in &sealed {
            let signed = Checkpoint::open(one.note.as_bytes(), &[self.key.public().clone()]).unwrap();
            assert_eq!((signed.size, signed.root), (one.size.get(), one.root));
            while tree.size() < one.size.get() {
                tree.push(leaf(&records.next().unwrap().body));
            }
            assert_eq!(tree.root(), one.root, "the root of {} records", one.size);
            if let Some(previous) = previous {
                assert_eq!(one.previous, previous.size);
                let ask = Ask::Consistency { size: one.size.get(), old: previous.size.get() };
                let path = prove(&mut connection, &self.origin, largest, ask).await.unwrap();
                let (new, old) = ((one.size.get(), one.root), (previous.size.get(), previous.root));
                assert!(goes_on(&path, new, old), "{new:?} goes on where {old:?} ended");
            }
            previous = Some(one);
        }
        sealed
    }

    async fn messages(&self, subject: &str) -> Vec<jetstream::message::StreamMessage> {
        let client = async_nats::connect(self.platform.nats.url()).await.unwrap();
        let context = jetstream::new(client);
        let stream = eventually("the audit stream", async || context.get_stream(STREAM).await.ok()).await;
        let last = stream.cached_info().state.last_sequence;
        let mut all = Vec::new();
        for sequence in 1..=last {
            let message = stream.get_raw_message(sequence).await.unwrap();
            if message.subject.as_str() == subject {
                all.push(message);
            }
        }
        all
    }

    /// The checkpoints in the stream, in its order.
    pub(crate) async fn published(&self) -> Vec<Checkpoint> {
        let messages = self.messages(CHECKPOINTS).await;
        let all = messages.iter().map(|message| checkpoint_in(&message.payload).unwrap());
        all.filter(|checkpoint| checkpoint.origin == self.origin.as_str()).collect()
    }

    /// Asserts that the stream gets every checkpoint that is on record, once, in order.
    pub(crate) async fn assert_published(&self) -> Vec<Checkpoint> {
        let sealed: Vec<String> = self.sealed().await.into_iter().map(|one| one.note).collect();
        let published = eventually("every checkpoint is published", async || {
            let published = self.published().await;
            (published.len() >= sealed.len()).then_some(published)
        })
        .await;
        let notes: Vec<String> = published.iter().map(|one| one.note.clone()).collect();
        assert_eq!(notes, sealed);
        published
    }

    /// The bodies of the findings in the stream.
    pub(crate) async fn findings(&self) -> Vec<serde_json::Value> {
        let messages = self.messages(FINDINGS).await;
        messages.iter().map(|message| serde_json::from_slice(&message.payload).unwrap()).collect()
    }

    /// What somebody with all rights can do: with the triggers of a table off.
    pub(crate) async fn as_superuser(&self, table: &str, trigger: &str, statement: &str) {
        let sql = format!(
            "begin; alter table ledger.{table} disable trigger {trigger}; {statement};
             alter table ledger.{table} enable always trigger {trigger}; commit"
        );
        self.connection().await.execute(AssertSqlSafe(sql)).await.unwrap();
    }

    /// Nothing is left of what was sealed, in the database.
    pub(super) async fn forget_seals(&self) {
        for table in ["cosignature", "checkpoint", "tile", "audit_key"] {
            let trigger = format!("{table}_is_immutable");
            self.as_superuser(table, &trigger, &format!("delete from ledger.{table}")).await;
        }
    }

    /// Waits until the sealer's lease was renewed so often: a second each.
    pub(super) async fn renewals(&self, count: i64) {
        let mut connection = self.connection().await;
        let mut number =
            async || look(&mut connection, Role::Sealer).await.unwrap().map_or(0, |standing| standing.number);
        let first = number().await;
        eventually("the lease is renewed", async || (number().await >= first + count).then_some(())).await;
    }

    /// Changes who did it, in a record and nowhere else; done again, puts it back.
    pub(crate) async fn change(&self, position: u64) {
        let (before, one, other) = (self.record(position).await, r#""anonymous""#, r#""anonymoux""#);
        let (from, to) = if before.contains(one) { (one, other) } else { (other, one) };
        assert!(before.contains(from), "{before}");
        let set = format!("body = replace(body, '{from}', '{to}')");
        let statement = format!("update ledger.event set {set} where position = {position}");
        self.as_superuser("event", "event_is_immutable", &statement).await;
    }

    async fn record(&self, position: u64) -> String {
        sqlx::query_scalar("select body from ledger.event where position = $1")
            .bind(Position::new(position).to_i64())
            .fetch_one(&mut self.connection().await)
            .await
            .unwrap()
    }
}

/// Writes at least so many events.
pub(crate) async fn write(service: &Service, count: usize) {
    let load = Load::start(&[service], 8, Duration::from_millis(1));
    for written in (0..count).step_by(BATCH) {
        load.further(BATCH.min(count - written)).await;
    }
    load.stop().await;
}

/// What a process says of its sealer.
pub(crate) async fn sealer(service: &Service) -> serde_json::Value {
    let ready = service.get("/readyz").await;
    let followers = ready.body["followers"].as_array().cloned().unwrap_or_default();
    followers.into_iter().find(|follower| follower["name"] == "sealer").unwrap_or_default()
}

/// Waits until `/readyz` names something in `degraded` that has this text.
pub(crate) async fn degraded(service: &Service, text: &str) -> Answer {
    eventually(&format!("/readyz says: {text}"), async || {
        let ready = service.get("/readyz").await;
        ready.body["degraded"].to_string().contains(text).then_some(ready)
    })
    .await
}

/// Waits until nothing is degraded.
pub(crate) async fn is_well(service: &Service) {
    eventually("nothing is degraded", async || {
        (service.get("/readyz").await.body["degraded"] == serde_json::json!([])).then_some(())
    })
    .await;
}

/// Runs `serve`, which is to refuse; gives what it said.
pub(crate) fn refusal(stage: &Stage, environment: &[(&str, &str)]) -> String {
    let mut command = program_on(stage.platform.database.service_url(), &stage.platform.nats.url());
    command.args(["serve", "--listen", "127.0.0.1:0"]).envs(environment.iter().copied());
    let output = command.output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

/// A file's mode.
pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
