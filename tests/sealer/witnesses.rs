//! Witnesses sign what is sealed, and tell where it is another past.

use std::process::{Command, Stdio};

use vtid_ledger::domain::position::Position;
use vtid_ledger::sealer::table::cosignatures;
use vtid_ledger::tlog::key::{KeyKind, SecretKey};

use super::stage::{ORIGIN, Stage, degraded, is_well, write};
use super::tampered::{writes_go_on, writes_stop};
use crate::support::scrape::SCRAPED;
use crate::support::service::{Service, some_task};
use crate::support::{eventually, program};

/// A witness at an address that it keeps.
struct Witness {
    service: Service,
    key: SecretKey,
}

impl Witness {
    fn start(stage: &Stage) -> Self {
        let key = SecretKey::generate("witness.example.org".parse().unwrap(), KeyKind::Witness).unwrap();
        Self { service: serve(stage, &key, "127.0.0.1:0"), key }
    }

    fn address(&self) -> String {
        format!("{}={}", self.service.base(), self.key.public())
    }

    fn stop(&mut self) {
        self.service.kill();
    }

    fn start_again(&mut self, stage: &Stage) {
        let listen = self.service.base().trim_start_matches("http://").to_owned();
        self.service = serve(stage, &self.key, &listen);
    }
}

fn serve(stage: &Stage, key: &SecretKey, listen: &str) -> Service {
    let path = stage.file("witness.key");
    std::fs::write(&path, key.print()).unwrap();
    let mut command = Command::new(program());
    command.env_clear().args(["witness", "--listen", listen, "--log-format", "json"]);
    command.arg("--log-key").arg(stage.key.public().to_string());
    command.arg("--key-file").arg(&path).arg("--data").arg(stage.file("witness"));
    command.stdout(Stdio::null());
    Service::start(command)
}

async fn is_cosigned(stage: &Stage) {
    eventually("the newest checkpoint is witnessed", async || {
        let size = Position::new(stage.size().await);
        let lines = cosignatures(&mut stage.connection().await, ORIGIN, &[size]).await.unwrap();
        (lines.len() == 1).then_some(())
    })
    .await;
}

/// A ledger of some hundred events that a witness has signed, and no process.
async fn witnessed() -> (Stage, Witness, u64) {
    let stage = Stage::new().await;
    let witness = Witness::start(&stage);
    let service = stage.serve_with(&["--witness-urls", &witness.address()]).await;
    service.create(some_task("the first")).await.expect(200);
    is_cosigned(&stage).await;
    write(&service, 300).await;
    let size = stage.all_sealed().await;
    is_cosigned(&stage).await;
    stage.assert_published().await;
    is_well(&service).await;
    (stage, witness, size)
}

/// A log that was rewritten whole, and whose stream is gone too: the witness alone is left.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_signed_where_a_witness_alone_has_seen_more() {
    let (mut stage, mut witness, size) = witnessed().await;
    stage.change(2).await;
    stage.forget_seals().await;
    stage.platform.nats.wipe_store().await;
    let address = witness.address();
    let service = stage.serve_with(&["--witness-urls", &address]).await;
    let told = format!(
        "\"sealer: the past is not the one that was sealed, between positions 1 and {size}: the witness witness.example.org of {ORIGIN} has a checkpoint of {size} events"
    );
    writes_stop(&service).await;
    degraded(&service, &told).await;
    let is_told_alone = async |service: &Service| {
        assert_eq!(stage.sealed().await, [], "{}", service.log_text());
        assert_eq!(stage.published().await, []);
        assert_eq!(stage.findings().await.len(), 1);
        assert!(!service.log_text().contains("hold is lifted"), "{}", service.log_text());
    };
    eventually("the finding is published", async || stage.findings().await.pop()).await;
    is_told_alone(&service).await;
    // What it said stays said when it goes quiet: here, and where a process is begun anew.
    witness.stop();
    stage.renewals(6).await;
    degraded(&service, &told).await;
    is_told_alone(&service).await;
    drop(service);
    let service = stage.serve_with(&["--witness-urls", &address]).await;
    degraded(&service, &told).await;
    stage.renewals(6).await;
    is_told_alone(&service).await;
    // An operator has the last word.
    drop(service);
    let service = stage.serve().await;
    writes_go_on(&service).await;
    stage.all_sealed().await;
}

/// As after a failover that lost a checkpoint.
#[tokio::test(flavor = "multi_thread")]
async fn a_witness_that_has_seen_what_was_published_too_holds_up_nothing() {
    let (stage, witness, _) = witnessed().await;
    let newest = stage.sealed().await.pop().unwrap();
    let (size, delete) = (newest.size, format!("delete from ledger.checkpoint where size = {}", newest.size));
    stage.as_superuser("cosignature", "cosignature_is_immutable", "delete from ledger.cosignature").await;
    stage.as_superuser("checkpoint", "checkpoint_is_immutable", &delete).await;
    let address = witness.address();
    let service = stage.serve_with(&["--witness-urls", &address]).await;
    writes_go_on(&service).await;
    stage.all_sealed().await;
    assert!(stage.sealed().await.iter().all(|one| one.size != size));
    is_cosigned(&stage).await;
    is_well(&service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_that_comes_back_signs_the_newest_checkpoint_of_an_idle_ledger() {
    let stage = Stage::new().await;
    let mut witness = Witness::start(&stage);
    witness.stop();
    let service = stage.serve().await;
    write(&service, 20).await;
    stage.all_sealed().await;
    drop(service);
    let service = stage.serve_with(&[&SCRAPED[..], &["--witness-urls", &witness.address()]].concat()).await;
    degraded(&service, "the witness witness.example.org does not sign: ").await;
    service.get("/readyz").await.expect(200);
    let trouble = "witness_trouble{witness=\"witness.example.org\"}";
    assert_eq!(service.scrape().await.value(trouble), 1);
    witness.start_again(&stage);
    is_cosigned(&stage).await;
    is_well(&service).await;
    assert_eq!(service.scrape().await.value(trouble), 0);
}

/// Whoever is in between can say anything in its name but sign.
#[tokio::test(flavor = "multi_thread")]
async fn a_witness_without_tls_elsewhere_is_warned_of() {
    let stage = Stage::new().await;
    let key = SecretKey::generate("w.example.org".parse().unwrap(), KeyKind::Witness).unwrap();
    let local = SecretKey::generate("local.example.org".parse().unwrap(), KeyKind::Witness).unwrap();
    let given = format!(
        "http://user:secret@192.0.2.1:1={},http://127.0.0.1:1={},http://[::1]:1={}",
        key.public(),
        local.public(),
        local.public()
    );
    let service = stage.serve_with(&["--witness-urls", &given]).await;
    let log = service.log_text();
    let warned: Vec<&str> = log.lines().filter(|line| line.contains("without TLS")).collect();
    assert_eq!(warned.len(), 1, "{log}");
    assert!(warned[0].contains("w.example.org") && !warned[0].contains("secret"), "{}", warned[0]);
}
