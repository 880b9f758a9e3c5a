//! Two `PostgreSQL` servers: a primary, and a standby that streams from it and can take its place.

use std::net::TcpListener;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;
use vtid_ledger::dev::{PostgresOptions, PostgresServer, ServiceLogin};

use crate::faults::stage::children_of;
use crate::support::probes::pid;
use crate::support::{eventually, folder, program};

pub(crate) const DATABASE: &str = "ledger";

/// Whether a commit waits for the standby.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Replication {
    Synchronous,
    Asynchronous,
}

/// One of the two. Its port stays the same however often it is started.
pub(crate) struct Node {
    pub(crate) options: PostgresOptions,
    server: Option<PostgresServer>,
    /// What the next copy's slot is called.
    copies: usize,
}

/// Both of them; and which is the primary.
pub(crate) struct Pair {
    pub(crate) nodes: [Node; 2],
    pub(crate) primary: usize,
    replication: Replication,
    login: ServiceLogin,
    _folder: TempDir,
}

impl Node {
    pub(crate) fn new(place: &Path) -> Self {
        let mut options = PostgresOptions::new(place, program());
        options.remove_on_drop = true;
        options.port = Some(free_port());
        Self { options, server: None, copies: 0 }
    }

    pub(crate) async fn start(&mut self) {
        self.server = Some(PostgresServer::start(&self.options).await.unwrap());
    }

    pub(crate) fn server(&self) -> &PostgresServer {
        self.server.as_ref().expect("it runs")
    }

    pub(crate) fn port(&self) -> u16 {
        self.options.port.unwrap()
    }

    /// A connection as the owner.
    pub(crate) async fn owner(&self) -> PgConnection {
        PgConnection::connect(&self.server().url(DATABASE)).await.unwrap()
    }

    /// Runs a statement as the owner.
    pub(crate) async fn execute(&self, sql: &str) {
        self.owner().await.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
    }

    /// Asks again and again, as the owner, until the answer is true.
    pub(crate) async fn until(&self, what: &str, sql: &str) {
        let mut owner = self.owner().await;
        eventually(what, async || {
            let answer = sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut owner).await;
            answer.ok().flatten().filter(|answer: &bool| *answer)
        })
        .await;
    }

    /// SIGKILL of the postmaster, whose children end with it.
    pub(crate) async fn kill(&mut self) {
        self.end(Signal::SIGKILL).await;
    }

    /// A fast shutdown, as an operator asks for it: standbys are sent all that there is.
    pub(crate) async fn shut_down(&mut self) {
        self.end(Signal::SIGINT).await;
    }

    async fn end(&mut self, signal: Signal) {
        let server = self.server.take().expect("it runs");
        kill(pid(server.pid()), signal).unwrap();
        eventually("PostgreSQL to end", async || (!server.is_running()).then_some(())).await;
        server.stop().await.unwrap();
    }

    /// SIGSTOP or SIGCONT, to all of its processes.
    pub(crate) fn signal(&self, signal: Signal) {
        let postmaster = self.server().pid();
        kill(pid(postmaster), signal).unwrap();
        for child in children_of(postmaster) {
            let sent = kill(pid(child), signal);
            assert!(matches!(sent, Ok(()) | Err(Errno::ESRCH)), "{sent:?}");
        }
    }
}

impl Pair {
    /// Starts both, with a migrated database.
    pub(crate) async fn start(replication: Replication) -> Self {
        let folder = folder();
        let mut nodes = ["one", "two"].map(|name| Node::new(&folder.path().join(name)));
        nodes[0].start().await;
        let primary = nodes[0].server();
        primary.create_database(DATABASE).await.unwrap();
        let login = primary.service_login().await.unwrap();
        vtid_ledger::database::migrate(&primary.url(DATABASE)).await.unwrap();
        let mut pair = Self { nodes, primary: 0, replication, login, _folder: folder };
        pair.follow().await;
        pair
    }

    pub(crate) fn primary(&self) -> &Node {
        &self.nodes[self.primary]
    }

    pub(crate) fn standby(&self) -> &Node {
        &self.nodes[1 - self.primary]
    }

    /// Makes the other one a standby, anew, and waits until it has everything.
    pub(crate) async fn follow(&mut self) {
        let index = 1 - self.primary;
        let place = self.nodes[index].options.folder.clone();
        if place.exists() {
            std::fs::remove_dir_all(&place).unwrap();
        }
        let copies = &mut self.nodes[self.primary].copies;
        *copies += 1;
        let slot = format!("copy_{copies}");
        let options = self.nodes[index].options.clone();
        self.primary().server().copy_into(&options, Some(&slot)).await.unwrap();
        self.nodes[index].start().await;
        // Once it is there: nothing could be committed before.
        let names = if self.replication == Replication::Synchronous { "*" } else { "" };
        self.primary().execute(&format!("alter system set synchronous_standby_names = '{names}'")).await;
        self.primary().execute("select pg_reload_conf()").await;
        let state = if self.replication == Replication::Synchronous { "sync" } else { "async" };
        let streams = format!(
            "select count(*) = 1 from pg_stat_replication where state = 'streaming' and sync_state = '{state}'"
        );
        self.primary().until("the standby streams", &streams).await;
    }

    /// The standby becomes the primary.
    pub(crate) async fn promote(&mut self) {
        let standby = self.standby();
        standby.server().promote(&standby.options).await.unwrap();
        self.primary = 1 - self.primary;
    }

    /// The service's address, with both hosts.
    pub(crate) fn service_url(&self) -> String {
        let [one, two] = [&self.nodes[0], &self.nodes[1]].map(|node| format!("127.0.0.1:{}", node.port()));
        let node = self.nodes.iter().find(|node| node.server.is_some()).unwrap();
        let url = node.server().service_url(&self.login, DATABASE);
        url.replace(&format!("127.0.0.1:{}", node.port()), &format!("{one},{two}"))
    }

    /// The service's address of one of them.
    pub(crate) fn service_url_of(&self, index: usize) -> String {
        self.nodes[index].server().service_url(&self.login, DATABASE)
    }

    /// The owner's address of the primary.
    pub(crate) fn url(&self) -> String {
        self.primary().server().url(DATABASE)
    }
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
