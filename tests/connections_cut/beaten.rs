//! A writer that is slower than everybody else would be beaten to the head on every try: its turn comes, and once it has seen
//! that others append it tries nothing else.

use std::time::Duration;

use sqlx::PgConnection;

use crate::support::database_proxy::Proxy;
use crate::support::load::{Load, assert_kept};
use crate::support::service::platform_on;
use crate::support::stream::assert_stream_is_the_log;
use crate::support::told::{Outcome, create, patch};
use crate::support::{NatsFlavor, eventually};

/// Of each byte on its way to the slow one's database, and back.
const LATENCY: Duration = Duration::from_millis(40);
const WRITES: usize = 12;

async fn head(connection: &mut PgConnection) -> u64 {
    let head: i64 = sqlx::query_scalar("select coalesce(max(position), 0) from ledger.event")
        .fetch_one(connection)
        .await
        .unwrap();
    u64::try_from(head).unwrap()
}

async fn a_slow_writer_among_fast_ones(flavor: NatsFlavor) {
    let platform = platform_on(flavor).await;
    let proxy = Proxy::with_latency(platform.database.service_url(), LATENCY).await;
    let (slow, fast) = (platform.serve_with(&["--database-url", proxy.url()]).await, platform.serve().await);
    let mut owner = platform.connection().await;
    let load = Load::start(&[&fast], 12, Duration::from_millis(1));
    load.further(50).await;
    let (mut last, mut task, mut passed, mut tries) = (0, String::new(), Vec::new(), Vec::new());
    for number in 0..WRITES {
        // Somebody else has appended since: what the slow one remembers is not the head.
        let before = eventually("the head moves", async || {
            let head = head(&mut owner).await;
            (head > last).then_some(head)
        })
        .await;
        let request = format!("slow-{number}");
        let told = match number % 2 {
            0 => create(&slow, &request).await,
            _ => patch(&slow, &request, &task).await,
        };
        assert!(matches!(told.outcome, Outcome::Written { .. }), "{told:?}");
        tries.push(proxy.appends_of(&request));
        (last, task) = (told.position(), told.vtid().to_owned());
        passed.push(last - before - 1);
    }
    println!("between a slow write's start and its event so many others went in: {passed:?}");
    assert!(tries[0] >= 2, "the first was not beaten: {tries:?}");
    // But for an append that took too long, on a machine that is busy.
    let again = tries[1..].iter().filter(|tries| **tries > 1).count();
    assert!(again <= 2, "whoever was beaten once waits for its turn: {tries:?}");
    assert!(passed.iter().any(|others| *others > 0), "nobody was faster: {passed:?}");
    load.further(50).await;
    let acknowledged = load.stop().await;
    let log = assert_stream_is_the_log(platform.database.url(), &platform.nats.url()).await;
    assert_kept(&log, &acknowledged);
    let slow = log.iter().filter(|r| r.event.origin.request_id.as_str().starts_with("slow-"));
    assert_eq!(slow.count(), WRITES, "each of its writes once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_is_beaten_on_every_try_gets_its_turn_oldest() {
    a_slow_writer_among_fast_ones(NatsFlavor::Oldest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_is_beaten_on_every_try_gets_its_turn_current() {
    a_slow_writer_among_fast_ones(NatsFlavor::Current).await;
}
