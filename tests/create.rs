//! `POST /vtid/create`

use serde_json::json;

use crate::support::service::{Platform, Service, platform, some_task};

async fn event_count(platform: &Platform) -> i64 {
    sqlx::query_scalar("select count(*) from ledger.event")
        .fetch_one(&mut platform.connection().await)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_full_create_gives_the_whole_row() {
    let platform = platform().await;
    let service = platform.serve().await;
    service.create(some_task("the parent")).await.expect(200);
    let answer = service
        .create(
            r#"{"taskFamily":"DEPLOY","taskType":"service","description":"line one\n\tline two","tenant":"acme-1",
                "status":"blocked","assignedTo":"worker-7","metadata":{"zz":1,"a":{"b":[1,2.50,null]}},
                "parentVtid":"VTID-2026-0001"}"#
                .replace("VTID-2026-0001", &first_vtid(&service).await),
        )
        .await
        .expect(200);
    let row = answer.body["data"].clone();
    assert_eq!(answer.body["ok"], true);
    assert_eq!(answer.vtid(), row["vtid"]);
    assert_eq!(answer.header("location"), format!("/vtid/{}", answer.vtid()));
    assert_eq!(answer.header("etag"), "\"v1\"");
    assert_eq!(answer.position(), 2);
    assert_eq!(answer.header("content-type"), "application/json");
    let expected = json!({
        "id": row["id"], "vtid": row["vtid"], "task_family": "DEPLOY", "task_type": "service",
        "description": "line one\n\tline two", "status": "blocked", "assigned_to": "worker-7", "tenant": "acme-1",
        "metadata": {"a": {"b": [1, 2.5, null]}, "zz": 1}, "parent_vtid": first_vtid(&service).await,
        "created_at": row["created_at"], "updated_at": row["created_at"],
    });
    assert_eq!(row, expected);
    assert!(answer.text.contains(r#""metadata":{"a":{"b":[1,2.50,null]},"zz":1}"#), "{}", answer.text);
    assert!(uuid::Uuid::parse_str(row["id"].as_str().unwrap()).is_ok());
    let created_at = row["created_at"].as_str().unwrap();
    assert!(created_at.len() == 24 && created_at.ends_with('Z'), "{created_at}");
    let read = service.get(&format!("/vtid/{}", answer.vtid())).await.expect(200);
    assert_eq!(read.body["data"], row);
    assert_eq!(read.header("etag"), "\"v1\"");
}

async fn first_vtid(service: &Service) -> String {
    let list = service.get("/vtid/list?limit=1000").await.expect(200);
    list.body["data"].as_array().unwrap().last().unwrap()["vtid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_is_left_out_or_null_is_null_or_pending() {
    let platform = platform().await;
    let service = platform.serve().await;
    let nulls = r#"{"taskFamily":"f","taskType":"t","description":"d","tenant":"t","status":null,"assignedTo":null,"metadata":null,"parentVtid":null}"#;
    for body in [some_task("short").as_str(), nulls] {
        let row = service.create(body).await.expect(200).body["data"].clone();
        assert_eq!(row["status"], "pending");
        for field in ["assigned_to", "metadata", "parent_vtid"] {
            assert!(row.as_object().unwrap().contains_key(field) && row[field].is_null(), "{field}: {row}");
        }
    }
}

#[tokio::test]
async fn a_task_created_as_complete_has_two_events() {
    let platform = platform().await;
    let service = platform.serve().await;
    let answer = service
        .create(r#"{"taskFamily":"f","taskType":"t","description":"d","tenant":"t","status":"complete"}"#)
        .await
        .expect(200);
    assert_eq!(
        (answer.header("etag"), answer.position()),
        ("\"v2\"", 2),
        "the answer is that of the last event"
    );
    assert_eq!(answer.body["data"]["status"], "complete");
    let types: Vec<(String, String)> =
        sqlx::query_as("select type, body from ledger.event order by position")
            .fetch_all(&mut platform.connection().await)
            .await
            .unwrap();
    assert_eq!(types[0].0, "vtid-created");
    assert_eq!(types[1].0, "vtid-completed");
    assert!(types[1].1.ends_with(r#""data":{}}"#), "{}", types[1].1);
}

#[tokio::test]
async fn every_fault_of_a_payload_is_listed_and_nothing_is_appended() {
    let platform = platform().await;
    let service = platform.serve().await;
    let long = "x".repeat(101);
    let body = json!({
        "taskFamily": "", "taskType": long, "description": 7, "tenant": "A.b", "status": "done",
        "assignedTo": "x".repeat(201), "metadata": [], "parentVtid": "VTID-1", "extra": true,
    });
    let answer = service.create(body.to_string()).await.expect(400);
    assert_eq!(answer.body["ok"], false);
    assert_eq!(answer.body["error"], "Invalid payload");
    assert_eq!(answer.body["code"], "invalid_payload");
    let mut paths: Vec<String> = answer.body["detail"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["path"][0].as_str().unwrap().to_owned())
        .collect();
    paths.sort();
    assert_eq!(
        paths,
        [
            "assignedTo",
            "description",
            "extra",
            "metadata",
            "parentVtid",
            "status",
            "taskFamily",
            "taskType",
            "tenant"
        ]
    );
    assert!(answer.body["detail"].as_array().unwrap().iter().all(|fault| fault["message"].is_string()));
    let missing = service.create("{}").await.expect(400);
    assert_eq!(missing.body["detail"].as_array().unwrap().len(), 4, "{}", missing.text);
    assert_eq!(event_count(&platform).await, 0);
    assert_eq!(platform.stream_length().await, 0, "nothing is published for a refused request");
}

#[tokio::test]
async fn an_unknown_parent_is_told_only_when_nothing_else_is_wrong() {
    let platform = platform().await;
    let service = platform.serve().await;
    let body =
        r#"{"taskFamily":"","taskType":"t","description":"d","tenant":"t","parentVtid":"VTID-2026-0777"}"#;
    let answer = service.create(body).await.expect(400);
    assert_eq!(answer.body["detail"].as_array().unwrap().len(), 1, "{}", answer.text);
    assert_eq!(answer.body["detail"][0]["path"], json!(["taskFamily"]));
}

#[tokio::test]
async fn odd_numbers_are_exact_in_every_answer() {
    let platform = platform().await;
    let service = platform.serve().await;
    let sent = r#"{"big":12345678901234567890123,"tenth":0.10,"exp":1e3,"zero":-0,"$serde_json::private::Number":"1","huge":1e308,"small":1e-300}"#;
    let kept = format!(
        r#"{{"big":12345678901234567890123,"exp":1000,"huge":1{},"zero":0,"small":0.{}1,"tenth":0.10,"$serde_json::private::Number":"1"}}"#,
        "0".repeat(308),
        "0".repeat(299),
    );
    let body =
        format!(r#"{{"taskFamily":"f","taskType":"t","description":"d","tenant":"t","metadata":{sent}}}"#);
    let created = service.create(body).await.expect(200);
    let got = service.get(&format!("/vtid/{}", created.vtid())).await.expect(200);
    let listed = service.get("/vtid/list").await.expect(200);
    let patched = service.patch(created.vtid(), r#"{"assignedTo":"x"}"#).await.expect(200);
    for answer in [&created, &got, &listed, &patched] {
        assert!(answer.text.contains(&format!(r#""metadata":{kept}"#)), "{}", answer.text);
    }
}
