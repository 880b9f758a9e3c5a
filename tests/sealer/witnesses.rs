//! Witnesses sign what is sealed, and tell where it is another past.

use std::process::{Command, Stdio};

use vtid_ledger::domain::position::Position;
use vtid_ledger::sealer::table::cosignatures;
use vtid_ledger::tlog::key::{KeyKind, SecretKey};

use super::stage::{ORIGIN, Stage, degraded, is_well, write};
use crate::support::service::{Service, some_task};
use crate::support::{eventually, program};

struct Witness {
    service: Service,
    key: SecretKey,
}

impl Witness {
    fn start(stage: &Stage) -> Self {
        let key = SecretKey::generate("witness.example.org".parse().unwrap(), KeyKind::Witness).unwrap();
        let path = stage.file("witness.key");
        std::fs::write(&path, key.print()).unwrap();
        let mut command = Command::new(program());
        command.env_clear().args(["witness", "--listen", "127.0.0.1:0", "--log-format", "json"]);
        command.arg("--log-key").arg(stage.key.public().to_string());
        command.arg("--key-file").arg(&path).arg("--data").arg(stage.file("witness"));
        command.stdout(Stdio::null());
        Self { service: Service::start(command), key }
    }

    fn address(&self) -> String {
        format!("{}={}", self.service.base(), self.key.public())
    }
}

async fn is_cosigned(stage: &Stage) {
    eventually("the newest checkpoint is witnessed", async || {
        let size = Position::new(stage.size().await);
        let lines = cosignatures(&mut stage.connection().await, ORIGIN, &[size]).await.unwrap();
        (lines.len() == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_signs_and_knows_a_rewritten_log() {
    let mut stage = Stage::new().await;
    let witness = Witness::start(&stage);
    let address = witness.address();
    let service = stage.serve_with(&["--witness-urls", &address]).await;
    service.create(some_task("the first")).await.expect(200);
    is_cosigned(&stage).await;
    write(&service, 300).await;
    stage.all_sealed().await;
    is_cosigned(&stage).await;
    is_well(&service).await;
    drop(service);
    // A log that was rewritten whole, and whose stream is gone too: the witness alone is left.
    stage.change(2).await;
    for table in ["cosignature", "checkpoint", "tile", "audit_key"] {
        let trigger = format!("{table}_is_immutable");
        stage.as_superuser(table, &trigger, &format!("delete from ledger.{table}")).await;
    }
    stage.platform.nats.wipe_store().await;
    let service = stage.serve_with(&["--witness-urls", &address]).await;
    degraded(&service, "the witness witness.example.org: ").await;
}
