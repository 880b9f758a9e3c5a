//! `vtid-ledger dev`, the real command: everything in one, nothing left behind, and the data lasts.

use std::path::Path;
use std::process::{Command, Stdio};

use sqlx::{Connection, PgConnection};
use vtid_ledger::dev::Endpoints;

use crate::support::load::{Load, assert_kept};
use crate::support::probes::{gone, wait_for_endpoints};
use crate::support::service::{Service, some_task};
use crate::support::stream::assert_stream_is_the_log;
use crate::support::{eventually, folder, program};

/// Starts it; returns once it says where everything is.
async fn dev(data: &Path, stdout: &Path) -> (Service, Endpoints) {
    let mut command = Command::new(program());
    command
        .args(["dev", "--listen", "127.0.0.1:0", "--log-format", "json", "--data"])
        .arg(data)
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| name == "PATH"))
        .stdout(Stdio::from(std::fs::File::create(stdout).unwrap()));
    let service = Service::start(command);
    let endpoints = wait_for_endpoints(data).await;
    assert_eq!(endpoints.http, service.base());
    (service, endpoints)
}

/// The processes below `root`: the guards, the servers, and the servers' own children.
fn descendants(root: u32) -> Vec<u32> {
    let listed = Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let pairs: Vec<(u32, u32)> = listed
        .lines()
        .map(|line| {
            let mut numbers = line.split_whitespace().map(|number| number.parse().unwrap());
            (numbers.next().unwrap(), numbers.next().unwrap())
        })
        .collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(pairs.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| pid));
        next += 1;
    }
    found.split_off(1)
}

async fn all_gone(pids: Vec<u32>) {
    // Two guards, PostgreSQL with its helpers, NATS.
    assert!(pids.len() >= 5, "{pids:?}");
    for pid in pids {
        gone(pid).await;
    }
}

async fn stop(service: &mut Service) {
    service.terminate();
    let status = service.ended().await;
    assert!(status.success(), "{status:?}: {:?}", service.log_lines());
}

fn number_of(vtid: &str) -> u64 {
    vtid.rsplit('-').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_works_says_where_and_stops_when_told() {
    let folder = folder();
    let (data, stdout) = (folder.path().join("data"), folder.path().join("stdout"));
    let (mut service, endpoints) = dev(&data, &stdout).await;
    let vtid = service.create(some_task("in dev")).await.expect(200).vtid().to_owned();
    service.patch(&vtid, r#"{"status":"complete"}"#).await.expect(200);
    let row = service.get(&format!("/vtid/{vtid}")).await.expect(200);
    assert_eq!(row.body["data"]["status"], "complete");
    eventually("/readyz to tell the head", async || {
        (service.get("/readyz").await.expect(200).body["head"] == 2).then_some(())
    })
    .await;
    assert_eq!(assert_stream_is_the_log(&endpoints.postgres, &endpoints.nats).await.len(), 2);
    // A list waits for the read table; a read of one task need not.
    assert_eq!(service.get("/vtid/list").await.expect(200).body["count"], 1);
    // The database is the caller's, as its owner.
    let mut connection = PgConnection::connect(&endpoints.postgres).await.unwrap();
    let rows: i64 =
        sqlx::query_scalar(r#"select count(*) from "VtidLedger""#).fetch_one(&mut connection).await.unwrap();
    assert_eq!(rows, 1);
    // The service itself is not.
    let logins: Vec<String> = sqlx::query_scalar(
        "select distinct usename::text from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
             and backend_type = 'client backend'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(logins, ["vtid_ledger_service"]);
    let told = std::fs::read_to_string(&stdout).unwrap();
    for address in [&endpoints.http, &endpoints.postgres, &endpoints.nats] {
        assert!(told.lines().any(|line| line.ends_with(address.as_str())), "{address}: {told}");
    }

    let pids = descendants(service.pid().as_raw().cast_unsigned());
    stop(&mut service).await;
    all_gone(pids).await;
    assert!(!Endpoints::path(&data).exists(), "endpoints.json names addresses where nobody is");

    let (mut service, _) = dev(&data, &stdout).await;
    assert_eq!(service.get(&format!("/vtid/{vtid}")).await.expect(200).text, row.text);
    let next = service.create(some_task("another run")).await.expect(200);
    assert_eq!((number_of(next.vtid()), next.position()), (number_of(&vtid) + 1, 3));
    stop(&mut service).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_under_load_leaves_no_process_and_no_gap() {
    let folder = folder();
    let (data, stdout) = (folder.path().join("data"), folder.path().join("stdout"));
    let (mut service, _) = dev(&data, &stdout).await;
    let first = service.create(some_task("before the kill")).await.expect(200).vtid().to_owned();
    let row = service.get(&format!("/vtid/{first}")).await.expect(200);
    let load = Load::start(&[&service], 4, std::time::Duration::from_millis(10));
    load.further(200).await;
    let pids = descendants(service.pid().as_raw().cast_unsigned());
    service.kill();
    load.retarget(None);
    let acknowledged = load.stop().await;
    all_gone(pids).await;

    let (mut service, endpoints) = dev(&data, &stdout).await;
    assert_eq!(service.get(&format!("/vtid/{first}")).await.expect(200).text, row.text);
    let next = service.create(some_task("after the kill")).await.expect(200);
    let log = assert_stream_is_the_log(&endpoints.postgres, &endpoints.nats).await;
    assert_kept(&log, &acknowledged);
    let created = log.iter().filter(|recorded| recorded.event.version.get() == 1);
    let numbers: Vec<u64> = created.map(|recorded| recorded.event.vtid.number()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "numbers without gaps");
    assert_eq!(numbers.last(), Some(&number_of(next.vtid())));
    assert_eq!(next.position(), log.len() as u64);
    stop(&mut service).await;
}
