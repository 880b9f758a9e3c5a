//! What only the database knows: how many tasks there are of which kind, and its oldest transaction.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::support::scrape::{SCRAPED, Scrape, promtool};
use crate::support::service::{Platform, Service, platform, program_on, some_task};

async fn task(service: &Service, family: &str, tenant: &str, status: &str) {
    let body = serde_json::json!({
        "taskFamily": family, "taskType": "t", "description": "d", "tenant": tenant, "status": status
    });
    service.create(body.to_string()).await.expect(200);
}

/// A process counts when it begins, and then every so often.
async fn counted(platform: &Platform, tasks: usize) -> Scrape {
    let total = |scrape: &Scrape| scrape.all("tasks").map(|(_, count)| count).sum::<i64>();
    let tasks = i64::try_from(tasks).unwrap();
    let service = platform.serve_scraped().await;
    service
        .scraped("the tasks are projected", |scrape| {
            scrape.get("follower_position{follower=\"projector\"}") >= Some(tasks)
        })
        .await;
    let service = platform.serve_scraped().await;
    service.scraped("the tasks are counted", |scrape| total(scrape) == tasks).await
}

#[tokio::test]
async fn tasks_are_counted_by_status_family_and_tenant() {
    let platform = platform().await;
    let service = platform.serve().await;
    for _ in 0..3 {
        task(&service, "DEPLOY", "acme", "pending").await;
    }
    task(&service, "DEPLOY", "acme", "blocked").await;
    task(&service, "DEPLOY", "globex", "pending").await;
    task(&service, "a \"quoted\" \\ family, {x=\"y\"}", "acme", "pending").await;
    let scrape = counted(&platform, 6).await;
    let of = |labels: &str| scrape.value(&format!("tasks{{{labels}}}"));
    assert_eq!(of(r#"status="pending",family="DEPLOY",tenant="acme""#), 3);
    assert_eq!(of(r#"status="blocked",family="DEPLOY",tenant="acme""#), 1);
    assert_eq!(of(r#"status="pending",family="DEPLOY",tenant="globex""#), 1);
    assert_eq!(of(r#"status="pending",family="a \"quoted\" \\ family, {x=\"y\"}",tenant="acme""#), 1);
    assert_eq!(scrape.all("tasks").count(), 4);
    promtool(&["check", "metrics"], &scrape.text);
}

#[tokio::test]
async fn beyond_a_hundred_sets_the_rest_is_told_together() {
    let platform = platform().await;
    let service = platform.serve().await;
    // One is the largest, another is really named so: it does not get lost, nor does it come twice.
    task(&service, "family-000", "acme", "pending").await;
    for number in 0..104 {
        task(&service, &format!("family-{number:03}"), "acme", "pending").await;
    }
    task(&service, "other", "other", "pending").await;
    task(&service, "zzz", "acme", "active").await;
    let scrape = counted(&platform, 107).await;
    let of = |labels: &str| scrape.value(&format!("tasks{{{labels}}}"));
    assert_eq!(of(r#"status="pending",family="family-000",tenant="acme""#), 2);
    // Of the others, all of one task, the first in the alphabet: active before pending, families after that.
    assert_eq!(of(r#"status="active",family="zzz",tenant="acme""#), 1);
    assert_eq!(of(r#"status="pending",family="family-098",tenant="acme""#), 1);
    assert_eq!(of(r#"status="pending",family="other",tenant="other""#), 6);
    assert_eq!(scrape.all("tasks").count(), 101);
}

/// A login with the service's rights alone.
async fn login(platform: &Platform, name: &str, more: &str) -> String {
    let sql = format!(
        "create role {name} login password 'secret'; grant vtid_ledger_writer, vtid_ledger_projector to {name}; {more}"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut platform.connection().await).await.unwrap();
    let (_, server) = platform.database.service_url().split_once('@').unwrap();
    format!("postgres://{name}:secret@{server}")
}

fn serve_as(platform: &Platform, url: &str) -> Service {
    let mut command = program_on(url, &platform.nats.url());
    command.args(["serve", "--listen", "127.0.0.1:0"]).args(SCRAPED).stdout(std::process::Stdio::null());
    Service::start(command)
}

#[tokio::test]
async fn the_oldest_transaction_is_told_as_far_as_the_login_may_see() {
    let platform = platform().await;
    let mut owner = PgConnection::connect(platform.database.url()).await.unwrap();
    let _open = owner.begin().await.unwrap();
    let oldest = "database_oldest_transaction_seconds";
    let sees_all = |scrape: &Scrape| scrape.get("database_sees_all_transactions");

    let blind = login(&platform, "metrics_blind", "").await;
    let seeing = login(&platform, "metrics_seeing", "grant pg_read_all_stats to metrics_seeing").await;
    let (blind, seeing) = (serve_as(&platform, &blind), serve_as(&platform, &seeing));
    let old = |scrape: &Scrape| sees_all(scrape) == Some(1) && scrape.get(oldest) >= Some(2);
    seeing.scraped("an old transaction of another login", old).await;
    // By now it has looked too: how many tasks there are it tells only after that.
    some_task_by(&blind).await;
    let scrape = blind.scrape().await;
    assert_eq!(
        (sees_all(&scrape), scrape.value("database_look_failures_total{look=\"transactions\"}")),
        (Some(0), 0)
    );
    assert!(scrape.value(oldest) < 2, "only its own: {}", scrape.text);
}

async fn some_task_by(service: &Service) {
    crate::support::eventually("a write", async || {
        (service.create(some_task("x")).await.status == 200).then_some(())
    })
    .await;
}

/// As `dev` and `setup/roles.sql` make it.
#[tokio::test]
async fn the_service_sees_all_transactions() {
    let platform = platform().await;
    let service = platform.serve_scraped().await;
    service
        .scraped("everybody's transactions", |scrape| scrape.get("database_sees_all_transactions") == Some(1))
        .await;
}
