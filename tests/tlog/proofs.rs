//! `/vtid/{vtid}/proof` and `/events/{position}/proof`.

use std::sync::Arc;

use reqwest::Method;
use vtid_ledger::tlog::proof::Proof;

use super::stage::{Stage, stage};
use crate::support::eventually;
use crate::support::service::Answer;

fn parsed(stage: &Stage, answer: &Answer) -> Proof {
    let proof = Proof::parse(&answer.text).unwrap();
    proof.check(&[stage.key.public().clone()], None).unwrap();
    proof
}

async fn wait_for(stage: &Stage, path: &str, position: &str) -> Answer {
    let request = stage.service.request(Method::GET, path).bearer_auth(&stage.token);
    stage.service.send(request.header("ledger-min-position", position)).await
}

#[tokio::test]
async fn each_event_is_proven_by_one_file() {
    let stage = stage("ledger.example.org/proofs").await;
    let vtid = stage.create("the first").await;
    stage.patch(&vtid, r#"{"status":"active"}"#).await;
    stage.grow(600).await;
    stage.patch(&vtid, r#"{"status":"complete"}"#).await;
    let checkpoint = stage.seal().await;
    let records = stage.records().await;
    for position in [1, 2, 3, 255, 256, 257, 300, 512, 513, 600, 601] {
        let answer = stage.get(&format!("/events/{position}/proof")).await.expect(200);
        let proof = parsed(&stage, &answer);
        assert_eq!(proof.index + 1, position);
        assert_eq!(proof.record.as_ref(), records.get(usize::try_from(position).unwrap() - 1));
        assert_eq!(proof.checkpoint, checkpoint);
        assert_eq!(answer.position(), 601);
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(answer.header("cache-control"), "private, no-cache");
        let name = format!("attachment; filename=\"event-{position}.tlog-proof\"");
        assert_eq!(answer.header("content-disposition"), name);
        let record = proof.record.as_ref().unwrap();
        assert!(answer.text.len() - record.len().div_ceil(3) * 4 <= 2_048, "{}", answer.text);
    }
    for (query, position) in [("", 601), ("?version=3", 601), ("?version=2", 2), ("?version=1", 1)] {
        let answer = stage.get(&format!("/vtid/{vtid}/proof{query}")).await.expect(200);
        assert_eq!(parsed(&stage, &answer).index + 1, position, "{query}");
    }
    let answer = stage.get(&format!("/vtid/{vtid}/proof?version=2")).await;
    let name = format!("attachment; filename=\"{vtid}-v2.tlog-proof\"");
    assert_eq!(answer.header("content-disposition"), name);
}

#[tokio::test]
async fn what_is_not_there_has_no_proof() {
    let stage = stage("ledger.example.org/absent").await;
    let vtid = stage.create("one").await;
    stage.seal().await;
    for (path, status, code) in [
        ("/events/2/proof".to_owned(), 404, "not_found"),
        ("/events/0/proof".to_owned(), 404, "not_found"),
        ("/events/-1/proof".to_owned(), 404, "not_found"),
        ("/events/x/proof".to_owned(), 404, "not_found"),
        ("/events/%ff/proof".to_owned(), 404, "not_found"),
        ("/events/9223372036854775808/proof".to_owned(), 404, "not_found"),
        ("/events/1/proof?version=1".to_owned(), 400, "invalid_query"),
        (format!("/vtid/{vtid}/proof?version=2"), 404, "not_found"),
        (format!("/vtid/{vtid}/proof?version=0"), 400, "invalid_query"),
        (format!("/vtid/{vtid}/proof?version=x"), 400, "invalid_query"),
        (format!("/vtid/{vtid}/proof?version=1&version=1"), 400, "invalid_query"),
        ("/vtid/VTID-2020-0001/proof".to_owned(), 404, "vtid_not_found"),
        ("/vtid/VTID-2020-0000/proof".to_owned(), 404, "vtid_not_found"),
        ("/vtid/VTID-2020-0001/proof?version=7".to_owned(), 404, "vtid_not_found"),
        ("/vtid/vtid-2020-0001/proof".to_owned(), 400, "invalid_vtid"),
    ] {
        let answer = stage.get(&path).await.expect(status);
        assert_eq!(answer.body["code"], code, "{path}");
    }
    let answer = wait_for(&stage, "/events/1/proof", "x").await.expect(400);
    assert_eq!(answer.body["detail"][0]["path"][0], "Ledger-Min-Position");
}

#[tokio::test]
async fn an_event_that_is_not_sealed_is_waited_for() {
    let stage = Arc::new(stage("ledger.example.org/wait").await);
    stage.grow(1).await;
    let answer = stage.get("/events/1/proof").await.expect(503);
    assert_eq!((&answer.body["code"], answer.header("retry-after")), (&"read_behind".into(), "1"));
    let asking = {
        let stage = Arc::clone(&stage);
        tokio::spawn(async move { stage.get("/events/1/proof").await })
    };
    stage.seal().await;
    // Asked before or after: it is there.
    assert_eq!(parsed(&stage, &asking.await.unwrap().expect(200)).index, 0);
    stage.grow(2).await;
    stage.get("/events/2/proof").await.expect(503);
    wait_for(&stage, "/events/1/proof", "2").await.expect(503);
    stage.seal().await;
    let answer = wait_for(&stage, "/events/1/proof", "2").await.expect(200);
    assert_eq!(parsed(&stage, &answer).checkpoint.size, 2);
}

/// It is not passed off as sealed.
#[tokio::test]
async fn a_record_that_was_changed_has_no_proof() {
    let stage = stage("ledger.example.org/changed").await;
    stage.grow(5).await;
    stage.seal().await;
    change_record(&stage, 3).await;
    stage.get("/events/3/proof").await.expect(500);
    eventually("the log says why", async || {
        stage.service.log_text().contains("is not the one that was sealed").then_some(())
    })
    .await;
}

/// As somebody might who owns the database.
pub(super) async fn change_record(stage: &Stage, position: i64) {
    let mut connection = stage.platform.connection().await;
    for statement in ["alter table ledger.event disable trigger user"] {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    let changed =
        sqlx::query("update ledger.event set body = replace(body, 'number', 'nunber') where position = $1")
            .bind(position)
            .execute(&mut connection)
            .await
            .unwrap();
    assert_eq!(changed.rows_affected(), 1);
}
