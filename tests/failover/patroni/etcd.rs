//! A private etcd of one server, in which Patroni keeps who is the leader.

use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use reqwest::Client;

use crate::support::eventually;
use crate::support::guarded::{Guarded, free_port, own, program_named};
use crate::support::probes::pid;

const TRIES: usize = 4;

/// A running one.
pub(super) struct Etcd {
    guarded: Guarded,
    port: u16,
}

impl Etcd {
    /// Starts one, and waits until it answers.
    pub(super) async fn start(place: &Path, client: &Client) -> Self {
        for number in 0..TRIES {
            let folder = place.join(format!("etcd-{number}"));
            std::fs::create_dir(&folder).unwrap();
            own(&folder);
            let port = free_port();
            let mut etcd = Self { guarded: spawn(&folder, port), port };
            let health = format!("http://127.0.0.1:{port}/health");
            let answers = eventually("etcd to answer, or to end", async || {
                let answers = client.get(&health).send().await.is_ok_and(|answer| answer.status() == 200);
                (answers || etcd.guarded.has_ended()).then_some(answers)
            });
            if answers.await {
                return etcd;
            }
        }
        panic!("no etcd came up")
    }

    /// SIGSTOP or SIGCONT.
    pub(super) fn signal(&self, signal: Signal) {
        kill(pid(self.guarded.pid()), signal).unwrap();
    }

    /// Host and port.
    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

fn spawn(folder: &Path, port: u16) -> Guarded {
    let (clients, peers) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{}", free_port()));
    let mut command = Command::new(program_named("etcd"));
    command.args(["--name", "etcd", "--data-dir"]).arg(folder.join("data"));
    command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
    command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
    command.args(["--initial-cluster", &format!("etcd={peers}")]);
    Guarded::start(folder, &command)
}
