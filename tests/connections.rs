//! The writer's connection cut at every moment, on real `PostgreSQL`: no write is lost, doubled or answered wrongly.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::Method;
use vtid_ledger::domain::event::Event;
use vtid_ledger::domain::record::Recorded;
use vtid_ledger::log::head::read_head;

use crate::support::load::{Load, assert_kept};
use crate::support::proxy::{Cut, Proxy};
use crate::support::service::{Answer, Platform, Service, platform_on, some_task};
use crate::support::stream::assert_stream_is_the_log;
use crate::support::{NatsFlavor, eventually};

/// A create under the request id that is its description too.
async fn create(service: &Service, request: String) -> (String, Answer) {
    let sent = service.with_body(Method::POST, "/vtid/create", some_task(&request));
    let answer = service.send(sent.header("x-request-id", &request)).await;
    (request, answer)
}

/// Many at once through each of the services.
async fn creates(services: &[&Service], round: &str, each: usize) -> Vec<(String, Answer)> {
    let all = services
        .iter()
        .enumerate()
        .flat_map(|(nth, service)| (0..each).map(move |n| create(service, format!("{round}:{nth}:{n}."))));
    join_all(all).await
}

/// What the log holds of each request.
fn by_request(log: &[Recorded]) -> BTreeMap<&str, Vec<&Event>> {
    let mut requests: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
    for Recorded { event, .. } in log {
        requests.entry(event.origin.request_id.as_str()).or_default().push(event);
    }
    requests
}

/// Whoever was answered finds what he was told; nobody's request is there twice.
fn assert_answers_are_true(log: &[Recorded], answers: &[(String, Answer)]) {
    let requests = by_request(log);
    for (request, answer) in answers {
        let events = requests.get(request.as_str()).map_or(&[][..], Vec::as_slice);
        match (answer.status.as_u16(), answer.body["code"].as_str()) {
            (200, _) => {
                assert_eq!(events.len(), 1, "{request} was acknowledged: {answer:?}");
                assert_eq!(events[0].position.get(), answer.position(), "{request}");
                assert_eq!(events[0].vtid.to_string(), answer.vtid(), "{request}");
            }
            (503, Some("outcome_unknown")) => assert!(events.len() <= 1, "{request} is there twice"),
            (503, Some("unavailable")) => assert_eq!(events.len(), 0, "{request} was not to be there"),
            other => panic!("{request}: {other:?} {answer:?}"),
        }
    }
}

fn acknowledged(answers: &[(String, Answer)]) -> usize {
    answers.iter().filter(|(_, answer)| answer.status == 200).count()
}

async fn assert_whole(platform: &Platform, answers: &[(String, Answer)]) {
    let log = assert_stream_is_the_log(platform.database.url(), &platform.nats.url()).await;
    assert_answers_are_true(&log, answers);
}

async fn cut_at_every_moment(flavor: NatsFlavor) {
    let platform = platform_on(flavor).await;
    let proxy = Proxy::start(platform.database.url()).await;
    let url = proxy.url(platform.database.url());
    let cut_off = platform.serve_with(&["--database-url", &url]).await;
    let other = platform.serve().await;
    let late = Cut::Late(Duration::from_secs(3));
    let mut answers = Vec::new();
    for (round, cut) in [Cut::Before, Cut::During, Cut::After, late, Cut::Vanish].into_iter().enumerate() {
        // Alone, so that the head stays where the cut append knows it; then while the other moves it.
        for (alone, services) in [(true, &[&cut_off][..]), (false, &[&cut_off, &other])] {
            let name = format!("{round}{alone}");
            let begun = Instant::now();
            // It knows the head, so that its append goes in as far as it comes.
            answers.extend(creates(&[&cut_off], &format!("before-{name}"), 1).await);
            proxy.arm(&format!("{name}:0:3."), cut);
            let fired = proxy.fired();
            let answered = creates(services, &name, 12).await;
            assert_eq!(proxy.fired(), fired + 1, "{cut:?} did not come to pass");
            println!("{cut:?}, alone: {alone}: answered within {:?}", begun.elapsed());
            assert_eq!(acknowledged(&answered), answered.len(), "{cut:?}: {answered:?}");
            answers.extend(answered);
            // More is written until whatever was still on its way has come, and on top of it.
            let mut further = 0;
            eventually("the server to be done with it", async || {
                further += 1;
                let settled = proxy.settled() == fired + 1;
                answers.extend(creates(&[&cut_off, &other], &format!("after-{name}-{further}"), 1).await);
                settled.then_some(())
            })
            .await;
        }
    }
    assert_whole(&platform, &answers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_at_every_moment_nothing_is_lost_or_doubled_oldest() {
    cut_at_every_moment(NatsFlavor::Oldest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_at_every_moment_nothing_is_lost_or_doubled_current() {
    cut_at_every_moment(NatsFlavor::Current).await;
}

/// Callers who lose patience before it is settled are told the truth as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_wait_is_told_that_the_outcome_is_unknown() {
    let platform = platform_on(NatsFlavor::Current).await;
    let proxy = Proxy::start(platform.database.url()).await;
    let url = proxy.url(platform.database.url());
    let service = platform.serve_with(&["--database-url", &url, "--write-deadline-ms", "300"]).await;
    let mut answers = Vec::new();
    for round in 0..3 {
        // It holds the append lock without end: the turn gets it only after a second.
        proxy.arm(&format!("{round}:0:1."), Cut::Vanish);
        answers.extend(creates(&[&service], &round.to_string(), 4).await);
        assert_eq!(proxy.fired(), round + 1);
        eventually("the ledger works again", async || {
            let answer = create(&service, format!("again-{}", answers.len())).await;
            let done = answer.1.status == 200;
            answers.push(answer);
            done.then_some(())
        })
        .await;
    }
    let unknown = answers.iter().filter(|(_, answer)| answer.body["code"] == "outcome_unknown").count();
    assert!(unknown >= 3, "each of those whose append was cut: {answers:?}");
    assert_whole(&platform, &answers).await;
}

/// A process that dies between Execute and Sync leaves a session that holds its rows and locks without end.
async fn a_vanished_client_does_not_hold_the_others_up(flavor: NatsFlavor) {
    let platform = platform_on(flavor).await;
    let proxy = Proxy::start(platform.database.url()).await;
    let url = proxy.url(platform.database.url());
    let mut doomed = platform.serve_with(&["--database-url", &url]).await;
    let other = platform.serve().await;
    let mut answers = creates(&[&other], "before", 3).await;
    // It knows the head, so that its append goes in as far as it comes.
    answers.extend(creates(&[&doomed], "doomed", 1).await);
    // And so does the other, by refusing something: its append meets the one that is not committed.
    other.patch("VTID-2026-9999", r#"{"status":"active"}"#).await.expect(404);
    proxy.arm("vanished", Cut::Vanish);
    let request = doomed.with_body(Method::POST, "/vtid/create", some_task("vanished"));
    let vanished = tokio::spawn(request.send());
    let mut connection = platform.connection().await;
    eventually("the server waits for a Sync that never comes", async || {
        let waiting: bool = sqlx::query_scalar(
            "select exists (select from pg_stat_activity where datname = current_database() and state = 'active'
                 and wait_event = 'ClientRead' and query like '%ledger.append%')",
        )
        .fetch_one(&mut connection)
        .await
        .unwrap();
        waiting.then_some(())
    })
    .await;
    let since = Instant::now();
    doomed.kill();
    answers.extend(creates(&[&other], "held-up", 3).await);
    let held_up = since.elapsed();
    println!("held up for {held_up:?}");
    assert!(vanished.await.unwrap().is_err(), "nobody was there to answer");
    assert_eq!(acknowledged(&answers), answers.len(), "{answers:?}");
    // What the contract of the lock promises, with something for a busy machine.
    assert!(held_up < Duration::from_millis(3_500), "held up for {held_up:?}");
    eventually("the server has ended its session", async || (proxy.settled() == 1).then_some(())).await;
    assert_whole(&platform, &answers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vanished_client_does_not_hold_the_others_up_oldest() {
    a_vanished_client_does_not_hold_the_others_up(NatsFlavor::Oldest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vanished_client_does_not_hold_the_others_up_current() {
    a_vanished_client_does_not_hold_the_others_up(NatsFlavor::Current).await;
}

/// A writer whose every append comes too late, because another one moves the head meanwhile, still gets its turn: the
/// lock keeps the others out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_is_beaten_on_every_try_gets_its_turn() {
    let platform = platform_on(NatsFlavor::Current).await;
    let proxy = Proxy::start(platform.database.url()).await;
    let url = proxy.url(platform.database.url());
    let slow = platform.serve_with(&["--database-url", &url]).await;
    let fast = platform.serve().await;
    proxy.slow_down(Duration::from_millis(30));
    let load = Load::start(&[&fast], 8, Duration::from_millis(1));
    load.further(50).await;
    let mut connection = platform.connection().await;
    for n in 0..5 {
        let before = read_head(&mut connection).await.unwrap().cursor.position();
        let (_, answer) = create(&slow, format!("slow-{n}")).await;
        let position = answer.expect(200).position();
        // An append takes as long as the turn's messages do one by one: meanwhile the head has moved on many times.
        assert!(position > before.get() + 5, "it was not beaten: {before} and {position}");
    }
    let acknowledged = load.stop().await;
    let log = assert_stream_is_the_log(platform.database.url(), &platform.nats.url()).await;
    assert_kept(&log, &acknowledged);
}
