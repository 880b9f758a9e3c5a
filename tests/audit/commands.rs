//! The commands, as an auditor types them, on a ledger that was written over HTTP.

use serde_json::{Value, json};

use super::found::Found;
use super::{caught_up, next, parsed};
use crate::sealer::stage::Stage;
use crate::support::folder;
use crate::support::service::{Answer, Ended, Platform, Service, platform};
use crate::support::tokens::{WITH_SECRET, authenticated, token};

/// A create or patch by somebody, under a request id.
pub(super) async fn by(
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

pub(super) const CREATE: (&str, &str) = ("POST", "/vtid/create");

/// A ledger in which somebody was wronged.
pub(super) async fn wronged(platform: &Platform) -> (Service, String) {
    let service = platform.serve_with(&WITH_SECRET).await;
    let vtid = wrong(platform, &service).await;
    (service, vtid)
}

/// Ann's task, assigned to dana and begun by her; then a worker cancels it, whose it was not.
async fn wrong(platform: &Platform, service: &Service) -> String {
    let ann = authenticated("ann", "acme");
    let dana = authenticated("dana", "acme");
    let worker = token(&json!({"sub": "worker-7", "role": "service_role"}));
    let body =
        json!({"taskFamily":"DEPLOY","taskType":"step","description":"Migrate the invoices","tenant":"acme"});
    let vtid = by(service, &ann, "req-create", CREATE, body.clone()).await.vtid().to_owned();
    let path = format!("/vtid/{vtid}");
    let change = ("PATCH", path.as_str());
    by(service, &ann, "req-assign", change, json!({"assignedTo": "dana"})).await;
    by(service, &dana, "req-begin", change, json!({"status": "active"})).await;
    let failed = json!({"status": "cancelled", "metadata": {"failed": true, "reason": "timeout\u{1b}[31m", "cost": 0.10}});
    by(service, &worker, "req-fail", change, failed).await;
    by(service, &ann, "req-other", CREATE, body).await;
    caught_up(platform, 5).await;
    vtid
}

/// Who, when, by which request; and that the history which says so is whole, and what was signed.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_marks_a_task_failed_that_is_not_its_own_is_found_by_one_command() {
    let stage = Stage::new().await;
    let service = stage.serve_with(&WITH_SECRET).await;
    let platform = &stage.platform;
    let vtid = wrong(platform, &service).await;
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

    // All of the ledger is what was signed, by a key that the auditor holds; and this event is in it.
    stage.all_sealed().await;
    let key = stage.key.public().to_string();
    let whole = Found::with(platform, &["--key", &key]).await.good();
    assert_eq!((whole.looked_at("records"), &whole.0["notes"]), (5, &json!([])), "{}", whole.0);
    let auditor = token(&json!({"sub": "auditor", "role": "service_role"}));
    let asked = service.request(reqwest::Method::GET, &format!("/vtid/{vtid}/proof?version=4"));
    let proof = service.send(asked.bearer_auth(auditor)).await.expect(200);
    let file = stage.file("event.tlog-proof");
    std::fs::write(&file, &proof.text).unwrap();
    let proven =
        platform.run(&["audit", "verify-proof", file.to_str().unwrap(), "--key", &key]).await.succeeded();
    for part in [&format!("{vtid} version 4 is in the ledger, at position 4"), "worker-7 (service_role)"] {
        assert!(proven.contains(part), "{part}: {proven}");
    }
    assert!(proven.contains(blamed.split("  ").next().unwrap()), "when: {proven}");
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
