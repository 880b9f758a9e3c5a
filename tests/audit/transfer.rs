//! `audit export` and `audit import`: what comes out, and what it becomes elsewhere.

use std::path::Path;

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use vtid_ledger::domain::position::Position;
use vtid_ledger::sealer::table;
use vtid_ledger::tlog::key::KeyName;

use super::commands::{CREATE, by, wronged};
use super::{caught_up, next, parsed};
use crate::sealer::stage::{Stage, write};
use crate::support::service::{Platform, migrated_database, platform, run_program};
use crate::support::tokens::{WITH_SECRET, authenticated};
use crate::support::{NatsFlavor, folder, nats};

async fn all_rows(url: &str, query: &'static str) -> Vec<String> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar(query).fetch_all(&mut connection).await.unwrap()
}

/// A ledger without events, and a NATS without a stream.
async fn fresh() -> Platform {
    Platform { database: migrated_database().await, nats: nats(NatsFlavor::Current).await }
}

const EVENTS: &str = "select e::text from ledger.event e order by position";

#[tokio::test]
async fn what_is_exported_and_imported_is_the_same_ledger_and_goes_on() {
    let platform = platform().await;
    let (mut service, vtid) = wronged(&platform).await;
    service.terminate();
    service.ended().await;
    let folder = folder();
    let file = folder.path().join("ledger.ndjson");
    let file = file.to_str().unwrap();
    let exported = platform.run(&["audit", "export", "--out", file, "--json"]).await.succeeded();
    let exported = parsed(&exported);
    assert_eq!(exported["events"], 5);
    let piped = platform.run(&["audit", "export", "--out", "-"]).await.succeeded();
    assert_eq!(piped, std::fs::read_to_string(file).unwrap());

    let other = fresh().await;
    let import = async || {
        run_program(other.database.url(), &other.nats.url(), &["audit", "import", file, "--json"]).await
    };
    let imported = parsed(&import().await.succeeded());
    assert_eq!(imported["root"], exported["root"]);
    assert_eq!(imported["ledger"], exported["ledger"]);
    assert_eq!(all_rows(platform.database.url(), EVENTS).await, all_rows(other.database.url(), EVENTS).await);
    // Once more: nothing is left to do.
    let again = parsed(&import().await.succeeded());
    assert_eq!((&again["resumed_after"], &again["root"]), (&json!(5), &exported["root"]));

    let mut service = other.serve_with(&WITH_SECRET).await;
    let ann = authenticated("ann", "acme");
    let body = json!({"taskFamily":"DEPLOY","taskType":"step","description":"after","tenant":"acme"});
    let created = by(&service, &ann, "req-after", CREATE, body).await;
    assert_eq!((created.position(), created.vtid()), (6, next(&vtid, 2).as_str()));
    caught_up(&other, 6).await;
    let report = parsed(&other.run(&["audit", "verify", "--json"]).await.succeeded());
    assert_eq!((&report["ok"], &report["events"]), (&json!(true), &json!(6)), "{report}");

    service.terminate();
    service.ended().await;
    // The file is not this ledger's any more, nor another's.
    let more =
        run_program(other.database.url(), &other.nats.url(), &["audit", "import", file]).await.failed();
    assert!(more.contains("events that are not the file's"), "{more}");
}

#[tokio::test]
async fn an_import_goes_on_where_it_stopped_and_refuses_what_is_not_its_own() {
    let platform = platform().await;
    let (_service, _) = wronged(&platform).await;
    let folder = folder();
    let file = folder.path().join("ledger.ndjson");
    let file = file.to_str().unwrap();
    platform.run(&["audit", "export", "--out", file]).await.succeeded();
    let nats = platform.nats.url();
    let import = async |url: &str, file: &str| run_program(url, &nats, &["audit", "import", file]).await;

    // As an import left it that was killed after three events.
    let half = migrated_database().await;
    let mut connection = PgConnection::connect(half.url()).await.unwrap();
    let rows = all_rows(platform.database.url(), EVENTS).await;
    for row in &rows[..3] {
        sqlx::query("insert into ledger.event select ($1::ledger.event).*")
            .bind(row)
            .execute(&mut connection)
            .await
            .unwrap();
    }
    let refused = import(half.url(), file).await.failed();
    assert!(refused.contains("events that are not the file's"), "it has another id: {refused}");
    let ledger: String =
        all_rows(platform.database.url(), "select ledger_id::text from ledger.identity").await.remove(0);
    sqlx::query("update ledger.identity set ledger_id = $1::uuid")
        .bind(&ledger)
        .execute(&mut connection)
        .await
        .unwrap();
    // Every record is held against the file, not only the last.
    let other = "alter table ledger.event disable trigger user;
        update ledger.event set body = replace(body, 'req-assign', 'req-assigm') where position = 2";
    sqlx::raw_sql(other).execute(&mut connection).await.unwrap();
    let refused = import(half.url(), file).await.failed();
    assert!(refused.contains("events that are not the file's, at position 2"), "{refused}");
    let back = "update ledger.event set body = replace(body, 'req-assigm', 'req-assign') where position = 2;
        alter table ledger.event enable trigger user";
    sqlx::raw_sql(back).execute(&mut connection).await.unwrap();
    let told = import(half.url(), file).await.succeeded();
    assert!(told.contains("had come to position 3") && told.contains("imported 5 events"), "{told}");
    assert_eq!(all_rows(half.url(), EVENTS).await, rows);

    // A file that is not right changes nothing.
    let bad = folder.path().join("bad.ndjson");
    let text = std::fs::read_to_string(file).unwrap().replace("req-assign", "req-assigm");
    std::fs::write(&bad, text).unwrap();
    let empty = migrated_database().await;
    let refused = import(empty.url(), bad.to_str().unwrap()).await.failed();
    assert!(refused.contains("nothing was imported") && refused.contains("position 2, line"), "{refused}");
    assert_eq!(all_rows(empty.url(), EVENTS).await.len(), 0);
    let missing = import(empty.url(), "/nowhere/at/all").await.failed();
    assert!(missing.contains("/nowhere/at/all"), "{missing}");
    // Whoever is not the owner may not.
    let rights = import(empty.service_url(), file).await.failed();
    assert!(rights.contains("permission denied"), "{rights}");
    assert_eq!(all_rows(empty.url(), EVENTS).await.len(), 0);
}

/// All that an export has, as rows.
const TABLES: [&str; 6] = ["event", "checkpoint", "cosignature", "tile", "audit_key", "accepted_loss"];

async fn everything(platform: &Platform) -> Vec<Vec<String>> {
    let mut connection = platform.connection().await;
    let mut tables = Vec::new();
    for name in TABLES {
        let query = format!("select t::text from ledger.{name} t order by 1");
        tables.push(sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(&mut connection).await.unwrap());
    }
    tables
}

/// A ledger that was sealed, with a loss that was accepted once, and a checkpoint that many witnesses have signed.
async fn sealed() -> Stage {
    let stage = Stage::new().await;
    let mut service = stage.serve().await;
    write(&service, 300).await;
    let witnessed = Position::new(stage.all_sealed().await);
    let mut connection = stage.connection().await;
    for n in 0..1_100 {
        let witness: KeyName = format!("witness-{n}.example.org").parse().unwrap();
        let line = format!("\u{2014} {witness} AAAAAAAA\n");
        table::keep_cosignature(&mut connection, &stage.origin, witnessed, &witness, &line).await.unwrap();
    }
    sqlx::raw_sql(
        "insert into ledger.accepted_loss (number, first_position, last_position, accepted_by)
         values (1, 9000, 9001, 'operator')",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    write(&service, 20).await;
    stage.all_sealed().await;
    service.terminate();
    service.ended().await;
    stage
}

async fn import(platform: &Platform, file: &Path) -> crate::support::service::Ended {
    let arguments = ["audit", "import", file.to_str().unwrap()];
    run_program(platform.database.url(), &platform.nats.url(), &arguments).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_ledger_is_imported_whole_and_sealed_on() {
    let stage = sealed().await;
    let file = stage.file("ledger.ndjson");
    stage.platform.run(&["audit", "export", "--out", file.to_str().unwrap()]).await.succeeded();
    let rows = everything(&stage.platform).await;
    assert!(rows.iter().all(|rows| !rows.is_empty()), "{:?}", rows.iter().map(Vec::len).collect::<Vec<_>>());
    let other = fresh().await;
    import(&other, &file).await.succeeded();
    assert!(everything(&other).await == rows);
    // Once more, and after a stop in the middle.
    import(&other, &file).await.succeeded();
    assert!(everything(&other).await == rows);
    let stopped = "alter table ledger.event disable trigger user; alter table ledger.checkpoint disable trigger user;
        alter table ledger.cosignature disable trigger user; alter table ledger.tile disable trigger user;
        delete from ledger.cosignature; delete from ledger.checkpoint where size > 200; delete from ledger.tile;
        delete from ledger.event where position > 280;
        alter table ledger.event enable trigger user; alter table ledger.checkpoint enable trigger user;
        alter table ledger.cosignature enable trigger user; alter table ledger.tile enable trigger user";
    sqlx::raw_sql(stopped).execute(&mut other.connection().await).await.unwrap();
    let told = import(&other, &file).await.succeeded();
    assert!(told.contains("had come to position 280"), "{told}");
    assert!(everything(&other).await == rows);

    let head = stage.head().await;
    let before = stage.sealed().await;
    let stage = stage.moved_to(other);
    let service = stage.serve().await;
    write(&service, 300).await;
    assert!(stage.all_sealed().await > head);
    let since = stage.assert_sealed().await;
    assert_eq!(since[..before.len()], before, "it goes on from there");
    caught_up(&stage.platform, stage.head().await).await;
    stage.platform.run(&["audit", "verify", "--key", &stage.key.public().to_string()]).await.succeeded();
}

/// The tiles of a log under an older name, whose key nobody gave, belong to it too.
#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_took_a_new_name_is_imported_with_both_logs() {
    let mut stage = Stage::new().await;
    for n in 0..2 {
        let mut service = stage.serve().await;
        write(&service, 260).await;
        stage.all_sealed().await;
        service.terminate();
        service.ended().await;
        if n == 0 {
            stage.give_keys(&[&crate::sealer::stage::new_key("ledger.example.org/renamed")]);
        }
    }
    let file = stage.file("ledger.ndjson");
    stage.platform.run(&["audit", "export", "--out", file.to_str().unwrap()]).await.succeeded();
    let other = fresh().await;
    let (key, path) = (stage.key.public().to_string(), file.to_str().unwrap());
    let arguments = ["audit", "import", path, "--key", &key];
    run_program(other.database.url(), &other.nats.url(), &arguments).await.succeeded();
    assert!(everything(&other).await == everything(&stage.platform).await);
}

#[tokio::test]
async fn an_import_beside_a_running_service_is_refused() {
    let platform = platform().await;
    let (_service, _) = wronged(&platform).await;
    let folder = folder();
    let file = folder.path().join("ledger.ndjson");
    platform.run(&["audit", "export", "--out", file.to_str().unwrap()]).await.succeeded();
    let other = fresh().await;
    let identity = "select ledger_id::text from ledger.identity";
    let before = all_rows(other.database.url(), identity).await;
    let mut service = other.serve_with(&WITH_SECRET).await;
    let refused = import(&other, &file).await.failed();
    assert!(refused.contains("nothing was imported: a `vtid-ledger serve` is at work"), "{refused}");
    assert_eq!(all_rows(other.database.url(), EVENTS).await.len(), 0);
    assert_eq!(all_rows(other.database.url(), identity).await, before);
    service.terminate();
    service.ended().await;
    import(&other, &file).await.succeeded();
    assert_eq!(all_rows(other.database.url(), EVENTS).await.len(), 5);
}
