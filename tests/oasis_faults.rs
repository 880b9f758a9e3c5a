//! The whole program under load, while what it stands on goes away and it is killed itself: the stream still holds
//! every event once, in order, at the sequence that is its position; and nothing that was acknowledged is lost.

use std::time::Duration;

use crate::support::load::{Acknowledged, Load, assert_kept};
use crate::support::service::{Platform, Service, platform_on};
use crate::support::stream::assert_stream_is_the_log;
use crate::support::{NatsFlavor, eventually};

const CALLERS: u64 = 6;
const PAUSE: Duration = Duration::from_millis(10);

fn load(services: &[&Service]) -> Load {
    Load::start(services, CALLERS, PAUSE)
}

async fn assert_whole(platform: &Platform, acknowledged: &[Acknowledged]) {
    let log = assert_stream_is_the_log(platform.database.url(), &platform.nats.url()).await;
    assert!(log.len() >= acknowledged.len() && !acknowledged.is_empty());
    assert_kept(&log, acknowledged);
}

async fn nats_goes_away(flavor: NatsFlavor) {
    let mut platform = platform_on(flavor).await;
    let service = platform.serve().await;
    let load = load(&[&service]);
    for _ in 0..3 {
        load.further(150).await;
        platform.nats.stop().await;
        // Writes go on without it.
        load.further(150).await;
        platform.nats.start().await;
    }
    load.further(150).await;
    assert_whole(&platform, &load.stop().await).await;
}

async fn the_ledger_is_killed(flavor: NatsFlavor) {
    let platform = platform_on(flavor).await;
    let mut service = platform.serve().await;
    let load = load(&[&service]);
    for _ in 0..5 {
        load.further(120).await;
        service.kill();
        // Somebody else may get its port.
        load.retarget(None);
        service = platform.serve().await;
        load.retarget(Some(&service));
    }
    load.further(120).await;
    assert_whole(&platform, &load.stop().await).await;
}

/// The limit is what `/readyz` names, not what it leads to: that the messages behind the refused one come too early.
async fn nats_has_no_room(flavor: NatsFlavor) {
    let mut platform = platform_on(flavor).await;
    let service = platform.serve().await;
    let load = load(&[&service]);
    load.further(150).await;
    platform.nats.limit_store(Some(1 << 16)).await;
    eventually("the limit is named", async || {
        let ready = service.get("/readyz").await.expect(200);
        ready.body["degraded"].to_string().contains("insufficient resources").then_some(())
    })
    .await;
    // Writes go on without it.
    load.further(150).await;
    platform.nats.limit_store(None).await;
    load.further(150).await;
    assert_whole(&platform, &load.stop().await).await;
}

async fn two_processes_at_once(flavor: NatsFlavor) {
    let platform = platform_on(flavor).await;
    let services = [platform.serve().await, platform.serve().await];
    // Each caller goes from one to the other and back, so that a task's versions come from both.
    let load = load(&[&services[0], &services[1]]);
    load.further(800).await;
    assert_whole(&platform, &load.stop().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_goes_away_and_comes_back_oldest() {
    nats_goes_away(NatsFlavor::Oldest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_goes_away_and_comes_back_current() {
    nats_goes_away(NatsFlavor::Current).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_has_no_room_and_then_has_oldest() {
    nats_has_no_room(NatsFlavor::Oldest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_has_no_room_and_then_has_current() {
    nats_has_no_room(NatsFlavor::Current).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_is_killed_and_started_again_oldest() {
    the_ledger_is_killed(NatsFlavor::Oldest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_is_killed_and_started_again_current() {
    the_ledger_is_killed(NatsFlavor::Current).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_relay_at_once_oldest() {
    two_processes_at_once(NatsFlavor::Oldest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_relay_at_once_current() {
    two_processes_at_once(NatsFlavor::Current).await;
}
