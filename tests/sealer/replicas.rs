//! Several processes that can seal: one of them does.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use vtid_ledger::leases::Role;
use vtid_ledger::leases::table::look;

use super::stage::{Stage, write};
use super::tampered::writes_go_on;
use crate::support::eventually;
use crate::support::service::{Service, some_task};

/// Longer than a lease lasts.
const FROZEN_FOR: Duration = Duration::from_secs(5);

/// Which of them has the lease, as `PostgreSQL` tells.
async fn holder(stage: &Stage, services: &[Service]) -> usize {
    eventually("one of them has the lease", async || {
        let standing = look(&mut stage.connection().await, Role::Sealer).await.unwrap()?;
        if standing.left_ms == 0 {
            return None;
        }
        for (index, service) in services.iter().enumerate() {
            let ready = service.try_send(service.request(reqwest::Method::GET, "/readyz")).await?;
            if ready.body["process"] == standing.holder.to_string() {
                return Some(index);
            }
        }
        None
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_seals_when_the_holder_is_killed() {
    let stage = Stage::new().await;
    let mut services = vec![stage.serve().await, stage.serve().await];
    write(&services[0], 100).await;
    stage.all_sealed().await;
    let holder = holder(&stage, &services).await;
    services.remove(holder).kill();
    let since = Instant::now();
    services[0].create(some_task("after the kill")).await.expect(200);
    stage.all_sealed().await;
    println!("sealed {:?} after the holder was killed", since.elapsed());
    write(&services[0], 100).await;
    stage.all_sealed().await;
    stage.assert_sealed().await;
    stage.assert_published().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_holder_does_no_harm_when_it_wakes() {
    let stage = Stage::new().await;
    let services = [stage.serve().await, stage.serve().await];
    write(&services[0], 50).await;
    stage.all_sealed().await;
    let frozen = holder(&stage, &services).await;
    let (other, pid) = (&services[1 - frozen], services[frozen].pid());
    // It has something to seal when it wakes.
    services[frozen].create(some_task("before the frost")).await.expect(200);
    kill(pid, Signal::SIGSTOP).unwrap();
    let since = Instant::now();
    eventually("the lease to be long over", async || (since.elapsed() > FROZEN_FOR).then_some(())).await;
    write(other, 50).await;
    stage.all_sealed().await;
    let sealed = stage.sealed().await.len();
    kill(pid, Signal::SIGCONT).unwrap();
    for _ in 0..3 {
        write(&services[frozen], 20).await;
        write(other, 20).await;
        stage.all_sealed().await;
    }
    assert!(stage.assert_sealed().await.len() > sealed);
    stage.assert_published().await;
    assert_eq!(stage.findings().await.len(), 0);
}

/// As of a sealer that slept between its look at the past and what follows from that.
#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_nobody_has_reason_for_goes() {
    let stage = Stage::new().await;
    let service = stage.serve().await;
    service.create(some_task("before")).await.expect(200);
    stage.all_sealed().await;
    sqlx::query(
        "insert into ledger.hold (only_row, reason, position, last_position) values (false, 'the sealer: x', 1, 1)",
    )
    .execute(&mut stage.connection().await)
    .await
    .unwrap();
    writes_go_on(&service).await;
    stage.all_sealed().await;
    assert_eq!(stage.findings().await.len(), 0);
}
