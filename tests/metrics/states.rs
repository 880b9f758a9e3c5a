//! What is wrong shows in the gauges that the alerts look at.

use crate::support::scrape::Scrape;
use crate::support::service::{platform, some_task};

/// The one thing that the relay does.
fn relay_state(scrape: &Scrape) -> String {
    let states: Vec<_> = scrape.all("relay_state").filter(|(_, value)| *value > 0).collect();
    assert_eq!(states.len(), 1, "{}", scrape.text);
    states[0].0.to_owned()
}

#[tokio::test]
async fn a_relay_without_nats_falls_behind_and_catches_up() {
    let mut platform = platform().await;
    let service = platform.serve_scraped().await;
    service.scraped("the relay follows", |scrape| relay_state(scrape) == "state=\"following\"").await;
    platform.nats.stop().await;
    for number in 0..3 {
        service.create(some_task(&number.to_string())).await.expect(200);
    }
    let scrape = service
        .scraped("the relay is behind", |scrape| {
            scrape.get("follower_lag_events{follower=\"relay\"}") == Some(3)
                && scrape.get("follower_lag_seconds{follower=\"relay\"}") >= Some(1)
                && relay_state(scrape) == "state=\"connecting\""
        })
        .await;
    assert_eq!(scrape.value("follower_trouble{follower=\"relay\"}"), 1);
    assert_eq!(scrape.value("follower_trouble{follower=\"projector\"}"), 0);
    assert_eq!((scrape.value("ready"), scrape.value("degraded")), (1, 1));
    platform.nats.start().await;
    let scrape = service
        .scraped("the relay has caught up", |scrape| {
            scrape.get("follower_lag_events{follower=\"relay\"}") == Some(0) && scrape.get("head") == Some(3)
        })
        .await;
    assert_eq!(scrape.value("relay_publishes_total{outcome=\"published\"}"), 3);
}

#[tokio::test]
async fn a_foreign_message_stops_the_relay() {
    let platform = platform().await;
    let service = platform.serve_scraped().await;
    service.scraped("the relay follows", |scrape| relay_state(scrape) == "state=\"following\"").await;
    let client = async_nats::connect(platform.nats.url()).await.unwrap();
    let subject = "oasis.system.vtid-ledger.vtid-created";
    async_nats::jetstream::new(client).publish(subject, "mine".into()).await.unwrap().await.unwrap();
    service.create(some_task("in its place")).await.expect(200);
    let scrape =
        service.scraped("the relay has stopped", |scrape| relay_state(scrape) == "state=\"stopped\"").await;
    assert_eq!(scrape.value("relay_publishes_total{outcome=\"published\"}"), 0);
    assert_eq!(scrape.value("ready"), 1);
}

#[tokio::test]
async fn a_hold_and_an_unknown_event_are_told() {
    let platform = platform().await;
    let service = platform.serve_scraped().await;
    service.create(some_task("first")).await.expect(200);
    let mut owner = platform.connection().await;
    let set = "insert into ledger.hold (reason, position, last_position) values ('a test', 1, 1)";
    sqlx::raw_sql(set).execute(&mut owner).await.unwrap();
    service.scraped("the hold is told", |scrape| scrape.get("hold") == Some(1)).await;
    service.create(some_task("held")).await.expect(503);
    let scrape = service.scrape().await;
    assert!(scrape.value("appends_total{outcome=\"held\"}") >= 1, "{}", scrape.text);
    let create = r#"http_requests_total{method="POST",route="/vtid/create",status="503"}"#;
    assert_eq!(scrape.value(create), 1);
    sqlx::raw_sql("delete from ledger.hold").execute(&mut owner).await.unwrap();
    service.scraped("the hold is gone", |scrape| scrape.get("hold") == Some(0)).await;
    platform.append_unknown_event().await;
    service.scraped("it is not ready", |scrape| scrape.get("ready") == Some(0)).await;
}

#[tokio::test]
async fn the_pools_tell_what_they_have() {
    let platform = platform().await;
    let service = platform.serve_scraped().await;
    let scrape = service.scrape().await;
    assert_eq!(scrape.value("pool_connections_max{pool=\"reads\"}"), 8);
    assert_eq!(scrape.value("pool_connections{pool=\"reads\",state=\"idle\"}"), 0);
    // A list with several filters has a connection of its own kind.
    service.get("/vtid/VTID-2026-7777").await.expect(404);
    service.get("/vtid/list?tenant=acme&status=active").await.expect(200);
    let scrape = service.scrape().await;
    assert_eq!(scrape.value("pool_connections{pool=\"reads\",state=\"idle\"}"), 2);
    assert_eq!(scrape.value("pool_connections{pool=\"reads\",state=\"used\"}"), 0);
    // LISTEN has one for good.
    service
        .scraped("LISTEN", |scrape| scrape.value("pool_connections{pool=\"followers\",state=\"used\"}") >= 1)
        .await;
}

/// Whether the process holds the projector's lease, and the relay's.
fn leases(scrape: &Scrape) -> [Option<i64>; 2] {
    ["projector", "relay"].map(|role| scrape.get(&format!("lease_held{{role=\"{role}\"}}")))
}

#[tokio::test]
async fn leases_are_told_by_whoever_holds_them() {
    let platform = platform().await;
    let mut first = platform.serve_scraped().await;
    first.scraped("the first holds both", |scrape| leases(scrape) == [Some(1); 2]).await;
    let second = platform.serve_scraped().await;
    second.scraped("the second holds none", |scrape| leases(scrape) == [Some(0); 2]).await;
    first.kill();
    second.scraped("the second has taken them", |scrape| leases(scrape) == [Some(1); 2]).await;
}
