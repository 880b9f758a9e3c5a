//! A client that vanished between Execute and Sync holds its rows and the append lock, and the server does not notice:
//! the others are held up for no more than 2 s.

use std::time::{Duration, Instant};

use futures::future::join_all;
use sqlx::PgConnection;

use crate::support::database_proxy::{Cut, Proxy};
use crate::support::service::{Platform, Service, platform_on};
use crate::support::stream::assert_stream_is_the_log;
use crate::support::told::{Outcome, Told, assert_told, create, patch};
use crate::support::{NatsFlavor, eventually};

/// How many write at once while the vanished client stands in the way.
const CALLERS: usize = 8;

/// A session that waits for its client and holds the append lock: in the middle of a round trip, or between two of them.
pub(super) async fn ghost(connection: &mut PgConnection) -> Option<i32> {
    sqlx::query_scalar(
        "select a.pid from pg_locks l join pg_stat_activity a on a.pid = l.pid
         where l.locktype = 'advisory' and l.granted and l.mode in ('ShareLock', 'ExclusiveLock')
           and l.database = (select d.oid from pg_database d where d.datname = current_database())
           and a.state in ('active', 'idle') and a.wait_event = 'ClientRead'",
    )
    .fetch_optional(connection)
    .await
    .unwrap()
}

struct Haunted {
    platform: Platform,
    proxy: Proxy,
    /// Its client side is behind the proxy.
    vanishing: Service,
    other: Service,
}

impl Haunted {
    async fn start(flavor: NatsFlavor) -> Self {
        let platform = platform_on(flavor).await;
        let proxy = Proxy::start(platform.database.service_url()).await;
        let vanishing = platform.serve_with(&["--database-url", proxy.url()]).await;
        let other = platform.serve().await;
        Self { platform, proxy, vanishing, other }
    }

    /// The appends of `name` are cut one after another, and with the last of them the client vanishes. Gives everything
    /// that was written, and for how long the others were held up.
    async fn haunt(&self, name: &str, cuts: &[Cut]) -> (Vec<Told>, Duration) {
        let mut told = vec![create(&self.other, &format!("{name}-other")).await];
        let task = told[0].vtid().to_owned();
        told.push(patch(&self.vanishing, &format!("{name}-own"), &task).await);
        // The other looks at the head before it refuses. Now both know it: they will append at the same position.
        self.other.patch("VTID-1999-0001", r#"{"status":"active"}"#).await.expect(404);
        for cut in cuts {
            self.proxy.arm(*cut, name);
        }
        let last = *cuts.last().unwrap();
        let others = async {
            let vanished = self.proxy.until_cut(last, name).await.at;
            let mut owner = self.platform.connection().await;
            eventually("the vanished session holds its rows", async || ghost(&mut owner).await).await;
            let requests: Vec<String> = (0..CALLERS).map(|caller| format!("{name}-other-{caller}")).collect();
            let writes = requests.iter().map(async |request| {
                let told = create(&self.other, request).await;
                (told, vanished.elapsed())
            });
            let written = join_all(writes).await;
            self.proxy.close(false);
            written
        };
        let begun = Instant::now();
        let (own, others) = tokio::join!(patch(&self.vanishing, name, &task), others);
        let own_after = begun.elapsed();
        let held_up = others.iter().map(|(_, after)| *after).min().unwrap();
        println!(
            "{name}: the others were held up for {held_up:?}, the vanished one's own caller for {own_after:?}"
        );
        told.push(own);
        told.extend(others.into_iter().map(|(told, _)| told));
        told.push(patch(&self.vanishing, &format!("{name}-after"), &task).await);
        (told, held_up)
    }
}

async fn a_client_vanishes(flavor: NatsFlavor) {
    let haunted = Haunted::start(flavor).await;
    let mut all = Vec::new();
    for round in 0..2 {
        for (name, cuts) in [
            ("returns", &[Cut::Vanish][..]),
            ("stays-away", &[Cut::VanishForGood]),
            // Before its first append; so the second is one of its turn, which holds the lock for itself alone.
            ("in-its-turn-returns", &[Cut::Before, Cut::Vanish]),
            ("in-its-turn-stays-away", &[Cut::Before, Cut::VanishForGood]),
        ] {
            let name = format!("{name}-{round}");
            let (told, held_up) = haunted.haunt(&name, cuts).await;
            // What is promised to callers; the machine may be busy, and their deadline is 5 s.
            assert!(held_up < Duration::from_secs(4), "{name}: held up for {held_up:?}");
            for write in &told {
                assert!(matches!(write.outcome, Outcome::Written { .. }), "{write:?}");
            }
            all.extend(told);
        }
    }
    let platform = &haunted.platform;
    let log = assert_stream_is_the_log(platform.database.url(), &platform.nats.url()).await;
    assert_told(&log, &all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_vanished_does_not_hold_up_the_others_oldest() {
    a_client_vanishes(NatsFlavor::Oldest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_vanished_does_not_hold_up_the_others_current() {
    a_client_vanishes(NatsFlavor::Current).await;
}
