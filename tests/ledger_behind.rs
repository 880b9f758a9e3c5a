//! The ledger's database put back from an older copy, under running replicas: what subscribers have seen and the ledger
//! no longer has is never given out again behind anybody's back; an operator puts it back, or gives it up by name.

use std::time::Duration;

use reqwest::Method;
use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::domain::record::Recorded;
use vtid_ledger::log::connect::options;
use vtid_ledger::log::hold::read_hold;
use vtid_ledger::projections::rebuild::diff;

use crate::support::load::Load;
use crate::support::postgres::DatabaseCopy;
use crate::support::service::{Platform, Service, platform_on, some_task};
use crate::support::stream::{assert_stream_is_the_log, log_after};
use crate::support::subscriber::Subscriber;
use crate::support::{NatsFlavor, eventually};

/// Two replicas whose database is about to lose history. The second has written nothing of what will be lost: its own
/// head is in the older copy too, which would take its next event for a good one.
struct Behind {
    platform: Platform,
    services: [Service; 2],
    /// All that was ever published.
    published: Vec<Recorded>,
    /// How many of these events the older copy has.
    kept: usize,
}

/// Writes, copies the database, writes more, waits until all of it is published.
async fn two_replicas(flavor: NatsFlavor) -> (Behind, DatabaseCopy) {
    let platform = platform_on(flavor).await;
    let services = [platform.serve().await, platform.serve().await];
    written(&[&services[0], &services[1]], 60).await;
    let copy = platform.database.copy().await;
    let kept = log_after(platform.database.url(), Cursor::Start).await.len();
    written(&[&services[0]], 90).await;
    let published = assert_stream_is_the_log(platform.database.url(), &platform.nats.url()).await;
    (Behind { platform, services, published, kept }, copy)
}

async fn written(services: &[&Service], count: usize) {
    let load = Load::start(services, 4, Duration::from_millis(2));
    load.further(count).await;
    load.stop().await;
}

/// How a create was answered: its status, and its code where there is one.
async fn create(service: &Service) -> (u16, String) {
    let answer = service.create(some_task("after the restore")).await;
    (answer.status.as_u16(), answer.body["code"].as_str().unwrap_or_default().to_owned())
}

impl Behind {
    /// Every write is stopped by the one 503 that says why, and none was taken before.
    async fn is_held(&self, service: &Service) {
        eventually("writes are on hold", async || {
            let (status, code) = create(service).await;
            assert_eq!(status, 503, "nothing is written on a ledger that lost history");
            (code == "ledger_behind").then_some(())
        })
        .await;
        // A refusal would rest on what is lost.
        let lost = self.published.last().unwrap().event.vtid.to_string();
        let patch = service.with_body(Method::PATCH, &format!("/vtid/{lost}"), r#"{"status":"active"}"#);
        assert_eq!(service.send(patch).await.expect(503).body["code"], "ledger_behind");
        eventually("/readyz names it", async || {
            // Not ready only while the database was away.
            let ready = service.get("/readyz").await;
            let named = ready.body["degraded"].to_string().contains("ledger_behind");
            (ready.status == 200 && named).then_some(())
        })
        .await;
        service.get("/vtid/list").await.expect(200);
    }

    async fn log(&self) -> Vec<Recorded> {
        log_after(self.platform.database.url(), Cursor::Start).await
    }

    /// The read table is the fold of the log: no row of a task that the log does not have.
    async fn no_phantom_rows(&self) {
        eventually("the projector has caught up", async || {
            let ready = self.services[0].get("/readyz").await.body;
            (ready["followers"][0]["lag_events"] == 0).then_some(())
        })
        .await;
        let database = options(self.platform.database.service_url(), "test").unwrap();
        let walk = diff(&database, |_, differences| assert_eq!(differences, [])).await.unwrap();
        assert_eq!(walk.differences(), 0, "rows that are not the fold of the log");
    }

    async fn goes_on(&self) {
        for service in &self.services {
            eventually("writes go on", async || (create(service).await.0 == 200).then_some(())).await;
            let mut told = Vec::new();
            eventually("nothing is degraded any more", async || {
                let degraded = service.get("/readyz").await.body["degraded"].clone();
                if told.last() != Some(&degraded) {
                    eprintln!("degraded: {degraded}");
                    told.push(degraded);
                }
                (told.last() == Some(&serde_json::json!([]))).then_some(())
            })
            .await;
        }
        assert_eq!(read_hold(&mut self.platform.connection().await).await.unwrap(), None);
        written(&[&self.services[0], &self.services[1]], 30).await;
        self.no_phantom_rows().await;
    }
}

async fn what_was_published_is_put_back(flavor: NatsFlavor) {
    let (behind, copy) = two_replicas(flavor).await;
    let Behind { platform, services, published, kept } = &behind;
    let mut subscriber = Subscriber::start(&platform.nats.url());
    subscriber.has_handled(published.len()).await;
    platform.database.put_back(&copy).await;
    for service in services.iter().rev() {
        behind.is_held(service).await;
    }
    assert!(services.iter().any(|service| service.log_text().contains("lost history")), "the log names it");
    assert_eq!(behind.log().await, published[..*kept], "nothing was written");
    behind.no_phantom_rows().await;

    let listed = platform.run(&["oasis", "recover"]).await.succeeded();
    for recorded in &published[*kept..] {
        let (position, vtid) = (recorded.event.position, recorded.event.vtid);
        let line = listed.lines().find(|line| line.starts_with(&format!("{position}  lost by the ledger")));
        assert!(
            line.is_some_and(|line| line.contains(&vtid.to_string())),
            "{position} is not listed: {listed}"
        );
    }
    assert_eq!(behind.log().await.len(), *kept, "listing changes nothing");
    behind.is_held(&services[0]).await;

    let told = platform.run(&["oasis", "recover", "--yes"]).await.succeeded();
    assert!(told.contains("writes go on"), "{told}");
    let log = behind.log().await;
    assert_eq!(log[..published.len()], published[..], "all of it is back, byte for byte");
    behind.goes_on().await;
    let log = assert_stream_is_the_log(platform.database.url(), &platform.nats.url()).await;
    platform.run(&["oasis", "check"]).await.succeeded();
    subscriber.has_handled(log.len()).await;
}

async fn what_was_lost_is_given_up_by_name(flavor: NatsFlavor) {
    let (behind, copy) = two_replicas(flavor).await;
    let Behind { platform, services, published, kept } = &behind;
    let mut subscriber = Subscriber::start(&platform.nats.url());
    subscriber.has_handled(published.len()).await;
    platform.database.put_back(&copy).await;
    // The other replica does not notice: it still remembers the old head when the loss is given up.
    behind.is_held(&services[1]).await;

    let refused = platform.run(&["oasis", "rebuild"]).await.failed();
    assert!(refused.contains("nothing was changed") && refused.contains("--accept-loss"), "{refused}");
    assert_eq!(platform.stream_length().await, published.len() as u64, "the stream is as it was");

    let told = platform.run(&["oasis", "rebuild", "--accept-loss"]).await.succeeded();
    for recorded in &published[*kept..] {
        let (position, vtid) = (recorded.event.position, recorded.event.vtid);
        assert!(
            told.lines()
                .any(|line| line.starts_with(&format!("{position}  ")) && line.contains(&vtid.to_string())),
            "{position} is not named: {told}"
        );
    }
    behind.goes_on().await;
    let log = assert_stream_is_the_log(platform.database.url(), &platform.nats.url()).await;
    assert_eq!(log[..*kept], published[..*kept]);
    assert_ne!(log[*kept].event.id, published[*kept].event.id, "the ledger goes on from what it has");
    platform.run(&["oasis", "check"]).await.succeeded();

    // The subscriber is told, and goes back to the position that the command named.
    assert!(log.len() < published.len(), "so far the new events have not reached its position: it waits");
    written(&[&services[0]], published.len() - log.len() + 40).await;
    let gave_up = subscriber.ended().await;
    assert!(gave_up.contains("is another event now"), "{gave_up}");
    let back_to = told.split("goes back to position ").nth(1).unwrap().lines().next().unwrap();
    assert_eq!(back_to, kept.to_string());
    subscriber.start_again_from(back_to);
    let log = assert_stream_is_the_log(platform.database.url(), &platform.nats.url()).await;
    subscriber.has_handled(log.len()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_published_is_put_back_byte_for_byte_oldest() {
    what_was_published_is_put_back(NatsFlavor::Oldest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_published_is_put_back_byte_for_byte_current() {
    what_was_published_is_put_back(NatsFlavor::Current).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_lost_is_given_up_by_name_oldest() {
    what_was_lost_is_given_up_by_name(NatsFlavor::Oldest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_lost_is_given_up_by_name_current() {
    what_was_lost_is_given_up_by_name(NatsFlavor::Current).await;
}

/// What was acknowledged and not yet published when the database was put back is in no stream: what the stream has is put
/// back, and writes stay on hold until the rest is given up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_stream_does_not_have_either_keeps_the_hold() {
    let (mut behind, copy) = two_replicas(NatsFlavor::Current).await;
    behind.platform.nats.stop().await;
    for _ in 0..5 {
        assert_eq!(create(&behind.services[0]).await.0, 200);
    }
    behind.platform.database.put_back(&copy).await;
    // It remembers the last of them.
    behind.is_held(&behind.services[0]).await;
    behind.platform.nats.start().await;
    let Behind { platform, services, published, kept } = &behind;
    eventually("both ends of the loss are known", async || {
        let hold = read_hold(&mut platform.connection().await).await.unwrap().unwrap();
        let (first, last) = (hold.position.get(), hold.last.get());
        (first == *kept as u64 + 1 && last == published.len() as u64 + 5).then_some(())
    })
    .await;
    let told = platform.run(&["oasis", "recover", "--yes"]).await.succeeded();
    assert!(told.contains("writes stay on hold"), "{told}");
    assert_eq!(behind.log().await, published[..], "what was published is back");
    for service in services {
        behind.is_held(service).await;
    }
    let told = platform.run(&["oasis", "rebuild", "--accept-loss"]).await.succeeded();
    let (first, last) = (published.len() + 1, published.len() + 5);
    assert!(told.contains(&format!("from position {first} to {last}; writes go on")), "{told}");
    behind.goes_on().await;

    // Once more, and nobody takes it for the loss that was given up.
    let copy = platform.database.copy().await;
    written(&[&services[0], &services[1]], 20).await;
    let log = assert_stream_is_the_log(platform.database.url(), &platform.nats.url()).await;
    platform.database.put_back(&copy).await;
    for service in services {
        behind.is_held(service).await;
    }
    platform.run(&["oasis", "recover", "--yes"]).await.succeeded();
    assert_eq!(behind.log().await, log);
    behind.goes_on().await;
}

/// The stream could not be looked at when the restored ledger came up: what it wrote since stands in the way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_put_back_over_what_was_written_since() {
    let (mut behind, copy) = two_replicas(NatsFlavor::Current).await;
    behind.services.iter_mut().for_each(Service::kill);
    behind.platform.nats.stop().await;
    behind.platform.database.put_back(&copy).await;
    let service = behind.platform.serve().await;
    let ready = service.get("/readyz").await.expect(200);
    assert!(ready.body["degraded"].to_string().contains("stream unchecked"), "{ready:?}");
    assert_eq!(create(&service).await.0, 200, "writes go on while NATS is away");
    behind.platform.nats.start().await;
    eventually("the loss is found", async || {
        let (status, code) = create(&service).await;
        (status == 503 && code == "ledger_behind").then_some(())
    })
    .await;
    let (before, stream) = (behind.log().await, behind.platform.stream_length().await);
    for arguments in [&["oasis", "recover"][..], &["oasis", "recover", "--yes"]] {
        let refused = behind.platform.run(arguments).await;
        let first = behind.kept + 1;
        assert!(refused.out.contains(&format!("{first}  another event")), "{refused:?}");
        assert!(refused.failed().contains("since written other events"));
    }
    assert_eq!((behind.log().await, behind.platform.stream_length().await), (before.clone(), stream));
    behind.platform.run(&["oasis", "rebuild", "--accept-loss"]).await.succeeded();
    eventually("writes go on", async || (create(&service).await.0 == 200).then_some(())).await;
    let log = assert_stream_is_the_log(behind.platform.database.url(), &behind.platform.nats.url()).await;
    assert_eq!(log[..before.len()], before[..], "what was written since is kept");
}
