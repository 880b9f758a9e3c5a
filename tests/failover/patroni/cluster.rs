//! Two nodes that Patroni runs, one of them the leader, the other its synchronous standby.

use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use reqwest::Client;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;
use vtid_ledger::dev::ServiceLogin;

use super::etcd::Etcd;
use super::node::{Node, SCOPE, TTL_S};
use crate::failover::pair::DATABASE;
use crate::failover::stage::Databases;
use crate::support::guarded::program_named;
use crate::support::{folder, within};

/// Until Patroni has done what it is waited for: its time to live, and then some on a machine that does much else.
const LIMIT: Duration = Duration::from_secs(TTL_S + 90);

/// Fields are dropped in this order: the nodes before what they keep their leader in.
pub(super) struct Patroni {
    pub(super) nodes: [Node; 2],
    /// Which one is the leader, as far as was asked.
    pub(super) leader: usize,
    /// The superuser's.
    password: String,
    login: ServiceLogin,
    client: Client,
    etcd: Etcd,
    _folder: TempDir,
}

impl Patroni {
    /// Starts all of it, with a migrated database.
    pub(super) async fn start() -> Self {
        let folder = folder();
        let client = vtid_ledger::fetch::client().no_proxy().build().unwrap();
        let etcd = Etcd::start(folder.path(), &client).await;
        let password = format!("{:032x}", fastrand::u128(..));
        let mut nodes = ["one", "two"].map(|name| Node::new(folder.path(), name, &etcd.address(), &password));
        nodes.iter_mut().for_each(Node::start);
        let leader = settled(&nodes, &client).await;
        let owner =
            |database: &str| format!("postgres://postgres:{password}@{}/{database}", nodes[leader].host());
        let login = ServiceLogin::make(&owner("postgres")).await.unwrap();
        let mut superuser = PgConnection::connect(&owner("postgres")).await.unwrap();
        superuser.execute(AssertSqlSafe(format!("create database {DATABASE}"))).await.unwrap();
        vtid_ledger::database::migrate(&owner(DATABASE)).await.unwrap();
        Self { nodes, leader, password, login, client, etcd, _folder: folder }
    }

    /// Waits until there are a leader and its synchronous standby.
    pub(super) async fn settle(&mut self) {
        self.leader = settled(&self.nodes, &self.client).await;
    }

    /// Which one is not the leader.
    pub(super) fn standby(&self) -> usize {
        1 - self.leader
    }

    /// Waits until the standby has become the leader's successor, and takes writes; gives when it was seen to.
    pub(super) async fn promoted(&mut self) -> Instant {
        let standby = self.standby();
        let node = &self.nodes[standby];
        within(LIMIT, "Patroni to promote the standby", async || {
            node.takes_writes(&self.password).await.then_some(())
        })
        .await;
        self.leader = standby;
        Instant::now()
    }

    /// Freezes etcd until Patroni has made the leader a standby, as it can't renew its key, and lets it go on; gives when
    /// somebody takes writes again.
    pub(super) async fn lose_etcd(&mut self) -> Instant {
        self.etcd.signal(Signal::SIGSTOP);
        within(LIMIT, "the leader to step down", async || (self.writer().await.is_none()).then_some(()))
            .await;
        self.etcd.signal(Signal::SIGCONT);
        self.leader = within(LIMIT, "a leader", async || self.writer().await).await;
        Instant::now()
    }

    async fn writer(&self) -> Option<usize> {
        for index in [0, 1] {
            if self.takes_writes(index).await {
                return Some(index);
            }
        }
        None
    }

    /// `patronictl switchover`: the leader is stopped in good order, and the standby takes its place; gives when
    /// that was seen to take writes.
    pub(super) async fn switch_over(&mut self) -> Instant {
        let candidate = &self.nodes[self.standby()];
        let program = program_named("patroni").with_file_name("patronictl");
        let mut command = tokio::process::Command::new(program);
        command.arg("-c").arg(candidate.configuration());
        command.args(["switchover", SCOPE, "--candidate", candidate.name, "--force"]);
        command.env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true);
        // It returns only when the old leader is a standby.
        let (output, promoted) = tokio::join!(tokio::time::timeout(LIMIT, command.output()), self.promoted());
        let output = output.expect("it ends").unwrap();
        assert!(output.status.success(), "{output:?}");
        promoted
    }

    /// Whether one of them is a primary, or takes itself for it.
    pub(super) async fn takes_writes(&self, index: usize) -> bool {
        self.nodes[index].takes_writes(&self.password).await
    }

    /// The service's address of one of them.
    pub(super) fn service_url_of(&self, index: usize) -> String {
        self.login.address(&self.nodes[index].host(), DATABASE)
    }

    /// The owner's.
    pub(super) fn url_of(&self, index: usize) -> String {
        format!("postgres://postgres:{}@{}/{DATABASE}", self.password, self.nodes[index].host())
    }
}

impl Databases for Patroni {
    fn service_url(&self) -> String {
        let hosts = self.nodes.each_ref().map(Node::host).join(",");
        self.login.address(&hosts, DATABASE)
    }

    fn url(&self) -> String {
        self.url_of(self.leader)
    }
}

async fn settled(nodes: &[Node; 2], client: &Client) -> usize {
    within(LIMIT, "a leader and its synchronous standby", async || {
        let mut pairs = [(0, 1), (1, 0)].into_iter();
        for (leader, standby) in &mut pairs {
            if nodes[leader].is("leader", client).await && nodes[standby].is("synchronous", client).await {
                return Some(leader);
            }
        }
        None
    })
    .await
}
