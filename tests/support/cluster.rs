//! Three NATS servers that are one `JetStream` cluster.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use serde_json::Value;

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

/// A cluster of one test. It ends with the test, and nothing is left of it.
pub(crate) struct TestCluster {
    nodes: Vec<TestNats>,
}

/// A free port of each server for the others. Somebody may take it before it is used; then the start says so.
fn routes() -> Vec<u16> {
    let mut held = Vec::new();
    while held.len() < NODES {
        held.extend(TcpListener::bind((Ipv4Addr::LOCALHOST, fastrand::u16(ROUTES))));
    }
    held.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

/// Starts one, and waits until it keeps streams.
pub(crate) async fn cluster(flavor: NatsFlavor) -> TestCluster {
    let routes = routes();
    let all: Vec<String> = routes.iter().map(|port| format!("\"nats://127.0.0.1:{port}\"")).collect();
    let mut nodes = Vec::new();
    for (index, port) in routes.iter().enumerate() {
        let settings = format!(
            "cluster {{ name: vtid, listen: \"127.0.0.1:{port}\", routes: [{}] }}",
            all.join(", ")
        );
        let mut node = TestNats::node(flavor, &name(index), &settings);
        node.start().await;
        nodes.push(node);
    }
    let cluster = TestCluster { nodes };
    cluster.until_it_answers().await;
    cluster
}

fn name(index: usize) -> String {
    format!("node-{index}")
}

impl TestCluster {
    /// All addresses, as `NATS_URL` takes them.
    pub(crate) fn url(&self) -> String {
        self.url_from(0)
    }

    /// All addresses, that of this server first.
    pub(crate) fn url_from(&self, first: usize) -> String {
        let urls = (0..NODES).map(|n| self.nodes[(first + n) % NODES].url());
        urls.collect::<Vec<_>>().join(",")
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
        let client = self.client().await;
        self.ask(&client, &format!("STREAM.INFO.{STREAM}")).await
    }

    /// Waits until the stream has a leader; gives which.
    pub(crate) async fn leader(&self) -> usize {
        let client = self.client().await;
        eventually("the stream to have a leader", async || {
            let info = self.ask(&client, &format!("STREAM.INFO.{STREAM}")).await?;
            let leader = info["cluster"]["leader"].as_str()?;
            (0..NODES).find(|index| name(*index) == leader)
        })
        .await
    }

    /// Waits until all servers have the whole stream.
    pub(crate) async fn in_step(&self) {
        let client = self.client().await;
        eventually("every server to have the stream", async || {
            let info = self.ask(&client, &format!("STREAM.INFO.{STREAM}")).await?;
            let replicas = info["cluster"]["replicas"].as_array()?;
            let current = |replica: &&Value| replica["current"] == true && replica["lag"].as_u64().unwrap_or(0) == 0;
            (info["cluster"]["leader"].is_string() && replicas.iter().filter(current).count() == NODES - 1)
                .then_some(())
        })
        .await;
    }

    /// Has the stream's leader give its place up, without anything breaking.
    pub(crate) async fn step_down(&self) {
        let client = self.client().await;
        let subject = format!("STREAM.LEADER.STEPDOWN.{STREAM}");
        eventually("the leader to step down", async || self.ask(&client, &subject).await).await;
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

    /// SIGSTOP.
    pub(crate) fn freeze(&self, index: usize) {
        kill(pid(self.nodes[index].server().pid()), Signal::SIGSTOP).unwrap();
    }

    /// SIGCONT.
    pub(crate) fn wake(&self, index: usize) {
        kill(pid(self.nodes[index].server().pid()), Signal::SIGCONT).unwrap();
    }
}
