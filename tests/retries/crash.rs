//! A process ends between its commit and its answer, or what a key stands for can't be read.

use std::time::Duration;

use futures::future::join_all;
use sqlx::PgConnection;

use crate::support::database_proxy::{Cut, Proxy};
use crate::support::keyed::{Keyed, events, is_replay};
use crate::support::ledger::learn_by_hand;
use crate::support::service::{platform, some_task};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_process_was_killed_before_it_answered_is_found_by_its_key() {
    let platform = platform().await;
    let proxy = Proxy::start(platform.database.service_url()).await;
    let vtid = platform.serve().await.create(some_task("patched")).await.expect(200).vtid().to_owned();
    for (round, request) in
        [Keyed::create("lost", some_task("lost")), Keyed::patch("lost-too", &vtid, r#"{"status":"active"}"#)]
            .into_iter()
            .enumerate()
    {
        let mut service = platform.serve_with(&["--database-url", proxy.url()]).await;
        // Its writer's connection is open, and it knows the head.
        service.create(some_task("before")).await.expect(200);
        let before = events(&mut platform.connection().await).await;
        let id = format!("lost-{round}");
        proxy.arm(Cut::After, &id);
        // It can't come back to see what became of it.
        proxy.close(true);
        let waiting = tokio::spawn(request.request(&service).header("x-request-id", &id).send());
        assert!(proxy.answer(Cut::After, &id).await.contains("appended"), "it went in");
        service.kill();
        assert!(waiting.await.unwrap().is_err(), "nobody heard of it");
        proxy.close(false);
        assert_eq!(events(&mut platform.connection().await).await, before + 1);

        let next = platform.serve().await;
        let found = request.send(&next).await.expect(200);
        assert!(is_replay(&found), "{found:?}");
        assert_eq!(i64::try_from(found.position()).unwrap(), before + 1);
        let read = next.get(&format!("/vtid/{}", found.vtid())).await.expect(200);
        assert_eq!(read.header("etag"), found.header("etag"));
        request.with_body("{}").is_another(&next).await;
        assert_eq!(events(&mut platform.connection().await).await, before + 1);
    }
}

/// Whoever was told that nobody knows learns by trying again, while the process still looks for it too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outcome_unknown_is_settled_by_trying_again() {
    let platform = platform().await;
    let proxy = Proxy::start(platform.database.service_url()).await;
    let short = ["--database-url", proxy.url(), "--write-deadline-ms", "1000"];
    let service = platform.serve_with(&short).await;
    let other = platform.serve().await;
    for cut in [Cut::Before, Cut::After] {
        service.create(some_task("before")).await.expect(200);
        let before = events(&mut platform.connection().await).await;
        let id = format!("{cut:?}");
        let request = Keyed::create(&id, some_task(&id));
        proxy.arm(cut, &id);
        proxy.close(true);
        let unknown = service.send(request.request(&service).header("x-request-id", &id)).await.expect(503);
        assert_eq!(unknown.body["code"], "outcome_unknown");
        if cut == Cut::After {
            assert!(proxy.answer(cut, &id).await.contains("appended"), "it went in");
        }
        let settled = request.send(&other).await.expect(200);
        assert_eq!(is_replay(&settled), cut == Cut::After, "{settled:?}");
        proxy.close(false);
        crate::support::eventually("the process is back", async || {
            let again = request.send(&service).await;
            (again.status == 200).then(|| crate::support::keyed::assert_replayed(&again, &settled))
        })
        .await;
        assert_eq!(events(&mut platform.connection().await).await, before + 1, "{cut:?}");
    }
}

/// An event of the task at position 1 whose record has what no version of the program would write, under a key.
async fn damage(connection: &mut PgConnection, position: i64) {
    learn_by_hand(connection).await;
    let insert = "insert into ledger.event
        select (jsonb_populate_record(e, jsonb_build_object(
            'idempotency_key', 'damaged', 'request_hash', repeat('0', 64),
            'body', replace(e.body, '\"data\":{', '\"data\":{\"colour\":\"odd\",')
        ))).*
        from pg_temp.by_hand(1, $1, 2, 'vtid-updated', null, null) e";
    sqlx::query(insert).bind(position).execute(connection).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_record_under_a_key_fails_the_requests_under_this_key_alone() {
    let platform = platform().await;
    let service = platform.serve().await;
    service.create(some_task("damaged")).await.expect(200);
    let vtid = service.create(some_task("sound")).await.expect(200).vtid().to_owned();
    let sound = Keyed::patch("sound", &vtid, r#"{"status":"active"}"#);
    let first = sound.send(&service).await.expect(200);
    damage(&mut platform.connection().await, 4).await;
    let damaged = Keyed::create("damaged", some_task("again"));
    for round in 0..5 {
        let new = Keyed::create(&format!("new-{round}"), some_task("new"));
        let requests = [&damaged, &new, &sound, &damaged, &damaged.with_body("{}")].map(Keyed::clone);
        let sent = join_all(requests.iter().map(|request| request.send(&service)));
        let answers = tokio::time::timeout(Duration::from_secs(20), sent).await.unwrap();
        let told: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
        assert_eq!(told, [500, 200, 200, 500, 500], "{answers:?}");
        assert_eq!(answers[2].text, first.text);
        assert_eq!(answers[0].body["code"], "internal_error");
    }
    assert_eq!(events(&mut platform.connection().await).await, 4 + 5);
}
