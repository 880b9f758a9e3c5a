//! Exports: all lines in one answer, which may break off.

use reqwest::Method;
use serde_json::Value;

use super::{LINES, read_lines};
use crate::support::eventually;
use crate::support::past::{append_many, bodies, create_many, lines};
use crate::support::service::platform;

/// Callers who take nothing hold no transaction, only so many of them are let in, and their places are free once they
/// are gone.
#[tokio::test]
async fn exports_are_bounded_and_end_with_their_callers() {
    let platform = platform().await;
    let service = platform.serve().await;
    create_many(&service, 1).await;
    append_many(&mut platform.connection().await, 24_999).await;
    let export =
        async || service.request(Method::GET, "/events").header("accept", LINES).send().await.unwrap();
    let mut open = Vec::new();
    for _ in 0..vtid_ledger::history::EXPORTS_MAX {
        // A machine that is busy may take its time to answer the first look.
        let answered =
            eventually("an export begins", async || Some(export().await).filter(|r| r.status() == 200));
        let mut response = answered.await;
        assert!(response.chunk().await.unwrap().unwrap().starts_with(b"{\"specversion\""));
        open.push(response);
    }
    let refused =
        service.send(service.request(Method::GET, "/events").header("accept", LINES)).await.expect(503);
    assert_eq!(refused.body["code"], "unavailable");
    assert!(refused.text.contains("too many requests are under way"), "{refused:?}");
    assert!(!refused.header("retry-after").is_empty());
    service.get("/events").await.expect(200);
    eventually("nothing is open in the database", async || {
        let open: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
                 and query like '%octet_length(body)%' and (xact_start is not null or state <> 'idle')",
        )
        .fetch_one(&mut platform.connection().await)
        .await
        .unwrap();
        (open == 0).then_some(())
    })
    .await;
    drop(open);
    let whole = eventually("a place is free", async || {
        let answer =
            service.try_send(service.request(Method::GET, "/events").header("accept", LINES)).await?;
        (answer.status == 200).then_some(answer)
    })
    .await;
    let stored = bodies(&mut platform.connection().await).await;
    assert!(whole.text == lines(&stored), "the exact bytes of {} events", stored.len());
}

/// A caller sees that an answer broke off, and gets the rest from another process.
#[tokio::test]
async fn what_an_export_that_broke_off_lacks_follows_on_its_last_line() {
    let platform = platform().await;
    let (mut one, other) = (platform.serve().await, platform.serve().await);
    create_many(&one, 1).await;
    append_many(&mut platform.connection().await, 39_999).await;
    let mut response = one.request(Method::GET, "/events").header("accept", LINES).send().await.unwrap();
    assert_eq!(response.headers()["ledger-position"], "40000");
    let mut got = response.chunk().await.unwrap().unwrap().to_vec();
    one.kill();
    let broke_off = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => got.extend(chunk),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broke_off, "{} bytes looked whole", got.len());
    let got = String::from_utf8_lossy(&got).into_owned();
    let (whole, _) = got.rsplit_once('\n').unwrap();
    let last: Value = serde_json::from_str(whole.lines().last().unwrap()).unwrap();
    let last: u64 = last["position"].as_str().unwrap().parse().unwrap();
    let rest = read_lines(&other, &format!("from={}", last + 1)).await.expect(200);
    let stored = bodies(&mut platform.connection().await).await;
    assert!(format!("{whole}\n{}", rest.text) == lines(&stored), "the exact bytes");
}
