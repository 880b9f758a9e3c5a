//! A pooler before `PostgreSQL`: one that shares sessions is refused by every command, one that does not is as good as none.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, raw_sql};
use vtid_ledger::database::pooler::{PoolerError, refuse};
use vtid_ledger::log::connect::{connect, options, pool};
use vtid_ledger::log::servers::Servers;

use crate::support::pooler::{PoolMode, Pooler, Pooling};
use crate::support::service::{Platform, Service, platform, program_on, run_program, some_task};
use crate::support::stream::assert_stream_is_the_log;
use crate::support::{database, eventually};

/// Well over what the question may take.
const BOUND: Duration = Duration::from_secs(30);

fn pooling(mode: PoolMode, sessions: u32) -> Pooling {
    Pooling { mode, sessions, in_turn: false, ignores_options: true }
}

async fn before(platform: &Platform, pooling: Pooling) -> Pooler {
    Pooler::start(pooling, &[platform.database.service_url(), platform.database.url()]).await
}

/// A connection that is told no settings.
async fn connect_untold(servers: &Servers) -> PgConnection {
    servers.connect_untold().await.unwrap().0
}

/// What the question alone says of an address.
async fn asked(url: &str) -> Result<(), PoolerError> {
    let (first, server) = options(url, "test").unwrap().connect_untold().await.unwrap();
    refuse(first, &server).await
}

#[tokio::test]
async fn every_command_refuses_a_pooler_that_shares_sessions_and_names_the_setting() {
    let platform = platform().await;
    for mode in [PoolMode::Transaction, PoolMode::Statement] {
        let pooler = before(&platform, pooling(mode, 20)).await;
        let (service, owner) =
            (pooler.before(platform.database.service_url()), pooler.before(platform.database.url()));
        for (command, url) in [
            (&["serve", "--listen", "127.0.0.1:0"][..], &service),
            (&["migrate"], &owner),
            (&["oasis", "check"], &service),
            (&["projection", "status"], &service),
        ] {
            let told = run_program(url, &platform.nats.url(), command).await.failed();
            let refusal = told.lines().find(|line| line.starts_with("vtid-ledger: ")).unwrap();
            for named in ["DATABASE_URL", "transaction or statement mode", "pool_mode = session"] {
                assert!(refusal.contains(named), "{mode:?} {command:?}: {refusal}");
            }
        }
    }
}

/// However many sessions it has, whichever it lends next, and whoever else uses it meanwhile.
#[tokio::test]
async fn it_is_found_by_what_it_does() {
    let platform = platform().await;
    for sessions in [1, 2, 3, 20] {
        for in_turn in [false, true] {
            let pooling = Pooling { in_turn, ..pooling(PoolMode::Transaction, sessions) };
            let pooler = before(&platform, pooling).await;
            let url = pooler.before(platform.database.service_url());
            // As many of its sessions as it has are there already, and idle.
            let mut others = Vec::new();
            for _ in 0..sessions {
                let mut other = connect_untold(&options(&url, "other").unwrap()).await;
                raw_sql("begin").execute(&mut other).await.unwrap();
                others.push(other);
            }
            for other in &mut others {
                raw_sql("commit").execute(other).await.unwrap();
            }
            let begun = Instant::now();
            let found = asked(&url).await;
            assert!(matches!(found, Err(PoolerError::Shared(_))), "{pooling:?}: {found:?}");
            assert!(begun.elapsed() < BOUND, "{pooling:?}: {:?}", begun.elapsed());
        }
    }
}

#[tokio::test]
async fn a_pooler_with_one_session_alone_is_refused_in_time() {
    let platform = platform().await;
    let pooler = before(&platform, pooling(PoolMode::Session, 1)).await;
    let begun = Instant::now();
    let found = asked(&pooler.before(platform.database.service_url())).await;
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    let Err(error @ PoolerError::Starved) = found else { panic!("{found:?}") };
    assert!(error.to_string().contains("DATABASE_URL"), "{error}");
}

#[tokio::test]
async fn a_pooler_that_takes_no_settings_is_told_how_to() {
    let platform = platform().await;
    let strict = Pooling { ignores_options: false, ..pooling(PoolMode::Session, 20) };
    let pooler = before(&platform, strict).await;
    let url = pooler.before(platform.database.service_url());
    let told = run_program(&url, &platform.nats.url(), &["serve", "--listen", "127.0.0.1:0"]).await.failed();
    for named in ["DATABASE_URL", "ignore_startup_parameters = options", "session mode"] {
        assert!(told.contains(named), "{told}");
    }
}

/// Reads that may go elsewhere do not go there.
#[tokio::test]
async fn reads_leave_such_a_pooler_alone_and_readyz_says_so() {
    let platform = platform().await;
    let pooler = before(&platform, pooling(PoolMode::Transaction, 20)).await;
    let mut command = program_on(platform.database.service_url(), &platform.nats.url());
    command.args(["serve", "--listen", "127.0.0.1:0"]).stdout(std::process::Stdio::null());
    command.env("DATABASE_READ_URL", pooler.before(platform.database.service_url()));
    let service = Service::start(command);
    eventually("the pooler is named", async || {
        let degraded = service.get("/readyz").await.body["degraded"].to_string();
        degraded.contains("pooler in transaction or statement mode").then_some(())
    })
    .await;
    let created = service.create(some_task("read from the primary")).await.expect(200);
    service.get(&format!("/vtid/{}", created.vtid())).await.expect(200);
    service.get("/vtid/list").await.expect(200);
}

/// While others come and go, and many ask at once.
#[tokio::test]
async fn no_alarm_is_raised_at_postgresql_itself() {
    let database = database().await;
    let options = options(database.url(), "other").unwrap();
    let coming_and_going = tokio::spawn(async move {
        loop {
            let mut connection = connect_untold(&options).await;
            raw_sql("select 1").execute(&mut connection).await.unwrap();
        }
    });
    for _ in 0..10 {
        let asking = (0..4).map(|_| asked(database.url()));
        for answer in futures::future::join_all(asking).await {
            answer.unwrap();
        }
    }
    coming_and_going.abort();
}

/// Directly as well as through a pooler, which drops the settings that come while a connection is made.
#[tokio::test]
async fn each_session_has_the_ledgers_own_settings() {
    let database = database().await;
    let mut owner = PgConnection::connect(database.url()).await.unwrap();
    let name: String = sqlx::query_scalar("select current_database()").fetch_one(&mut owner).await.unwrap();
    for (setting, other) in SETTINGS {
        let unlike = format!("alter database {name} set {setting} = {other}");
        raw_sql(AssertSqlSafe(unlike)).execute(&mut owner).await.unwrap();
    }
    let pooler = Pooler::start(pooling(PoolMode::Session, 20), &[database.url()]).await;
    let behind = pooler.before(database.url());
    for url in [database.url(), &behind] {
        let options = options(url, "test").unwrap();
        let several = pool(options.clone(), 1);
        let (plain, own) = (connect_untold(&options).await, connect(&options).await.unwrap());
        let one_of_several = several.acquire().await.unwrap().detach();
        for (mut connection, are_own) in [(plain, url != behind), (own, true), (one_of_several, true)] {
            for (setting, other) in SETTINGS {
                let found = "select current_setting($1) = $2";
                let found = sqlx::query_scalar(found).bind(setting).bind(other.trim_matches('\''));
                let is_other: bool = found.fetch_one(&mut connection).await.unwrap();
                assert_eq!(is_other, !are_own, "{setting} through {url}");
            }
        }
    }
}

/// What a database may have by default, and the ledger must not.
const SETTINGS: [(&str, &str); 4] = [
    ("synchronous_commit", "local"),
    ("default_transaction_isolation", "'repeatable read'"),
    ("statement_timeout", "'77s'"),
    ("lock_timeout", "'77s'"),
];

async fn backends(owner: &mut PgConnection) -> i64 {
    let own = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
    sqlx::query_scalar(own).fetch_one(owner).await.unwrap()
}

/// Everything, from the empty database on: and nothing is left open for the next client.
#[tokio::test]
async fn session_mode_works() {
    let (database, nats) =
        (database().await, crate::support::nats(crate::support::NatsFlavor::Current).await);
    let pooler =
        Pooler::start(pooling(PoolMode::Session, 40), &[database.service_url(), database.url()]).await;
    run_program(&pooler.before(database.url()), &nats.url(), &["migrate"]).await.succeeded();
    let url = pooler.before(database.service_url());
    let mut services = Vec::new();
    for _ in 0..2 {
        let mut command = program_on(&url, &nats.url());
        command.args(["serve", "--listen", "127.0.0.1:0"]).stdout(std::process::Stdio::null());
        let service = Service::start(command);
        eventually("it to be ready", async || (service.get("/readyz").await.status == 200).then_some(()))
            .await;
        services.push(service);
    }
    for n in 0..20 {
        let (one, other) = (&services[n % 2], &services[(n + 1) % 2]);
        let created = one.create(some_task(&format!("{n}"))).await.expect(200);
        let patched = other.patch(created.vtid(), r#"{"status":"active"}"#).await.expect(200);
        let read = one.request(reqwest::Method::GET, &format!("/vtid/{}", created.vtid()));
        let read = read.header("ledger-min-position", patched.position().to_string());
        assert_eq!(one.send(read).await.expect(200).body["data"]["status"], "active");
        let list = other.get("/vtid/list?status=active&limit=1").await.expect(200);
        assert_eq!(list.body["data"][0]["vtid"], created.vtid());
    }
    let log = assert_stream_is_the_log(database.url(), &nats.url()).await;
    assert_eq!(log.len(), 40);
    run_program(&url, &nats.url(), &["oasis", "check"]).await.succeeded();
    run_program(&url, &nats.url(), &["projection", "status"]).await.succeeded();
    drop(services);
    let mut owner = PgConnection::connect(database.url()).await.unwrap();
    eventually("only the pooler's idle sessions are left", async || {
        let busy = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
                    and (state <> 'idle' or query not like 'DISCARD ALL%')";
        let busy: i64 = sqlx::query_scalar(busy).fetch_one(&mut owner).await.unwrap();
        (busy == 0).then_some(())
    })
    .await;
    assert!(backends(&mut owner).await > 0);
}
