//! The commands, as an auditor types them, on a ledger that was written over HTTP.

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::support::service::{Answer, Ended, Platform, Service, migrated_database, platform, run_program};
use crate::support::tokens::{WITH_SECRET, authenticated, token};
use crate::support::{eventually, folder};

/// A create or patch by somebody, under a request id.
async fn by(
    service: &Service,
    who: &str,
    request: &str,
    (method, path): (&str, &str),
    body: Value,
) -> Answer {
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    // A float would lose the zero.
    let body = body.to_string().replace(r#""cost":0.1"#, r#""cost":0.10"#);
    let sent = service.with_body(method, path, body);
    service.send(sent.bearer_auth(who).header("x-request-id", request)).await.expect(200)
}

const CREATE: (&str, &str) = ("POST", "/vtid/create");

/// Ann's task, assigned to dana and begun by her; then a worker cancels it, whose it was not.
async fn wronged(platform: &Platform) -> (Service, String) {
    let service = platform.serve_with(&WITH_SECRET).await;
    let ann = authenticated("ann", "acme");
    let dana = authenticated("dana", "acme");
    let worker = token(&json!({"sub": "worker-7", "role": "service_role"}));
    let body =
        json!({"taskFamily":"DEPLOY","taskType":"step","description":"Migrate the invoices","tenant":"acme"});
    let vtid = by(&service, &ann, "req-create", CREATE, body.clone()).await.vtid().to_owned();
    let path = format!("/vtid/{vtid}");
    let change = ("PATCH", path.as_str());
    by(&service, &ann, "req-assign", change, json!({"assignedTo": "dana"})).await;
    by(&service, &dana, "req-begin", change, json!({"status": "active"})).await;
    let failed = json!({"status": "cancelled", "metadata": {"failed": true, "reason": "timeout\u{1b}[31m", "cost": 0.10}});
    by(&service, &worker, "req-fail", change, failed).await;
    by(&service, &ann, "req-other", CREATE, body).await;
    caught_up(platform, 5).await;
    (service, vtid)
}

/// Waits until the read table shows everything and the stream holds it.
async fn caught_up(platform: &Platform, events: u64) {
    let mut connection = platform.connection().await;
    eventually("the projection", async || {
        let at: Option<i64> = sqlx::query_scalar("select max(position) from ledger.progress")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        (at == i64::try_from(events).ok()).then_some(())
    })
    .await;
    eventually("the stream", async || (platform.stream_length().await == events).then_some(())).await;
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test]
async fn a_worker_that_marks_a_task_failed_that_is_not_its_own_is_found_by_one_command() {
    let platform = platform().await;
    let (_service, vtid) = wronged(&platform).await;
    let told = platform.run(&["audit", "history", &vtid]).await.succeeded();
    let steps: Vec<&str> = told.split("\n\n").collect();
    assert_eq!(steps.len(), 5, "{told}");
    let blamed = steps[4];
    for part in [
        "vtid-updated by worker-7 (service_role)",
        "request req-fail",
        "position 4  version 4",
        "the task was not theirs: it was assigned to dana",
        r#"status       "active" → "cancelled""#,
    ] {
        assert!(blamed.contains(part), "{part}: {blamed}");
    }
    assert!(blamed.starts_with("20"), "when: {blamed}");
    assert!(!told.contains('\u{1b}'), "a terminal would obey it: {told}");
    assert!(steps[3].contains("by dana") && !steps[3].contains("not theirs"), "{}", steps[3]);

    let json = platform.run(&["audit", "history", &vtid, "--json"]).await.succeeded();
    // Every digit is kept.
    assert!(json.contains(r#""cost":0.10"#), "{json}");
    let event = &parsed(&json)["events"][3];
    assert_eq!(event["actor"], "worker-7");
    assert_eq!(event["request_id"], "req-fail");
    assert_eq!(event["assigned_before"], "dana");
    assert_eq!(event["changes"][0], json!({"field": "status", "before": "active", "after": "cancelled"}));

    let none = platform.run(&["audit", "history", "VTID-1999-0001"]).await.failed();
    assert!(none.contains("there is no task VTID-1999-0001"), "{none}");
}

#[tokio::test]
async fn who_lists_what_one_actor_did_within_bounds() {
    let platform = platform().await;
    let (_service, _) = wronged(&platform).await;
    let who = async |more: &[&str]| {
        let told = platform.run(&[&["audit", "who", "ann", "--json"], more].concat()).await.succeeded();
        parsed(&told)["events"].as_array().unwrap().clone()
    };
    let all = who(&[]).await;
    let requests: Vec<&str> = all.iter().map(|event| event["request_id"].as_str().unwrap()).collect();
    assert_eq!(requests, ["req-create", "req-assign", "req-other"]);
    assert_eq!(all[1]["asked"], json!({"assignedTo": "dana"}));
    let at = |index: usize| all[index]["time"].as_str().unwrap();
    assert_eq!(who(&["--until", at(0)]).await.last().unwrap()["time"], all[0]["time"]);
    assert_eq!(who(&["--since", at(2)]).await.last().unwrap()["position"], 5);
    assert_eq!(who(&["--since", "2001-01-01T00:00:00Z", "--until", "2001-01-02T00:00:00Z"]).await.len(), 0);
    assert_eq!(who(&["--tenant", "globex"]).await.len(), 0);
    let table = platform.run(&["audit", "who", "worker-7"]).await.succeeded();
    assert!(table.contains("req-fail") && table.contains("1 events by worker-7"), "{table}");
}

#[tokio::test]
async fn replay_shows_the_tasks_as_they_stood() {
    let platform = platform().await;
    let (service, vtid) = wronged(&platform).await;
    let worker = token(&json!({"sub": "worker-7", "role": "service_role"}));
    let row = service
        .send(service.request(reqwest::Method::GET, &format!("/vtid/{vtid}")).bearer_auth(worker))
        .await;
    let now = platform.run(&["audit", "replay"]).await.succeeded();
    let rows: Vec<Value> = now.lines().map(parsed).collect();
    assert_eq!((rows.len(), &rows[0]), (2, &row.body["data"]));
    let then = platform.run(&["audit", "replay", "--to", "3", "--json"]).await.succeeded();
    let then = parsed(&then);
    assert_eq!((&then["position"], &then["count"]), (&json!(3), &json!(1)));
    assert_eq!(then["tasks"][0]["status"], "active");
    // The same from a file, up to a time.
    let folder = folder();
    let file = folder.path().join("export");
    let file = file.to_str().unwrap();
    platform.run(&["audit", "export", "--out", file]).await.succeeded();
    let time = then["tasks"][0]["updated_at"].as_str().unwrap();
    for from in [&["--file", file][..], &[]] {
        let told =
            platform.run(&[&["audit", "replay", "--to", time, "--json"], from].concat()).await.succeeded();
        assert_eq!(parsed(&told)["tasks"][0]["status"], "active", "{told}");
    }
    let csv = platform.run(&["audit", "replay", "--file", file, "--into", "csv"]).await.succeeded();
    let mut read = csv::Reader::from_reader(csv.as_bytes());
    let fields: Vec<csv::StringRecord> = read.records().map(Result::unwrap).collect();
    assert_eq!((fields.len(), &fields[0][1], &fields[0][5]), (2, vtid.as_str(), "cancelled"));
    let table = platform.run(&["audit", "replay", "--into", "table"]).await.succeeded();
    assert!(table.contains("2 tasks as of position 5"), "{table}");
    let beyond = platform.run(&["audit", "replay", "--to", "6"]).await.failed();
    assert!(beyond.contains("ends at position 5"), "{beyond}");
}

async fn all_rows(url: &str, query: &'static str) -> Vec<String> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar(query).fetch_all(&mut connection).await.unwrap()
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

    let other = Platform {
        database: migrated_database().await,
        nats: crate::support::nats(crate::support::NatsFlavor::Current).await,
    };
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

    let service = other.serve_with(&WITH_SECRET).await;
    let ann = authenticated("ann", "acme");
    let body = json!({"taskFamily":"DEPLOY","taskType":"step","description":"after","tenant":"acme"});
    let created = by(&service, &ann, "req-after", CREATE, body).await;
    assert_eq!((created.position(), created.vtid()), (6, next(&vtid, 2).as_str()));
    caught_up(&other, 6).await;
    let report = parsed(&other.run(&["audit", "verify", "--json"]).await.succeeded());
    assert_eq!((&report["ok"], &report["events"]), (&json!(true), &json!(6)), "{report}");

    // The file is not this ledger's any more, nor another's.
    let more =
        run_program(other.database.url(), &other.nats.url(), &["audit", "import", file]).await.failed();
    assert!(more.contains("events that are not the file's"), "{more}");
}

fn next(vtid: &str, further: u64) -> String {
    let (front, number) = vtid.rsplit_once('-').unwrap();
    format!("{front}-{:04}", number.parse::<u64>().unwrap() + further)
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

#[tokio::test]
async fn diff_names_each_row_that_is_not_what_the_log_says() {
    let platform = platform().await;
    let (mut service, vtid) = wronged(&platform).await;
    service.terminate();
    service.ended().await;
    let same = platform.run(&["audit", "diff"]).await.succeeded();
    assert!(same.contains("2 tasks and 0 snapshots compared, 0 different"), "{same}");
    let mut connection = platform.connection().await;
    sqlx::raw_sql(
        r#"insert into "VtidLedger" select (jsonb_populate_record(t, '{"id":"x","vtid":"VTID-2001-0001"}')).*
               from "VtidLedger" t order by vtid limit 1;
           update "VtidLedger" set status = 'blocked', metadata = null where vtid like '%-0001' and vtid not like 'VTID-2001%';
           delete from "VtidLedger" where vtid like '%-0002';"#,
    )
    .execute(&mut connection)
    .await
    .unwrap();
    let Ended { success, out, error } = platform.run(&["audit", "diff", "--json"]).await;
    assert!(!success && error.contains("3 places"), "{error}");
    let told = parsed(&out);
    assert_eq!(told["different"], 3, "{out}");
    let of = |vtid: &str| {
        told["differences"].as_array().unwrap().iter().find(|found| found["vtid"] == vtid).unwrap().clone()
    };
    assert_eq!(of(&vtid)["columns"], json!(["status", "metadata"]));
    assert_eq!(of(&next(&vtid, 1))["kind"], "missing");
    assert_eq!(of("VTID-2001-0001")["kind"], "unexpected");
    let Ended { success, out, .. } = platform.run(&["audit", "diff"]).await;
    assert!(
        !success && out.contains(&format!("the row of {vtid} is not what the log says: status, metadata")),
        "{out}"
    );
}
