//! Commands and `serve` on an address with several hosts.

use sqlx::{AssertSqlSafe, Connection, Executor};
use vtid_ledger::log::connect::{is_read_only, options, read_options};

use super::pair::{Pair, Replication};
use super::stage::Stage;
use crate::support::service::run_program;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_find_the_primary_among_several() {
    let mut stage = Stage::set(Replication::Asynchronous, 0).await;
    let old = stage.pair.primary;
    // Neither writes: both say that the schema is there.
    for url in [stage.pair.service_url(), stage.pair.service_url_of(old)] {
        let told = run_program(&url, &stage.nats.url(), &["projection", "status"]).await.succeeded();
        assert!(!told.is_empty());
    }
    connections_are_the_primary_s(&stage.pair).await;
    stage.pair.nodes[old].kill().await;
    stage.pair.promote().await;
    let owner = stage.pair.url();
    let port = stage.pair.primary().port();
    let both =
        owner.replace(&format!(":{port}/"), &format!(":{},127.0.0.1:{port}/", stage.pair.nodes[old].port()));
    let told = run_program(&both, &stage.nats.url(), &["migrate"]).await.succeeded();
    assert!(told.contains("up to date"), "{told}");
    let told =
        run_program(&stage.pair.service_url(), &stage.nats.url(), &["projection", "rebuild", "vtid_ledger"])
            .await;
    told.succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_list_is_named_without_its_password() {
    let run = async |url: &str| run_program(url, "nats://127.0.0.1:1", &["migrate"]).await.failed();
    for (hosts, why) in
        [("h1:1,,h2:2", "place 2 of 3"), ("h1:1,h2:port", "place 2 of 2"), ("h1,h1", "the same")]
    {
        let told = run(&format!("postgres://someone:secret@{hosts}/ledger")).await;
        assert!(told.contains(why) && told.contains("DATABASE_URL") && !told.contains("secret"), "{told}");
    }
}

/// The standby may stand first, and answers; it is not taken for writes. What it refuses is told from other errors.
async fn connections_are_the_primary_s(pair: &Pair) {
    let standby = pair.standby().server().url(super::pair::DATABASE);
    let ports = [pair.standby().port(), pair.primary().port()];
    let both = standby.replace(&format!(":{}/", ports[0]), &format!(":{},127.0.0.1:{}/", ports[0], ports[1]));
    let (mut connection, _) = options(&both, "test").unwrap().connect().await.unwrap();
    let port: i32 = sqlx::query_scalar("select inet_server_port()").fetch_one(&mut connection).await.unwrap();
    assert_eq!(port, i32::from(ports[1]), "the primary is the second");
    let refused = options(&standby, "test").unwrap().connect().await.map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("a standby, which takes no writes"), "{refused}");
    let (mut reading, _) = read_options(&both, "test").unwrap().connect().await.unwrap();
    let refused = reading.execute(AssertSqlSafe("create table t ()")).await.unwrap_err();
    assert!(is_read_only(&refused), "{refused}");
    reading.close().await.unwrap();
}
