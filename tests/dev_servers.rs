//! The private servers: they start, answer, last, and say what is wrong.

use std::net::TcpListener;
use std::path::PathBuf;

use nix::unistd::getpgid;
use sqlx::{Connection, PgConnection};
use vtid_ledger::dev::{
    DevError, DevServers, Durability, Endpoints, NatsOptions, NatsServer, PostgresOptions, PostgresServer,
};

use super::support::probes::{
    lives, messages, parent_of, pid, publish, read_row, wait_for_endpoints, write_row,
};
use super::support::{NatsFlavor, database, eventually, folder, nats, nats_with, program};

#[tokio::test]
async fn both_servers_answer_last_and_stop() {
    let data = folder();
    let servers = DevServers::start(data.path(), program()).await.unwrap();
    let endpoints = servers.write_endpoints("http://127.0.0.1:1", "postgres").unwrap();
    assert_eq!(wait_for_endpoints(data.path()).await, endpoints);
    write_row(&endpoints.postgres).await;
    publish(&endpoints.nats).await;
    let pids = [servers.postgres.pid(), servers.nats.pid()];
    // A Ctrl-C on our terminal must reach neither them nor their guards.
    for process in pids.into_iter().chain(pids.map(parent_of)) {
        assert_ne!(getpgid(Some(pid(process))).unwrap(), getpgid(None).unwrap());
    }
    let state = std::fs::read_to_string(data.path().join("postgres/data/postmaster.pid")).unwrap();
    let sockets = PathBuf::from(state.lines().nth(4).unwrap());
    assert!(sockets.join(format!(".s.PGSQL.{}", servers.postgres.port())).exists());
    servers.stop().await.unwrap();
    assert_eq!(pids.map(lives), [false, false]);
    assert!(!Endpoints::path(data.path()).exists() && !sockets.exists());

    let servers = DevServers::start(data.path(), program()).await.unwrap();
    assert_eq!(read_row(&servers.postgres.url("postgres")).await, 42);
    assert_eq!(messages(&servers.nats.url()).await, 1);
    servers.stop().await.unwrap();
}

#[tokio::test]
async fn a_cluster_is_durable_unless_told_and_asks_for_its_password() {
    let data = folder();
    let mut options = PostgresOptions::new(data.path().join("durable"), program());
    let settings = ["fsync", "synchronous_commit", "full_page_writes", "server_encoding"];
    let read = async |server: &PostgresServer| {
        let mut connection = PgConnection::connect(&server.url("postgres")).await.unwrap();
        let mut values: Vec<String> = Vec::new();
        for name in settings {
            let value = sqlx::query_scalar("SELECT setting FROM pg_settings WHERE name = $1").bind(name);
            values.push(value.fetch_one(&mut connection).await.unwrap());
        }
        let collation =
            sqlx::query_scalar("SELECT datcollate FROM pg_database WHERE datname = current_database()");
        values.push(collation.fetch_one(&mut connection).await.unwrap());
        values.join(" ")
    };
    let server = PostgresServer::start(&options).await.unwrap();
    assert_eq!(read(&server).await, "on on on UTF8 C");
    let open = format!("postgres://postgres:wrong@127.0.0.1:{}/postgres", server.port());
    let refused = PgConnection::connect(&open).await.unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().code().unwrap(), "28P01");
    server.stop().await.unwrap();

    options.folder = data.path().join("throw_away");
    options.durability = Durability::ThrowAway;
    options.remove_on_drop = true;
    let server = PostgresServer::start(&options).await.unwrap();
    assert_eq!(read(&server).await, "off on off UTF8 C");
    drop(server);
    eventually("the folder is removed", async || (!options.folder.exists()).then_some(())).await;
}

#[tokio::test]
async fn each_test_has_a_database_of_its_own() {
    let (one, two) = (database().await, database().await);
    write_row(one.url()).await;
    write_row(two.url()).await;
    assert_eq!(read_row(one.url()).await, 42);
    let url = one.url().to_owned();
    drop(one);
    eventually("the database is dropped", async || PgConnection::connect(&url).await.err()).await;
    assert_eq!(read_row(two.url()).await, 42);
}

#[tokio::test]
async fn two_starts_on_one_folder_are_an_error_that_names_the_holder() {
    let data = folder();
    let servers = DevServers::start(data.path(), program()).await.unwrap();
    let error = DevServers::start(data.path(), program()).await.unwrap_err();
    assert!(
        matches!(error, DevError::InUse { holder: Some(pid), .. } if pid == std::process::id()),
        "{error}"
    );
    assert!(error.to_string().contains(data.path().to_str().unwrap()), "{error}");
    assert!(servers.postgres.is_running() && servers.nats.is_running());
    servers.stop().await.unwrap();
}

#[tokio::test]
async fn nats_keeps_its_stream_and_its_port_over_a_restart() {
    for flavor in [NatsFlavor::Oldest, NatsFlavor::Current] {
        let mut nats = nats(flavor).await;
        let url = nats.url();
        publish(&url).await;
        nats.stop().await;
        assert!(async_nats::connect(&url).await.is_err());
        nats.start().await;
        assert_eq!(nats.url(), url);
        assert_eq!(messages(&url).await, 1);
    }
}

#[tokio::test]
async fn both_nats_flavors_take_further_settings() {
    let mut versions = Vec::new();
    for flavor in [NatsFlavor::Oldest, NatsFlavor::Current] {
        let nats = nats_with(flavor, "max_payload: 4096").await;
        let info = async_nats::connect(nats.url()).await.unwrap().server_info();
        assert_eq!(info.max_payload, 4096);
        versions.push(info.version);
    }
    // Which one the distribution has is its own affair; ours is pinned.
    assert!(versions[1].starts_with("2.15."), "{versions:?}");
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let data = folder();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut options = NatsOptions::new(data.path(), program());
    options.port = Some(port);
    let error = NatsServer::start(&options).await.unwrap_err();
    assert!(matches!(error, DevError::PortInUse { port: named, .. } if named == port), "{error}");
}

#[tokio::test]
async fn a_server_that_fails_to_start_shows_its_log() {
    let data = folder();
    let mut options = PostgresOptions::new(data.path(), program());
    options.settings = vec![("shared_buffers".to_owned(), "plenty".to_owned())];
    let error = PostgresServer::start(&options).await.unwrap_err();
    assert!(error.to_string().contains("shared_buffers"), "{error}");

    let mut options = NatsOptions::new(data.path().join("nats"), program());
    options.extra_config = "authorization: {".to_owned();
    let error = NatsServer::start(&options).await.unwrap_err();
    assert!(error.to_string().contains("Parse error"), "{error}");
}

#[tokio::test]
async fn a_missing_program_is_named_with_the_command_that_installs_it() {
    let data = folder();
    let nowhere = PathBuf::from("/nonexistent");
    let mut options = PostgresOptions::new(data.path(), program());
    options.binaries = Some(nowhere.clone());
    let error = PostgresServer::start(&options).await.unwrap_err().to_string();
    assert!(error.contains("postgres was not found") && error.contains(" install "), "{error}");

    let mut options = NatsOptions::new(data.path(), program());
    options.binary = Some(nowhere);
    let error = NatsServer::start(&options).await.unwrap_err().to_string();
    assert!(error.contains("nats-server was not found") && error.contains(" install "), "{error}");
}

#[tokio::test]
async fn under_root_an_unreachable_folder_is_named_with_one_that_works() {
    use std::os::unix::fs::PermissionsExt;
    if !nix::unistd::Uid::effective().is_root() {
        return;
    }
    let data = folder();
    std::fs::set_permissions(data.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let inner = data.path().join("inner");
    let error = DevServers::start(&inner, program()).await.unwrap_err();
    assert!(matches!(error, DevError::Unreachable { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(inner.to_str().unwrap()) && text.contains("/var/lib/vtid"), "{text}");
    assert!(!inner.exists());
}
