//! A process that is frozen between Execute and Sync, alive and with its connection open, holds its rows and the append lock,
//! and one that is frozen between the round trips of its turn, the lock:
//! the others are held up for a second, until the first that waits gives up and ends that session; and when it wakes it does
//! no harm.

use std::time::Duration;

use futures::future::join_all;
use nix::sys::signal::{Signal, kill};

use super::vanish::ghost;
use crate::support::database_proxy::{Cut, Proxy};
use crate::support::eventually;
use crate::support::service::platform;
use crate::support::stream::assert_stream_is_the_log;
use crate::support::told::{Outcome, assert_told, create, patch};

/// How many write at once while the frozen process stands in the way.
const CALLERS: usize = 8;
/// A second, and a moment to end it and write; generously, for the machine may be busy.
const BOUND: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_frozen_within_an_append_holds_up_the_others_for_a_moment_and_does_no_harm() {
    let platform = platform().await;
    let proxy = Proxy::start(platform.database.service_url()).await;
    let freezing = platform.serve_with(&["--database-url", proxy.url()]).await;
    let others = [platform.serve().await, platform.serve().await];
    let mut owner = platform.connection().await;
    let mut all = Vec::new();
    // In its append, in a turn's, or before that one, whose lock nobody shares.
    let ways = [&[Cut::Hold][..], &[Cut::Before, Cut::Hold], &[Cut::Before, Cut::HoldBefore]];
    for (round, cuts) in ways.into_iter().cycle().take(6).enumerate() {
        let name = format!("frozen-{round}");
        all.push(create(&others[0], &format!("{name}-other")).await);
        let task = all.last().unwrap().vtid().to_owned();
        all.push(patch(&freezing, &format!("{name}-own"), &task).await);
        // They look at the head before they refuse. Now all know it, and will append at the same position.
        for other in &others {
            other.patch("VTID-1999-0001", r#"{"status":"active"}"#).await.expect(404);
        }
        for cut in cuts {
            proxy.arm(*cut, &name);
        }
        let meanwhile = async {
            let held = proxy.until_cut(*cuts.last().unwrap(), &name).await.at;
            kill(freezing.pid(), Signal::SIGSTOP).unwrap();
            eventually("the frozen session holds its rows", async || ghost(&mut owner).await).await;
            let requests: Vec<String> = (0..CALLERS).map(|caller| format!("{name}-other-{caller}")).collect();
            let writes = requests.iter().enumerate().map(async |(caller, request)| {
                let told = create(&others[caller % 2], request).await;
                (told, held.elapsed())
            });
            let written = join_all(writes).await;
            kill(freezing.pid(), Signal::SIGCONT).unwrap();
            written
        };
        let (own, written) = tokio::join!(patch(&freezing, &name, &task), meanwhile);
        let held_up = written.iter().map(|(_, after)| *after).max().unwrap();
        println!("{name}: the others were held up for {held_up:?}");
        assert!(held_up < BOUND, "{name}: held up for {held_up:?}");
        for (told, _) in &written {
            assert!(matches!(told.outcome, Outcome::Written { .. }), "{told:?}");
        }
        all.extend(written.into_iter().map(|(told, _)| told));
        all.push(own);
        all.push(patch(&freezing, &format!("{name}-after"), &task).await);
        assert!(matches!(all.last().unwrap().outcome, Outcome::Written { .. }), "{:?}", all.last());
    }
    let log = assert_stream_is_the_log(platform.database.url(), &platform.nats.url()).await;
    assert_told(&log, &all);
}
