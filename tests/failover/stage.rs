//! Two databases, NATS and processes of the ledger on them, with callers; and how it went.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::pair::{Pair, Replication};
use crate::faults::callers::{Callers, Scene, Target};
use crate::faults::checker::{Evidence, objections};
use crate::faults::objection::Objection;
use crate::faults::rounds::gather;
use crate::support::service::{Ended, Service, program_on, run_program};
use crate::support::{NatsFlavor, TestNats, eventually, nats};

const CALLERS: u64 = 6;
/// Shorter than the defaults, so that a test is.
const SETTINGS: [&str; 4] = ["--database-timeout-ms", "1000", "--write-deadline-ms", "2500"];

/// A primary and its standby, whoever sees to them.
pub(crate) trait Databases {
    /// The service's address, with both hosts.
    fn service_url(&self) -> String;

    /// The owner's address of the primary.
    fn url(&self) -> String;
}

impl Databases for Pair {
    fn service_url(&self) -> String {
        Self::service_url(self)
    }

    fn url(&self) -> String {
        Self::url(self)
    }
}

/// Fields are dropped in this order: the processes first.
pub(crate) struct Stage<D = Pair> {
    pub(crate) services: Vec<Service>,
    pub(crate) nats: TestNats,
    pub(crate) pair: D,
}

/// A stage with callers on it.
pub(crate) struct Play<D = Pair> {
    pub(crate) stage: Stage<D>,
    pub(crate) callers: Callers,
}

/// What the checker found, and of what.
pub(crate) struct Verdict {
    pub(crate) evidence: Evidence,
    found: Vec<Objection>,
}

impl Stage {
    /// Starts all of it, with so many processes of the ledger.
    pub(crate) async fn set(replication: Replication, processes: usize) -> Self {
        Self::on(Pair::start(replication), processes).await
    }
}

impl<D: Databases> Stage<D> {
    /// Starts NATS beside these databases, and so many processes of the ledger on both.
    pub(crate) async fn on(databases: impl Future<Output = D>, processes: usize) -> Self {
        let (pair, nats) = tokio::join!(databases, nats(NatsFlavor::Current));
        let mut stage = Self { services: Vec::new(), nats, pair };
        for _ in 0..processes {
            let service = stage.serve(&stage.pair.service_url(), &[]);
            stage.services.push(service);
        }
        for service in &stage.services {
            whole(service, 0).await;
        }
        stage
    }

    /// Starts a process on a database, and waits until it listens.
    pub(crate) fn serve(&self, url: &str, arguments: &[&str]) -> Service {
        let mut command = program_on(url, &self.nats.url());
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(SETTINGS)
            .args(arguments)
            .stdout(Stdio::null());
        Service::start(command)
    }

    /// A command of the program, with the service's rights, and both hosts.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        run_program(&self.pair.service_url(), &self.nats.url(), arguments).await
    }

    /// Has callers ask all of the processes.
    pub(crate) async fn play(self) -> Play<D> {
        let targets: Vec<Target> = (0..).zip(&self.services).map(|(process, s)| target(s, process)).collect();
        let callers = Callers::start(targets, CALLERS, fastrand::u64(..));
        callers.scene.further(60).await;
        Play { stage: self, callers }
    }
}

impl<D: Databases> Play<D> {
    pub(crate) fn scene(&self) -> &Scene {
        &self.callers.scene
    }

    /// Waits until every process is ready, and a write that was sent since is acknowledged; gives how long that took. A machine
    /// that does other things as well may take its time.
    pub(crate) async fn ready_since(&self, since: Instant) -> Duration {
        for service in &self.stage.services {
            eventually("every process to be ready", async || readiness(service).await).await;
        }
        eventually("a write", async || self.scene().acknowledged_since(since).then_some(())).await;
        let took = since.elapsed();
        println!("    writes go on {took:.1?} after the promotion");
        took
    }

    /// Ends the callers, and holds everything against everything: what callers were told, the log, the read table, the
    /// stream. Gives the evidence, too.
    pub(crate) async fn end(self, what: &str, recovered: Duration) -> (Stage<D>, Evidence) {
        let (stage, verdict) = self.judge().await;
        let acknowledged =
            verdict.evidence.history.iter().filter(|call| call.acknowledged().is_some()).count();
        verdict.row(what, stage.services.len(), acknowledged, &format!("{:.1}", recovered.as_secs_f64()));
        verdict.assert_nothing_found();
        (stage, verdict.evidence)
    }

    /// The same, for whoever prints rows of his own.
    pub(crate) async fn judge(self) -> (Stage<D>, Verdict) {
        self.scene().further(60).await;
        let scene = Arc::clone(&self.callers.scene);
        let history = self.callers.stop().await;
        for service in &self.stage.services {
            whole(service, scene.position()).await;
        }
        let mut evidence = gather(&self.stage.pair.url(), &self.stage.nats.url()).await;
        evidence.history = history;
        let found = objections(&evidence);
        (self.stage, Verdict { evidence, found })
    }
}

impl Verdict {
    /// Prints a row of the table in docs/failover-postgresql.md.
    pub(crate) fn row(&self, what: &str, processes: usize, acknowledged: usize, seconds: &str) {
        let count = |is: fn(&&Objection) -> bool| self.found.iter().filter(is).count();
        let lost = count(|objection| matches!(objection, Objection::Lost(_)));
        let doubled = count(|objection| matches!(objection, Objection::Doubled(_)));
        println!("| {what} | {processes} | {acknowledged} | {lost} | {doubled} | {seconds} |");
    }

    pub(crate) fn assert_nothing_found(&self) {
        let first = &self.found[..self.found.len().min(20)];
        assert!(first.is_empty(), "{} objections, among them {first:#?}", self.found.len());
    }
}

fn target(service: &Service, process: u32) -> Target {
    Target { base: service.base().to_owned(), process }
}

/// Waits until it is ready, nothing degraded, and every follower at `position` or further.
pub(crate) async fn whole(service: &Service, position: u64) {
    let mut last = json!([]);
    eventually("nothing is degraded, and no follower behind", async || {
        let ready = readiness(service).await?;
        if ready["degraded"] != last {
            last = ready["degraded"].clone();
            println!("    degraded: {last}");
        }
        let followers = ready["followers"].as_array()?;
        let there = followers.iter().all(|follower| follower["position"].as_u64() >= Some(position));
        (there && last == json!([])).then_some(())
    })
    .await;
}

/// What `/readyz` says, if it is 200.
pub(crate) async fn readiness(service: &Service) -> Option<Value> {
    let ready = service.try_send(service.request(Method::GET, "/readyz")).await?;
    (ready.status == 200).then_some(ready.body)
}
