//! The private servers never outlive those who started them, and recover from every sudden end.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use vtid_ledger::dev::{DevServers, Endpoints, NatsOptions, NatsServer, PostgresOptions, PostgresServer};

use super::support::probes::{
    gone, lives, messages, parent_of, pid, publish, read_row, wait_for_endpoints, write_row,
};
use super::support::{NatsFlavor, eventually, folder, nats, program};

#[tokio::test]
async fn a_killed_parent_takes_its_servers_with_it_and_the_folder_starts_again() {
    let data = folder();
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "dev_crash::stand_in_for_dev", "--nocapture"])
        .env("VTID_TEST_DATA", data.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let endpoints = wait_for_endpoints(data.path()).await;
    write_row(&endpoints.postgres).await;
    publish(&endpoints.nats).await;
    let pids: Vec<u32> = endpoints.http.split(' ').map(|pid| pid.parse().unwrap()).collect();
    assert!(pids.iter().copied().all(lives));
    parent.kill().unwrap();
    parent.wait().unwrap();

    // At once: the start waits for the old servers to end.
    let servers = DevServers::start(data.path(), program()).await.unwrap();
    assert!(!pids.iter().copied().any(lives));
    assert!(!Endpoints::path(data.path()).exists(), "the killed run's addresses are still there");
    assert_eq!(read_row(&servers.postgres.url("postgres")).await, 42);
    assert_eq!(messages(&servers.nats.url()).await, 1);
    servers.stop().await.unwrap();
}

/// Not a test: the process that the test above kills.
#[tokio::test]
#[ignore = "the helper process of another test"]
async fn stand_in_for_dev() {
    let Some(data) = std::env::var_os("VTID_TEST_DATA") else {
        return;
    };
    let servers = DevServers::start(Path::new(&data), program()).await.unwrap();
    let pids = format!("{} {}", servers.postgres.pid(), servers.nats.pid());
    servers.write_endpoints(&pids, "postgres").unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_killed_postmaster_is_recovered_from() {
    let data = folder();
    let options = PostgresOptions::new(data.path(), program());
    let server = PostgresServer::start(&options).await.unwrap();
    write_row(&server.url("postgres")).await;
    kill(pid(server.pid()), Signal::SIGKILL).unwrap();
    eventually("its end is noticed", async || (!server.is_running()).then_some(())).await;
    assert!(data.path().join("data/postmaster.pid").exists());
    let again = PostgresServer::start(&options).await.unwrap();
    assert_eq!(read_row(&again.url("postgres")).await, 42);
    again.stop().await.unwrap();
}

#[tokio::test]
async fn a_frozen_server_is_stopped_too() {
    let nats = nats(NatsFlavor::Oldest).await;
    let server = nats.server().pid();
    kill(pid(server), Signal::SIGSTOP).unwrap();
    drop(nats);
    gone(server).await;
}

#[tokio::test]
async fn a_guard_that_is_asked_to_end_stops_its_server_first() {
    let data = folder();
    let server = NatsServer::start(&NatsOptions::new(data.path(), program())).await.unwrap();
    kill(pid(parent_of(server.pid())), Signal::SIGTERM).unwrap();
    gone(server.pid()).await;
}

#[tokio::test]
async fn a_server_whose_guard_was_killed_keeps_its_folder_to_itself() {
    let data = folder();
    let options = NatsOptions::new(data.path(), program());
    let server = NatsServer::start(&options).await.unwrap();
    let orphan = server.pid();
    kill(pid(parent_of(orphan)), Signal::SIGKILL).unwrap();
    eventually("the guard's end is noticed", async || (!server.is_running()).then_some(())).await;
    let orphan_lived = lives(orphan);

    let mut second = tokio::spawn(async move { NatsServer::start(&options).await });
    let waits = tokio::time::timeout(Duration::from_millis(300), &mut second).await.is_err();
    // Before anything can fail, so that it is not left behind.
    kill(pid(orphan), Signal::SIGTERM).unwrap();
    assert!(orphan_lived && waits, "lived: {orphan_lived}, waits: {waits}");
    second.await.unwrap().unwrap().stop().await.unwrap();
}
