//! A witness as a process, and logs that ask it.

use std::convert::Infallible;
use std::path::Path;
use std::process::{Command, Stdio};

use reqwest::Method;
use vtid_ledger::tlog::checkpoint::Checkpoint;
use vtid_ledger::tlog::key::{KeyKind, PublicKey, SecretKey};
use vtid_ledger::tlog::tile::{Ask, TileKey, Tiles};
use vtid_ledger::tlog::tree::Tree;
use vtid_ledger::tlog::{Hash, leaf};
use vtid_ledger::witness::client::WitnessClient;
use vtid_ledger::witness::request::AddCheckpoint;
use vtid_ledger::witness::settings::WitnessAddress;

use crate::support::program;
use crate::support::service::{Answer, Service};

pub(super) fn key(name: &str, kind: KeyKind) -> SecretKey {
    SecretKey::generate(name.parse().unwrap(), kind).unwrap()
}

/// A log of fewer than 256 records, whose operator signs whatever he likes.
#[derive(Clone)]
pub(super) struct TestLog {
    pub(super) key: SecretKey,
    /// From each of these leaves on it has other records.
    rewritten: Vec<u64>,
}

impl TestLog {
    pub(super) fn new(origin: &str) -> Self {
        Self { key: key(origin, KeyKind::Log), rewritten: Vec::new() }
    }

    /// The same log, rewritten from a leaf on.
    pub(super) fn rewritten(&self, from: u64) -> Self {
        let rewritten = [self.rewritten.as_slice(), &[from]].concat();
        Self { rewritten, ..self.clone() }
    }

    fn tree(&self, size: u64) -> Tree {
        let mut tree = Tree::new();
        for index in 0..size {
            let times = self.rewritten.iter().filter(|from| **from <= index).count();
            tree.push(leaf(&format!("record {index}, rewritten {times} times")));
        }
        tree
    }

    pub(super) fn checkpoint(&self, size: u64) -> Checkpoint {
        let origin = self.key.public().name();
        Checkpoint::sign(origin, size, self.tree(size).root(), std::slice::from_ref(&self.key)).unwrap()
    }

    pub(super) fn proof(&self, old: u64, size: u64) -> Vec<Hash> {
        let hashes = self.tree(size).edge(0).iter().flat_map(|hash| hash.0).collect();
        let tiles = Tiles::from([(TileKey { level: 0, number: 0 }, hashes)]);
        if old > size { Vec::new() } else { Ask::Consistency { size, old }.answer(&tiles).unwrap() }
    }

    pub(super) fn request(&self, old: u64, size: u64) -> AddCheckpoint {
        AddCheckpoint { old, proof: self.proof(old, size), checkpoint: self.checkpoint(size) }
    }
}

pub(super) struct TestWitness {
    pub(super) service: Service,
    pub(super) key: SecretKey,
}

/// The command of a witness with its key, its folder and all else under `folder`.
pub(super) fn command(folder: &Path, key: &SecretKey, logs: &[&TestLog]) -> Command {
    let key_file = folder.join("witness.key");
    std::fs::write(&key_file, format!("{}\n", key.print())).unwrap();
    let mut command = Command::new(program());
    command.env_clear().args(["witness", "--listen", "127.0.0.1:0", "--key-file"]).arg(key_file);
    command.arg("--data").arg(folder.join("seen")).stdout(Stdio::null());
    for log in logs {
        command.arg("--log-key").arg(log.key.public().to_string());
    }
    command
}

impl TestWitness {
    pub(super) fn start(folder: &Path, key: &SecretKey, logs: &[&TestLog]) -> Self {
        Self { service: Service::start(command(folder, key, logs)), key: key.clone() }
    }

    pub(super) async fn try_post(&self, body: impl Into<reqwest::Body>) -> Option<Answer> {
        let request = self.service.request(Method::POST, "/add-checkpoint").body(body);
        self.service.try_send(request).await
    }

    pub(super) async fn post(&self, body: impl Into<reqwest::Body>) -> Answer {
        self.try_post(body).await.expect("an answer")
    }

    pub(super) async fn send(&self, request: &AddCheckpoint) -> Answer {
        self.post(request.to_string()).await
    }

    /// Asserts that it signed, and that the signature is one.
    pub(super) async fn signs(&self, request: &AddCheckpoint) {
        let answer = self.send(request).await.expect(200);
        let signed = request.checkpoint.with_signatures(&answer.text).unwrap();
        assert_eq!(signed.signed_by(&[self.key.public()]).unwrap(), [0], "{}", answer.text);
    }

    pub(super) fn address(&self, key: &PublicKey) -> WitnessAddress {
        WitnessAddress::parse(&format!("{}/={key}", self.service.base()), 1).unwrap()
    }

    pub(super) fn client(&self) -> WitnessClient {
        WitnessClient::new(self.address(self.key.public())).unwrap()
    }
}

/// What a log's sealer gives the client.
pub(super) async fn prove(log: &TestLog, old: u64, size: u64) -> Result<Vec<Hash>, Infallible> {
    Ok(log.proof(old, size))
}
