//! Three NATS servers that are one `JetStream` cluster.

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use serde_json::Value;
use vtid_ledger::dev::DevError;

use super::eventually;
use super::nats::{NatsFlavor, TestNats};
use super::probes::pid;

const STREAM: &str = "OASIS_VTID_LEDGER";
/// So many servers.
pub(crate) const NODES: usize = 3;
/// Where the servers find each other: as the servers themselves, below the ports of outgoing connections.
const ROUTES: std::ops::Range<u16> = 20_000..32_000;
/// An answer of a server that is busy with an election comes late.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// A server that was away for a while is caught up within less.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often somebody else is quicker to take a port at most.
const START_TRIES: usize = 3;
/// Who leads next is the servers' to say.
const STEPS_MOST: usize = 100;
const POLL: Duration = Duration::from_millis(20);

/// A cluster of one test. It ends with the test, and nothing is left of it.
pub(crate) struct TestCluster {
    nodes: Vec<TestNats>,
}

/// A free port of each server for the others. Somebody may take it before it is used; then the start fails.
fn routes() -> Vec<u16> {
    let mut held = Vec::new();
    while held.len() < NODES {
        held.extend(TcpListener::bind((Ipv4Addr::LOCALHOST, fastrand::u16(ROUTES))));
    }
    held.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

/// Starts one, and waits until it keeps streams.
pub(crate) async fn cluster(flavor: NatsFlavor) -> TestCluster {
    for _ in 1..START_TRIES {
        match try_start(flavor).await {
            Ok(cluster) => return cluster,
            Err(error) => println!("the cluster is started once more: {error}"),
        }
    }
    try_start(flavor).await.unwrap()
}

async fn try_start(flavor: NatsFlavor) -> Result<TestCluster, DevError> {
    let routes = routes();
    let all: Vec<String> = routes.iter().map(|port| format!("\"nats://127.0.0.1:{port}\"")).collect();
    let mut nodes = Vec::new();
    for (index, port) in routes.iter().enumerate() {
        let settings =
            format!("cluster {{ name: vtid, listen: \"127.0.0.1:{port}\", routes: [{}] }}", all.join(", "));
        let mut node = TestNats::node(flavor, &name(index), &settings);
        node.try_start().await?;
        nodes.push(node);
    }
    let cluster = TestCluster { nodes };
    cluster.until_it_answers().await;
    Ok(cluster)
}

/// Whether the leader says so of all others.
fn are_current(cluster: &Value) -> bool {
    let others = cluster["replicas"].as_array().map_or(&[][..], Vec::as_slice);
    let current =
        others.iter().filter(|other| other["current"] == true && other["lag"].as_u64().unwrap_or(0) == 0);
    cluster["leader"].is_string() && current.count() == NODES - 1
}

fn name(index: usize) -> String {
    format!("node-{index}")
}

impl TestCluster {
    /// All addresses, as `NATS_URL` takes them.
    pub(crate) fn url(&self) -> String {
        self.nodes.iter().map(TestNats::url).collect::<Vec<_>>().join(",")
    }

    /// The address of one.
    pub(crate) fn url_of(&self, index: usize) -> String {
        self.nodes[index].url()
    }

    /// One of the servers.
    pub(crate) fn node(&mut self, index: usize) -> &mut TestNats {
        &mut self.nodes[index]
    }

    /// A client of one of the running servers.
    pub(crate) async fn client(&self) -> async_nats::Client {
        let running = self.nodes.iter().filter(|node| node.is_started());
        let urls: Vec<async_nats::ServerAddr> = running.map(|node| node.url().parse().unwrap()).collect();
        async_nats::connect(urls).await.unwrap()
    }

    /// An answer of `JetStream`'s API; none where there is none, or an error.
    async fn ask(&self, client: &async_nats::Client, subject: &str) -> Option<Value> {
        let asked = client.request(format!("$JS.API.{subject}"), "".into());
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, asked).await.ok()?.ok()?;
        let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
        answer["error"].is_null().then_some(answer)
    }

    async fn until_it_answers(&self) {
        let client = self.client().await;
        eventually("the cluster to keep streams", async || self.ask(&client, "INFO").await).await;
    }

    /// What the cluster says of the ledger's stream; none while it has no leader.
    pub(crate) async fn stream_info(&self) -> Option<Value> {
        self.info_by(&self.client().await).await
    }

    /// The same, by a client of one's own.
    pub(crate) async fn info_by(&self, client: &async_nats::Client) -> Option<Value> {
        self.ask(client, &format!("STREAM.INFO.{STREAM}")).await
    }

    /// Waits until the stream has a leader; gives which.
    pub(crate) async fn leader(&self) -> usize {
        let client = self.client().await;
        eventually("the stream to have a leader", async || {
            let info = self.info_by(&client).await?;
            let leader = info["cluster"]["leader"].as_str()?;
            (0..NODES).find(|index| name(*index) == leader)
        })
        .await
    }

    /// Waits until all servers have the whole stream.
    pub(crate) async fn in_step(&self) {
        let is_in_step = self.is_in_step_within(PATIENCE).await;
        let told = if is_in_step { None } else { self.stream_info().await };
        assert!(is_in_step, "not every server has the stream: {}", told.unwrap_or_default()["cluster"]);
    }

    /// The same, for so long at most; tells whether they have.
    pub(crate) async fn is_in_step_within(&self, patience: Duration) -> bool {
        let client = self.client().await;
        let deadline = Instant::now() + patience;
        loop {
            if self.info_by(&client).await.is_some_and(|info| are_current(&info["cluster"])) {
                return true;
            }
            if Instant::now() > deadline {
                return false;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Has the stream's leader give its place up, without anything breaking.
    pub(crate) async fn step_down(&self) {
        let client = self.client().await;
        let subject = format!("STREAM.LEADER.STEPDOWN.{STREAM}");
        eventually("the leader to step down", async || self.ask(&client, &subject).await).await;
    }

    /// Has leaders step down until this server leads.
    pub(crate) async fn lead(&self, index: usize) {
        for _ in 0..STEPS_MOST {
            if self.leader().await == index {
                return;
            }
            self.step_down().await;
        }
        panic!("{} never leads", name(index));
    }

    /// SIGKILL.
    pub(crate) async fn kill(&mut self, index: usize) {
        self.nodes[index].kill().await;
    }

    /// In good order.
    pub(crate) async fn stop(&mut self, index: usize) {
        self.nodes[index].stop().await;
    }

    /// Starts one again.
    pub(crate) async fn start(&mut self, index: usize) {
        self.nodes[index].start().await;
    }

    /// The lines that the servers have logged and that say so.
    pub(crate) fn said(&self, what: &str) -> Vec<String> {
        let logs = self.nodes.iter().map(TestNats::log);
        logs.flat_map(|log| log.lines().map(str::to_owned).collect::<Vec<_>>())
            .filter(|line| line.contains(what))
            .collect()
    }

    /// SIGSTOP.
    pub(crate) fn freeze(&self, index: usize) {
        kill(pid(self.nodes[index].server().pid()), Signal::SIGSTOP).unwrap();
    }

    /// SIGCONT.
    pub(crate) fn wake(&self, index: usize) {
        kill(pid(self.nodes[index].server().pid()), Signal::SIGCONT).unwrap();
    }
}
