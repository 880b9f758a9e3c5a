//! Patroni on one machine, and the `PostgreSQL` that it runs there.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use reqwest::Client;
use serde_json::json;
use sqlx::{Connection, PgConnection};
use tokio::time::timeout;
use vtid_ledger::dev::postgres_programs;

use crate::support::eventually;
use crate::support::guarded::{Guarded, free_port, own, program_named, write_own};
use crate::support::probes::pid;

/// What all nodes are told.
pub(super) const SCOPE: &str = "ledger";
/// How long the leader's key in etcd lasts when it is not renewed. Patroni's default is 30; a loaded machine needs some, too.
pub(super) const TTL_S: u64 = 10;
const RETRY_TIMEOUT_S: u64 = 4;
const LOOP_WAIT_S: u64 = 1;
/// A server that is frozen does not answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// One of them; its ports stay the same however often it is started.
pub(super) struct Node {
    pub(super) name: &'static str,
    folder: PathBuf,
    port: u16,
    rest: u16,
    /// None once it was killed.
    guarded: Option<Guarded>,
}

impl Node {
    /// Writes what it needs; starts nothing.
    pub(super) fn new(place: &Path, name: &'static str, etcd: &str, password: &str) -> Self {
        let folder = place.join(name);
        std::fs::create_dir(&folder).unwrap();
        own(&folder);
        let node = Self { name, folder, port: free_port(), rest: free_port(), guarded: None };
        write_own(&node.configuration(), &node.settings(etcd, password));
        node
    }

    pub(super) fn start(&mut self) {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", include_str!("node.sh"), "node.sh"])
            .arg(program_named("patroni"))
            .arg(&self.folder);
        self.guarded = Some(Guarded::start(&self.folder, &command));
    }

    /// Whether it is, or was, and was not killed since.
    pub(super) fn is_started(&self) -> bool {
        self.guarded.is_some()
    }

    /// What `patronictl` is told, too.
    pub(super) fn configuration(&self) -> PathBuf {
        self.folder.join("patroni.yml")
    }

    /// Host and port of its `PostgreSQL`.
    pub(super) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Whether its `PostgreSQL` runs, and is no standby.
    pub(super) async fn takes_writes(&self, password: &str) -> bool {
        let url = format!("postgres://postgres:{password}@{}/postgres", self.host());
        let ask = async {
            let mut connection = PgConnection::connect(&url).await.ok()?;
            sqlx::query_scalar("select not pg_is_in_recovery()").fetch_one(&mut connection).await.ok()
        };
        timeout(PATIENCE, ask).await.ok().flatten() == Some(true)
    }

    /// Whether Patroni says that it is this: `leader`, `synchronous` (standby).
    pub(super) async fn is(&self, role: &str, client: &Client) -> bool {
        let url = format!("http://127.0.0.1:{}/{role}", self.rest);
        let answer = client.get(url).timeout(PATIENCE).send().await;
        answer.is_ok_and(|answer| answer.status() == 200)
    }

    /// SIGKILL of Patroni and of its `PostgreSQL`, as if the machine were gone.
    pub(super) async fn kill(&mut self) {
        let postmaster = self.pid_in("data/postmaster.pid");
        self.signal_patroni(Signal::SIGKILL);
        let sent = kill(pid(postmaster), Signal::SIGKILL);
        // What was started for Patroni ends PostgreSQL when Patroni has gone, and may have been quicker.
        assert!(matches!(sent, Ok(()) | Err(Errno::ESRCH)), "{sent:?}");
        let mut guarded = self.guarded.take().expect("it runs");
        eventually("both to end", async || guarded.has_ended().then_some(())).await;
    }

    /// To Patroni alone.
    pub(super) fn signal_patroni(&self, signal: Signal) {
        kill(pid(self.pid_in("patroni.pid")), signal).unwrap();
    }

    fn pid_in(&self, file: &str) -> u32 {
        let text = std::fs::read_to_string(self.folder.join(file)).unwrap();
        text.lines().next().unwrap().trim().parse().unwrap()
    }

    /// JSON is YAML.
    fn settings(&self, etcd: &str, password: &str) -> String {
        let rest = format!("127.0.0.1:{}", self.rest);
        let settings = json!({
            "scope": SCOPE,
            "name": self.name,
            "restapi": {"listen": rest, "connect_address": rest},
            "etcd3": {"host": etcd},
            "bootstrap": {
                "dcs": {
                    "ttl": TTL_S,
                    "loop_wait": LOOP_WAIT_S,
                    "retry_timeout": RETRY_TIMEOUT_S,
                    "synchronous_mode": true,
                    // With two nodes nobody could write after a failover until the other is back. What this gives up is
                    // a second copy then, not an acknowledged write: Patroni promotes none but a standby that was synchronous.
                    "synchronous_mode_strict": false,
                    "postgresql": {
                        "use_pg_rewind": true,
                        "remove_data_directory_on_rewind_failure": true,
                        "remove_data_directory_on_diverged_timelines": true,
                    },
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums"],
            },
            "postgresql": {
                "listen": self.host(),
                "connect_address": self.host(),
                "data_dir": self.folder.join("data"),
                "bin_dir": postgres_programs().unwrap(),
                "pgpass": self.folder.join("pgpass"),
                "pg_hba": [
                    "host all all 127.0.0.1/32 scram-sha-256",
                    "host replication all 127.0.0.1/32 scram-sha-256",
                ],
                "authentication": {
                    "superuser": {"username": "postgres", "password": password},
                    "replication": {"username": "replicator", "password": password},
                },
                // A socket's path would be too long for macOS, and nobody uses it.
                "parameters": {"unix_socket_directories": ""},
            },
        });
        settings.to_string()
    }
}
