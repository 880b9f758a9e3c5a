//! The writer's connection is cut before, during and after an append, or its bytes are let through late: no write is
//! lost, doubled or answered wrongly.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use tokio_util::sync::CancellationToken;
use vtid_ledger::domain::cursor::Cursor;

use crate::support::database_proxy::{Cut, Proxy};
use crate::support::service::{Platform, Service, platform_on};
use crate::support::stream::{assert_stream_is_the_log, log_after};
use crate::support::told::{Outcome, Told, assert_told, create, create_complete, keep_writing, patch};
use crate::support::{NatsFlavor, eventually};

const CUTS: [Cut; 4] = [Cut::Before, Cut::During, Cut::After, Cut::Late];
/// What happens to the appends of one write, one after another: to the writer's own, and to those of its turns.
const WAYS: [&[Cut]; 8] = [
    &[Cut::Before],
    &[Cut::During],
    &[Cut::After],
    &[Cut::Late],
    &[Cut::Before, Cut::Before],
    &[Cut::Before, Cut::After],
    &[Cut::During, Cut::Before, Cut::After],
    &[Cut::Late, Cut::During, Cut::After],
];
/// A deadline that passes while a test has the network away.
const SHORT_DEADLINE: [&str; 2] = ["--write-deadline-ms", "1000"];

/// A ledger whose database is behind a proxy.
struct Cutting {
    platform: Platform,
    proxy: Proxy,
    service: Service,
    /// Numbers the writes.
    written: AtomicUsize,
    /// Those whose bytes come late, to a place that is taken.
    late: Mutex<Vec<String>>,
    /// Those whose bytes come late while others append, so that they may belong to a turn.
    late_among_others: Mutex<Vec<String>>,
}

impl Cutting {
    async fn start(flavor: NatsFlavor) -> Self {
        let platform = platform_on(flavor).await;
        let proxy = Proxy::start(platform.database.service_url()).await;
        let service = platform.serve_with(&["--database-url", proxy.url()]).await;
        let (late, late_among_others) = (Mutex::default(), Mutex::default());
        Self { platform, proxy, service, written: AtomicUsize::new(0), late, late_among_others }
    }

    /// A write whose appends are cut: creates and patches in turn.
    async fn cut(&self, cuts: &[Cut], task: &str) -> Told {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let request = format!("cut-{number}");
        for cut in cuts {
            self.proxy.arm(*cut, &request);
        }
        let told = match number % 3 {
            0 => create(&self.service, &request).await,
            1 => patch(&self.service, &request, task).await,
            _ => create_complete(&self.service, &request).await,
        };
        for cut in cuts {
            self.proxy.fired(*cut, &request).unwrap_or_else(|| panic!("{cut:?} was not made: {told:?}"));
        }
        told
    }

    async fn head(&self) -> usize {
        log_after(self.platform.database.url(), Cursor::Start).await.len()
    }

    /// The server has got the bytes that were held back, and the log has refused them: their place is taken.
    async fn assert_late_refused(&self, request: &str) {
        let answer = self.proxy.answer(Cut::Late, request).await;
        assert!(answer.contains("event_position"), "{request}: {answer}");
    }

    async fn assert_whole(&self, told: &[Told]) {
        let late = self.late.lock().unwrap().clone();
        for request in &late {
            self.assert_late_refused(request).await;
        }
        let among_others = self.late_among_others.lock().unwrap().clone();
        for request in &among_others {
            // In a turn the others wait until they came, or end that session first.
            let answer = self.proxy.answer(Cut::Late, request).await;
            let ended = ["event_position", "57P01", "appended"];
            assert!(ended.iter().any(|end| answer.contains(end)), "{request}: {answer}");
        }
        let log = assert_stream_is_the_log(self.platform.database.url(), &self.platform.nats.url()).await;
        assert_told(&log, told);
    }

    /// One write at a time, so that nothing else moves the head: the writer settles each by itself, within the deadline.
    async fn alone(&self, all: &mut Vec<Told>) {
        let first = create(&self.service, "first").await;
        let task = first.vtid().to_owned();
        all.push(first);
        let mut seen_late = false;
        for way in WAYS.repeat(3) {
            let told = self.cut(way, &task).await;
            let (head, position) = (self.head().await, told.position());
            assert_eq!(position, head as u64, "{way:?}");
            if *way == [Cut::After] {
                assert!(self.proxy.answer(Cut::After, &told.request).await.contains("appended"));
            }
            if way[0] == Cut::Late {
                // Of the first it is seen that nothing else has moved the head either.
                if !seen_late {
                    self.assert_late_refused(&told.request).await;
                    assert_eq!(self.head().await, head, "the late bytes changed nothing");
                    seen_late = true;
                }
                self.late.lock().unwrap().push(told.request.clone());
            }
            all.push(told);
        }
    }

    /// Its bytes come late, and nobody can look before they do: the append goes in after its connection has died.
    async fn late_and_nobody_looks(&self, all: &mut Vec<Told>) {
        let task = all[0].vtid();
        self.proxy.close(true);
        let request = format!("cut-{}", self.written.load(Ordering::Relaxed));
        let opened = async {
            assert!(self.proxy.answer(Cut::Late, &request).await.contains("appended"), "it went in late");
            self.proxy.close(false);
        };
        let (told, ()) = tokio::join!(self.cut(&[Cut::Late], task), opened);
        assert_eq!(told.position(), self.head().await as u64);
        all.push(told);
    }

    /// Among many writes, here and in another process, which moves the head meanwhile.
    async fn among_others(&self, all: &mut Vec<Told>) {
        let other = self.platform.serve().await;
        let stop = CancellationToken::new();
        let names: Vec<String> = (0..6).map(|caller| format!("caller-{caller}")).collect();
        let writing = names
            .iter()
            .enumerate()
            .map(|(caller, name)| keep_writing(if caller < 4 { &self.service } else { &other }, name, &stop));
        let task = all[0].vtid().to_owned();
        let cutting = async {
            let mut told = Vec::new();
            for way in WAYS.repeat(2) {
                let write = self.cut(way, &task).await;
                if way[0] == Cut::Late {
                    // Others have appended by the time that its bytes come, or can't until its turn is ended.
                    self.late_among_others.lock().unwrap().push(write.request.clone());
                }
                told.push(write);
            }
            for write in &told {
                assert!(matches!(write.outcome, Outcome::Written { .. }), "{write:?}");
            }
            stop.cancel();
            told
        };
        let (told, cut) = tokio::join!(join_all(writing), cutting);
        let told: Vec<Told> = told.into_iter().flatten().collect();
        for write in &told {
            assert!(matches!(write.outcome, Outcome::Written { .. }), "{write:?}");
        }
        println!("among others: {} writes besides those that were cut", told.len());
        all.extend(told);
        all.extend(cut);
    }

    /// The network stays away for longer than callers wait: who was sent is told that nobody knows, who was not is told
    /// that nothing was written; and then it goes on.
    async fn for_longer_than_callers_wait(&mut self, all: &mut Vec<Told>) {
        let [flag, deadline] = SHORT_DEADLINE;
        self.service = self.platform.serve_with(&["--database-url", self.proxy.url(), flag, deadline]).await;
        let task = all[0].vtid().to_owned();
        for (round, cut) in CUTS.into_iter().enumerate() {
            let way = [cut];
            // Its connection is open, and it knows the head.
            all.push(create(&self.service, &format!("before-{round}")).await);
            self.proxy.close(true);
            let request = format!("cut-{}", self.written.load(Ordering::Relaxed));
            let meanwhile = async {
                self.proxy.until_cut(cut, &request).await;
                create(&self.service, &format!("meanwhile-{round}")).await
            };
            let (unknown, not_written) = tokio::join!(self.cut(&way, &task), meanwhile);
            assert_eq!(unknown.outcome, Outcome::Unknown, "{cut:?}");
            assert_eq!(not_written.outcome, Outcome::NotWritten, "{cut:?}");
            if cut == Cut::Late {
                assert!(self.proxy.answer(cut, &request).await.contains("appended"), "it went in late");
            }
            self.proxy.close(false);
            all.extend([unknown, not_written]);
            // The writer tries again within a second, which is all that a caller waits.
            eventually("writes go on", async || {
                let number = self.written.fetch_add(1, Ordering::Relaxed);
                let told = create(&self.service, &format!("back-{number}")).await;
                let written = matches!(told.outcome, Outcome::Written { .. });
                all.push(told);
                written.then_some(())
            })
            .await;
        }
    }
}

async fn cut_in_every_way(flavor: NatsFlavor) {
    let mut cutting = Cutting::start(flavor).await;
    let mut told = Vec::new();
    cutting.alone(&mut told).await;
    cutting.late_and_nobody_looks(&mut told).await;
    cutting.among_others(&mut told).await;
    cutting.for_longer_than_callers_wait(&mut told).await;
    cutting.assert_whole(&told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_cut_in_every_way_oldest() {
    cut_in_every_way(NatsFlavor::Oldest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_cut_in_every_way_current() {
    cut_in_every_way(NatsFlavor::Current).await;
}
