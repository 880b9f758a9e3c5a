//! A write under a known key is answered as it was the first time.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::Value;
use sha2::{Digest, Sha256};
use vtid_ledger::domain::origin::RequestHash;

use crate::support::keyed::{Keyed, events, is_replay};
use crate::support::service::{Platform, platform, some_task};
use crate::support::tokens::{WITH_SECRET, authenticated, token};

const COMPLETE: &str =
    r#"{"taskFamily":"f","taskType":"t","description":"d","tenant":"t","status":"complete"}"#;

/// More than lie between two snapshots of a task.
const PATCHES: usize = 70;

#[tokio::test]
async fn a_replay_is_the_first_answer_to_the_byte_also_after_later_patches() {
    let platform = platform().await;
    let service = platform.serve().await;
    let create =
        Keyed::create("create", some_task("with a number").replace('}', r#","metadata":{"n":0.10}}"#));
    let created = create.send(&service).await.expect(200);
    assert!(!created.headers.contains_key("idempotency-replayed"), "{created:?}");
    let mut keyed = vec![(create, created.clone())];
    for n in 0..PATCHES {
        let patch =
            Keyed::patch(&format!("patch-{n}"), created.vtid(), format!(r#"{{"metadata":{{"n":{n}.50}}}}"#));
        let answer = patch.send(&service).await.expect(200);
        assert_eq!(answer.header("etag"), format!("\"v{}\"", n + 2));
        keyed.push((patch, answer));
    }
    // Two events, of which the answer is the last one's.
    let complete = Keyed::create("complete", COMPLETE);
    let completed = complete.send(&service).await.expect(200);
    service.patch(completed.vtid(), r#"{"assignedTo":"later"}"#).await.expect(200);
    keyed.push((complete, completed));
    let events_before = events(&mut platform.connection().await).await;
    for (request, first) in &keyed {
        request.replays(&service, first).await;
    }
    // What the log says is what another process knows, and one that was started later.
    let other = platform.serve().await;
    for (request, first) in keyed.iter().rev().step_by(9) {
        request.replays(&other, first).await;
    }
    assert_eq!(events(&mut platform.connection().await).await, events_before);
    let read = service.get(created.header("location")).await.expect(200);
    assert_eq!(read.header("etag"), format!("\"v{}\"", PATCHES + 1), "a replay changes nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_at_once_gives_one_event() {
    let platform = platform().await;
    let services = [platform.serve().await, platform.serve().await];
    let vtid = services[0].create(some_task("patched")).await.expect(200).vtid().to_owned();
    let before = events(&mut platform.connection().await).await;
    for round in 0..20 {
        let request = if round % 2 == 0 {
            Keyed::create(&format!("key-{round}"), some_task("at once"))
        } else {
            Keyed::patch(&format!("key-{round}"), &vtid, r#"{"metadata":{"at":"once"}}"#)
        };
        let sent = (0..12).map(|n| request.send(&services[n % 2]));
        let answers = join_all(sent).await;
        let told: BTreeSet<&str> = answers.iter().map(|answer| answer.text.as_str()).collect();
        assert_eq!(told.len(), 1, "round {round}: {told:?}");
        assert!(answers.iter().all(|answer| answer.status == 200), "round {round}: {answers:?}");
        let first = answers.iter().filter(|answer| !is_replay(answer)).count();
        assert_eq!(first, 1, "round {round}: one of them was the first");
    }
    assert_eq!(events(&mut platform.connection().await).await, before + 20);
}

/// Each under a key of the same callers: what was first stands, whichever it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_requests_at_once_under_one_key_are_one_event_and_one_422() {
    let platform = platform().await;
    let services = [platform.serve().await, platform.serve().await];
    for round in 0..20 {
        let one = Keyed::create(&format!("key-{round}"), some_task("the one"));
        let other = one.with_body(some_task("the other"));
        let (a, b) = tokio::join!(one.send(&services[round % 2]), other.send(&services[1]));
        let mut told = [a.status.as_u16(), b.status.as_u16()];
        told.sort_unstable();
        assert_eq!(told, [200, 422], "round {round}: {a:?} {b:?}");
    }
    assert_eq!(events(&mut platform.connection().await).await, 20);
}

#[tokio::test]
async fn the_same_key_with_anything_else_is_422() {
    let platform = platform().await;
    let service = platform.serve().await;
    let create = Keyed::create("k", some_task("one"));
    let created = create.send(&service).await.expect(200);
    let other = service.create(some_task("other")).await.expect(200);
    let patch = Keyed::patch("p", created.vtid(), r#"{"status":"active"}"#);
    let patched = patch.send(&service).await.expect(200);
    let before = events(&mut platform.connection().await).await;
    create.with_body(some_task("two")).is_another(&service).await;
    create.with_body(format!("{} ", create.body)).is_another(&service).await;
    Keyed { key: "k".to_owned(), ..patch.clone() }.is_another(&service).await;
    Keyed { key: "p".to_owned(), ..create.clone() }.is_another(&service).await;
    Keyed { path: format!("/vtid/{}", other.vtid()), ..patch.clone() }.is_another(&service).await;
    patch.with_body(r#"{"status":"blocked"}"#).is_another(&service).await;
    assert_eq!(events(&mut platform.connection().await).await, before);
    // It still answers the one that it was used for.
    create.replays(&service, &created).await;
    patch.replays(&service, &patched).await;
}

#[tokio::test]
async fn every_caller_has_keys_of_its_own() {
    let platform = platform().await;
    let service = platform.serve_with(&WITH_SECRET).await;
    let [ann, bob] = ["ann", "bob"].map(|name| authenticated(name, "system"));
    let send = async |token: &str, body: &str| {
        service.send(Keyed::create("k", body).request(&service).bearer_auth(token)).await
    };
    let of_ann = send(&ann, &some_task("ann's")).await.expect(200);
    let of_bob = send(&bob, &some_task("bob's")).await.expect(200);
    assert_ne!(of_ann.vtid(), of_bob.vtid());
    assert_eq!(send(&ann, &some_task("ann's")).await.expect(200).text, of_ann.text);
    assert_eq!(send(&bob, &some_task("bob's")).await.expect(200).text, of_bob.text);
    send(&ann, &some_task("bob's")).await.expect(422);
    // A new token of the same subject is the same caller.
    let later = token(&serde_json::json!({"sub": "ann", "role": "authenticated", "tenant": "elsewhere"}));
    let again = send(&later, &some_task("ann's")).await.expect(200);
    assert!(is_replay(&again) && again.text == of_ann.text, "{again:?}");
    assert_eq!(events(&mut platform.connection().await).await, 2);
}

/// What the log keeps of an event's request: key and hash by its columns, and its record.
type Kept = (Option<String>, Option<String>, String);

async fn kept(platform: &Platform) -> Vec<Kept> {
    sqlx::query_as("select idempotency_key, request_hash, body from ledger.event order by position")
        .fetch_all(&mut platform.connection().await)
        .await
        .unwrap()
}

#[tokio::test]
async fn the_record_of_the_last_event_keeps_key_and_hash() {
    let platform = platform().await;
    let service = platform.serve().await;
    let key = "x".repeat(255);
    Keyed::create(&key, COMPLETE).send(&service).await.expect(200);
    service.create(some_task("without a key")).await.expect(200);
    let hash = RequestHash(Sha256::digest(format!("POST /vtid/create {COMPLETE}")).into()).to_string();
    let events = kept(&platform).await;
    for (index, (column_key, column_hash, record)) in events.iter().enumerate() {
        let record: Value = serde_json::from_str(record).unwrap();
        let expected = (index == 1).then_some((key.as_str(), hash.as_str()));
        assert_eq!(column_key.as_deref().zip(column_hash.as_deref()), expected, "event {index}");
        let recorded = record["idempotencykey"].as_str().zip(record["requesthash"].as_str());
        assert_eq!(recorded, expected, "event {index}: {record}");
    }
    assert_eq!(events.len(), 3);
}
