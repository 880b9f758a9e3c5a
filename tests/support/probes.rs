//! What tests ask of servers and processes.

use std::path::Path;
use std::process::Command;

use async_nats::jetstream;
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use sqlx::{Connection, PgConnection};
use vtid_ledger::dev::Endpoints;

use super::eventually;

const STREAM: &str = "KEPT";

pub(crate) fn pid(raw: u32) -> Pid {
    Pid::from_raw(raw.cast_signed())
}

pub(crate) fn lives(raw: u32) -> bool {
    kill(pid(raw), None) != Err(Errno::ESRCH)
}

pub(crate) fn parent_of(raw: u32) -> u32 {
    let parent = Command::new("ps").args(["-o", "ppid=", "-p", &raw.to_string()]).output().unwrap();
    String::from_utf8(parent.stdout).unwrap().trim().parse().unwrap()
}

pub(crate) async fn gone(raw: u32) {
    eventually("the process ends", async || (!lives(raw)).then_some(())).await;
}

pub(crate) async fn write_row(url: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (42)")
        .execute(&mut connection)
        .await
        .unwrap();
}

pub(crate) async fn read_row(url: &str) -> i32 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar("SELECT n FROM kept").fetch_one(&mut connection).await.unwrap()
}

pub(crate) async fn publish(url: &str) -> jetstream::Context {
    let context = jetstream::new(async_nats::connect(url).await.unwrap());
    let config = jetstream::stream::Config {
        name: STREAM.to_owned(),
        subjects: vec!["kept.>".to_owned()],
        ..Default::default()
    };
    context.create_stream(config).await.unwrap();
    context.publish("kept.one", "1".into()).await.unwrap().await.unwrap();
    context
}

pub(crate) async fn messages(url: &str) -> u64 {
    let context = jetstream::new(async_nats::connect(url).await.unwrap());
    context.get_stream(STREAM).await.unwrap().cached_info().state.messages
}

pub(crate) async fn wait_for_endpoints(data: &Path) -> Endpoints {
    let path = Endpoints::path(data);
    eventually("endpoints.json", async || serde_json::from_slice(&std::fs::read(&path).ok()?).ok()).await
}
