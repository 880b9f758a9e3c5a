//! Commands and `serve` on an address with several hosts.

use super::pair::Replication;
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
