//! The command line, as an operator meets it: what is refused by name, and what the commands print.

use std::net::TcpListener;
use std::process::{Output, Stdio};
use std::time::Duration;

use async_nats::jetstream;
use sqlx::Connection as _;
use sqlx::PgConnection;
use tokio::process::Command;
use vtid_ledger::dev::{PostgresOptions, PostgresServer};

use crate::support::service::{Platform, Service, platform, some_task};
use crate::support::{database, eventually, folder, program};

/// Runs a command to its end, with these settings alone.
async fn run(arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let output = Command::new(program())
        .args(arguments)
        .env_clear()
        // Settings that say otherwise go first.
        .env("AUTH", "off")
        .envs(settings.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(Duration::from_mins(1), output).await.expect("the command to end").unwrap()
}

/// What a command printed; it must have succeeded.
async fn printed(arguments: &[&str], settings: &[(&str, &str)]) -> String {
    let output = run(arguments, settings).await;
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// `serve` must refuse to start, and name each of these.
async fn assert_refused(arguments: &[&str], settings: &[(&str, &str)], named: &[&str]) {
    let output = run(&[&["serve"], arguments].concat(), settings).await;
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    // Among the lines of the log.
    let refusal = told.lines().find(|line| line.starts_with("vtid-ledger: "));
    let refusal = refusal.unwrap_or_else(|| panic!("nothing is named: {told}"));
    for name in named {
        assert!(refusal.contains(name), "{name} is not named: {refusal}");
    }
    assert!(!refusal.contains("secret"), "{refusal}");
}

#[tokio::test]
async fn serve_names_the_setting_that_is_missing_or_bad() {
    let platform = platform().await;
    let (database, nats) = (platform.database.service_url(), platform.nats.url());
    let any = ["--listen", "127.0.0.1:0"];
    assert_refused(&any, &[("NATS_URL", &nats)], &["DATABASE_URL", "SUPABASE_DB_URL", "not set"]).await;
    assert_refused(&any, &[("NATS_URL", &nats), ("DATABASE_URL", "")], &["DATABASE_URL", "not set"]).await;
    for bad in ["nonsense", "http://127.0.0.1:1/x", "mysql://secret@127.0.0.1:1/x", "://"] {
        let settings = [("NATS_URL", nats.as_str()), ("DATABASE_URL", bad)];
        assert_refused(&any, &settings, &["DATABASE_URL", "postgres://"]).await;
    }
    assert_refused(&any, &[("DATABASE_URL", database)], &["NATS_URL", "not set"]).await;
    for bad in ["not an address", "nats://", "127.0.0.1:4222,:::"] {
        assert_refused(&any, &[("DATABASE_URL", database), ("NATS_URL", bad)], &["NATS_URL"]).await;
    }
    for (who_may_call, named) in [
        (&[("AUTH", "")][..], &["JWT_SECRET", "JWKS_URL", "AUTH=off"][..]),
        (&[("AUTH", "on")], &["AUTH=", "off"]),
        (&[("JWT_SECRET", "secret")], &["AUTH=off", "JWT_SECRET"]),
        (&[("AUTH", ""), ("JWT_SECRET", "secret")], &["JWT_SECRET", "32 bytes"]),
        (&[("AUTH", ""), ("JWKS_URL", "nonsense")], &["JWKS_URL", "http"]),
        (&[("AUTH", ""), ("JWT_AUDIENCE", "me")], &["JWT_SECRET", "JWKS_URL"]),
        (&[("CORS_ORIGINS", "*")], &["CORS_ORIGINS", "https://app.example.org"]),
    ] {
        let settings = [&[("DATABASE_URL", database), ("NATS_URL", &nats)], who_may_call].concat();
        assert_refused(&any, &settings, named).await;
    }
    let missing = [("DATABASE_URL", database), ("NATS_URL", &nats), ("NATS_CREDENTIALS", "/nowhere.creds")];
    assert_refused(&any, &missing, &["NATS_CREDENTIALS", "/nowhere.creds"]).await;
}

#[tokio::test]
async fn serve_names_the_port_in_use_and_the_flag_that_changes_it() {
    let platform = platform().await;
    let nats = platform.nats.url();
    let settings = [("DATABASE_URL", platform.database.service_url()), ("NATS_URL", nats.as_str())];
    let taken = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let address = format!("127.0.0.1:{port}");
    assert_refused(&["--listen", &address], &settings, &[&address, "--listen"]).await;
    assert_refused(&["--port", &port], &settings, &[&port, "--listen"]).await;
    let by_environment = [settings[0], settings[1], ("PORT", port.as_str())];
    assert_refused(&[], &by_environment, &[&port]).await;
}

#[tokio::test]
async fn serve_refuses_an_unmigrated_database_and_migrate_makes_it_good() {
    let platform = platform().await;
    let (empty, nats) = (database().await, platform.nats.url());
    let settings = [("DATABASE_URL", empty.url()), ("NATS_URL", nats.as_str())];
    let named = ["not migrated", "vtid-ledger migrate"];
    assert_refused(&["--listen", "127.0.0.1:0"], &settings, &named).await;
    // Several at the same time, and once more: each succeeds, and it is done once.
    let migrate = || printed(&["migrate"], &settings[..1]);
    tokio::join!(migrate(), migrate(), migrate(), migrate());
    assert!(migrate().await.contains("up to date"));
    let mut connection = PgConnection::connect(empty.url()).await.unwrap();
    let ledgers: i64 =
        sqlx::query_scalar("select count(*) from ledger.identity").fetch_one(&mut connection).await.unwrap();
    assert_eq!(ledgers, 1);
    let service = serve(&[("SUPABASE_DB_URL", empty.url()), ("NATS_URL", &nats)]).await;
    service.create(some_task("after the migration")).await.expect(200);
}

/// `serve` with these settings alone, once it takes writes.
async fn serve(settings: &[(&str, &str)]) -> Service {
    let mut command = std::process::Command::new(program());
    command.args(["serve", "--listen", "127.0.0.1:0"]).env_clear().env("AUTH", "off");
    command.envs(settings.iter().copied());
    let service = Service::start(command);
    eventually("the ledger is ready", async || {
        (service.get("/readyz").await.status.as_u16() == 200).then_some(())
    })
    .await;
    service
}

#[tokio::test]
async fn the_database_goes_by_its_name_or_by_supabases() {
    let platform = platform().await;
    let nats = platform.nats.url();
    let service = serve(&[("SUPABASE_DB_URL", platform.database.service_url()), ("NATS_URL", &nats)]).await;
    service.create(some_task("under another name")).await.expect(200);
    // DATABASE_URL goes first.
    let both = [
        ("SUPABASE_DB_URL", platform.database.service_url()),
        ("DATABASE_URL", "nonsense"),
        ("NATS_URL", &nats),
    ];
    assert_refused(&["--listen", "127.0.0.1:0"], &both, &["DATABASE_URL"]).await;
}

#[tokio::test]
async fn serve_refuses_a_database_that_would_lose_what_it_acknowledged() {
    let platform = platform().await;
    let nats = platform.nats.url();
    let settings = [("DATABASE_URL", platform.database.service_url()), ("NATS_URL", nats.as_str())];
    sqlx::raw_sql("do $$ begin execute format('alter database %I set synchronous_commit = off', current_database()); end $$")
        .execute(&mut platform.connection().await)
        .await
        .unwrap();
    assert_refused(&["--listen", "127.0.0.1:0"], &settings, &["synchronous_commit = off"]).await;

    let folder = folder();
    let mut options = PostgresOptions::new(folder.path().join("postgres"), program());
    options.settings = vec![("fsync".to_owned(), "off".to_owned())];
    let server = PostgresServer::start(&options).await.unwrap();
    let url = server.url("postgres");
    printed(&["migrate"], &[("DATABASE_URL", &url)]).await;
    let settings = [("DATABASE_URL", url.as_str()), ("NATS_URL", nats.as_str())];
    assert_refused(&["--listen", "127.0.0.1:0"], &settings, &["fsync = off"]).await;
    server.stop().await.unwrap();
}

#[tokio::test]
async fn help_names_every_default() {
    let serve =
        ["PORT=] [default: 8080]", "READ_CONNECTIONS=] [default: 8]", "WRITE_DEADLINE_MS=] [default: 5000]"];
    let further = [
        "[env: METRICS_LISTEN=]",
        "[default: OASIS_VTID_LEDGER]",
        "[default: info]",
        "[env: DATABASE_URL]",
        "[env: NATS_URL]",
    ];
    let tuning =
        ["DATABASE_TIMEOUT_MS=] [default: 3000]", "CLOCK_AHEAD_MAX_S=] [default: 60]", "[default: 4096]"];
    let dev =
        ["[default: 127.0.0.1:8080]", "[default: .vtid]", "[default: OASIS_VTID_LEDGER]", "[default: 4096]"];
    let tail = ["[default: oasis.*.vtid-ledger.*]", "[default: OASIS_VTID_LEDGER]", "[default: .vtid]"];
    let cases: [(&[&str], &[&str]); 10] = [
        (&["serve"], &serve),
        (&["serve"], &further),
        (&["serve"], &tuning),
        (&["dev"], &dev),
        (&["migrate"], &["[env: DATABASE_URL]", "[env: SUPABASE_DB_URL]"]),
        (&["projection", "status"], &["[default: .vtid]"]),
        (&["projection", "rebuild"], &["[default: .vtid]", "<NAME>", "--restart"]),
        (&["oasis", "tail"], &tail),
        (&["token"], &["[default: 1h]", "[env: JWT_SECRET]", "--role", "--tenant", "--sub"]),
        (&[], &["serve", "dev", "migrate", "token", "projection", "oasis"]),
    ];
    for (command, named) in cases {
        let told = printed(&[command, &["--help"]].concat(), &[]).await;
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        for name in named {
            assert!(told.contains(name), "{command:?} --help does not name {name}: {told}");
        }
        assert!(!told.contains("guard"), "{told}");
    }
    // An address may hold a password: help does not show it.
    let secret = [("DATABASE_URL", "postgres://hush"), ("NATS_URL", "nats://hush"), ("JWT_SECRET", "hush")];
    assert!(!printed(&["serve", "--help"], &secret).await.contains("hush"));
}

#[tokio::test]
async fn projection_status_tells_how_far_it_is_and_rebuild_what_it_mended() {
    let platform = platform().await;
    let service = platform.serve().await;
    let mut last = 0;
    for number in 0..3 {
        last = service.create(some_task(&number.to_string())).await.expect(200).position();
    }
    let settings = [("DATABASE_URL", platform.database.service_url())];
    let expected = format!("position    {last} of {last} (0 behind)");
    eventually(&expected, async || {
        let told = printed(&["projection", "status"], &settings).await;
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines.first(), Some(&"projection  vtid_ledger"), "{told}");
        assert_eq!(lines.last(), Some(&"rebuild     none"), "{told}");
        lines.contains(&expected.as_str()).then_some(())
    })
    .await;
    let told = printed(&["projection", "rebuild", "vtid_ledger"], &settings).await;
    assert!(told.contains("3 tasks, 0 rows mended"), "{told}");
    let unknown = run(&["projection", "rebuild", "nonsense"], &settings).await;
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8(unknown.stderr).unwrap().contains("nonsense"));
}

/// What a subscriber of the stream gets at a sequence: the subject and the body.
async fn subscribed(platform: &Platform, sequence: u64) -> (String, String) {
    let client = async_nats::connect(platform.nats.url()).await.unwrap();
    let stream = jetstream::new(client).get_stream("OASIS_VTID_LEDGER").await.unwrap();
    let message = stream.get_raw_message(sequence).await.unwrap();
    (message.subject.to_string(), String::from_utf8(message.payload.to_vec()).unwrap())
}

#[tokio::test]
async fn oasis_tail_prints_what_subscribers_see() {
    let platform = platform().await;
    let service = platform.serve().await;
    let vtid = service.create(some_task("seen")).await.expect(200).vtid().to_owned();
    service.patch(&vtid, r#"{"status":"active"}"#).await.expect(200);
    service.patch(&vtid, r#"{"status":"complete"}"#).await.expect(200);
    let nats = platform.nats.url();
    let settings = [("NATS_URL", nats.as_str())];
    // The relay makes the stream when it first reaches NATS.
    eventually("the stream", async || (platform.stream_length().await == 3).then_some(())).await;
    let told = printed(&["oasis", "tail", "--from", "1", "--count", "3"], &settings).await;
    let bodies = printed(&["oasis", "tail", "--from", "1", "--count", "3", "--json"], &settings).await;
    assert_eq!((told.lines().count(), bodies.lines().count()), (3, 3), "{told}");
    for (sequence, (line, printed)) in (1..).zip(told.lines().zip(bodies.lines())) {
        let (subject, body) = subscribed(&platform, sequence).await;
        assert_eq!(line, format!("{sequence}  {subject}  {body}"));
        assert_eq!(printed, body);
    }
    let subject = "oasis.system.vtid-ledger.vtid-completed";
    let one =
        printed(&["oasis", "tail", "--from", "1", "--subject", subject, "--count", "1"], &settings).await;
    assert!(one.starts_with(&format!("3  {subject}  ")), "{one}");
    let nowhere = run(&["oasis", "tail", "--count", "1"], &[]).await;
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(String::from_utf8(nowhere.stderr).unwrap().contains("NATS_URL"));
}
