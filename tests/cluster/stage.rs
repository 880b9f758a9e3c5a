//! A database, a cluster and processes of the ledger on them, with callers; and how it went.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::faults::callers::{Callers, Scene, Target};
use crate::faults::checker::{Evidence, objections};
use crate::faults::objection::Objection;
use crate::faults::rounds::gather;
use crate::support::NatsFlavor;
use crate::support::cluster::{NODES, TestCluster, cluster};
use crate::support::postgres::TestDatabase;
use crate::support::service::{Service, migrated_database, program_on};
use crate::support::stream::stream_records;

const CALLERS: u64 = 4;
/// An election takes some seconds, and a server that comes back has to be caught up first.
const PATIENCE: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(20);

/// Fields are dropped in this order: the processes first.
pub(crate) struct Stage {
    pub(crate) services: Vec<Service>,
    pub(crate) cluster: TestCluster,
    pub(crate) database: TestDatabase,
    pub(crate) callers: Callers,
    version: String,
}

/// How the ledger finds the cluster.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Address {
    /// By the addresses of all servers.
    All,
    /// By that of one, to which it is connected first; that one tells it of the others.
    Of(usize),
}

/// As `eventually`, with the patience that a cluster needs.
pub(crate) async fn in_the_end<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "gave up waiting: {what}");
        tokio::time::sleep(POLL).await;
    }
}

impl Stage {
    /// Starts all of it, with a process of the ledger for each address; and callers, which all ask the first process.
    pub(crate) async fn set(flavor: NatsFlavor, addresses: &[Address]) -> Self {
        let (database, cluster) = tokio::join!(migrated_database(), cluster(flavor));
        let version = cluster.client().await.server_info().version;
        let mut services = Vec::new();
        for address in addresses {
            let url = match address {
                Address::All => cluster.url(),
                Address::Of(index) => cluster.url_of(*index),
            };
            let mut command = program_on(database.service_url(), &url);
            command.args(["serve", "--listen", "127.0.0.1:0", "--oasis-replicas", "3"]).stdout(Stdio::null());
            services.push(Service::start(command));
        }
        for service in &services {
            in_the_end("the ledger is ready and nothing degraded", async || {
                (readiness(service).await?["degraded"] == json!([])).then_some(())
            })
            .await;
        }
        let callers = Callers::start(vec![target(&services, 0)], CALLERS, fastrand::u64(..));
        let stage = Self { services, cluster, database, callers, version };
        stage.writes(40).await;
        stage.whole(Instant::now()).await;
        stage.cluster.in_step().await;
        stage
    }

    /// Which version of NATS it is.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    pub(crate) fn scene(&self) -> &Scene {
        &self.callers.scene
    }

    /// Waits until so many further writes are acknowledged.
    pub(crate) async fn writes(&self, count: usize) {
        let goal = self.scene().acknowledged() + count;
        in_the_end("further writes", async || (self.scene().acknowledged() >= goal).then_some(())).await;
    }

    /// Has the callers ask another process.
    pub(crate) fn ask(&self, process: usize) {
        self.scene().retarget(vec![target(&self.services, process)]);
    }

    /// Waits until nothing is degraded and every follower of every process has what was acknowledged so far; gives how long
    /// after `since` that was.
    pub(crate) async fn whole(&self, since: Instant) -> Duration {
        let position = self.scene().position();
        for service in &self.services {
            let mut last = json!([]);
            in_the_end("nothing is degraded, and no follower behind", async || {
                let ready = readiness(service).await?;
                if ready["degraded"] != last {
                    last = ready["degraded"].clone();
                    println!("    {:.1?}: degraded: {last}", since.elapsed());
                }
                let followers = ready["followers"].as_array()?;
                let there = followers.iter().all(|follower| follower["position"].as_u64() >= Some(position));
                (there && last == json!([])).then_some(())
            })
            .await;
        }
        since.elapsed()
    }

    /// Ends the callers, and holds everything against everything: what callers were told, the log, the read table, and the
    /// stream as each of the servers has it.
    pub(crate) async fn end(self, what: &str, recovered: Duration) {
        self.writes(30).await;
        let scene = Arc::clone(&self.callers.scene);
        let Self { services, cluster, database, callers, version } = self;
        let history = callers.stop().await;
        let position = scene.position();
        for service in &services {
            in_the_end("every follower to be up to date", async || {
                let ready = readiness(service).await?;
                let followers = ready["followers"].as_array()?;
                let there = followers.iter().all(|follower| follower["position"].as_u64() >= Some(position));
                (there && ready["degraded"] == json!([])).then_some(())
            })
            .await;
        }
        cluster.in_step().await;
        let mut evidence = gather(database.url(), &cluster.url()).await;
        evidence.history = history;
        let found = objections(&evidence);
        let count = |is: fn(&&Objection) -> bool| found.iter().filter(is).count();
        let acknowledged = evidence.history.iter().filter(|call| call.acknowledged().is_some()).count();
        println!(
            "| {what} | {version} | {acknowledged} | {} | {} | {:.1} |",
            count(|objection| matches!(objection, Objection::Lost(_))),
            count(|objection| matches!(objection, Objection::Doubled(_))),
            recovered.as_secs_f64(),
        );
        let first = &found[..found.len().min(20)];
        assert!(found.is_empty(), "{what}, {version}: {} objections, among them {first:#?}", found.len());
        every_server_has_it(&cluster, &evidence).await;
    }
}

/// Each server leads in its turn, and what it hands out then is the log.
async fn every_server_has_it(cluster: &TestCluster, evidence: &Evidence) {
    for server in 0..NODES {
        cluster.lead(server).await;
        let records = stream_records(&cluster.url()).await;
        assert_eq!(records.len(), evidence.log.len(), "what server {server} has");
        let same = records.iter().zip(&evidence.log).all(|(record, event)| *record == event.body);
        assert!(same, "server {server} has another stream");
    }
}

fn target(services: &[Service], process: usize) -> Target {
    Target { base: services[process].base().to_owned(), process: u32::try_from(process).unwrap() }
}

/// What `/readyz` says, if it is 200.
async fn readiness(service: &Service) -> Option<Value> {
    let ready = service.try_send(service.request(Method::GET, "/readyz")).await?;
    (ready.status == 200).then_some(ready.body)
}
