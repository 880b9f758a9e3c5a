//! `PATCH /vtid/{vtid}`

use serde_json::{Value, json};

use crate::support::service::{Service, platform, some_task};

async fn created(service: &Service, metadata: &str) -> String {
    let body = format!(
        r#"{{"taskFamily":"f","taskType":"t","description":"d","tenant":"t","metadata":{metadata}}}"#
    );
    service.create(body).await.expect(200).vtid().to_owned()
}

#[tokio::test]
async fn a_patch_answers_with_a_list_of_the_one_row() {
    let platform = platform().await;
    let service = platform.serve().await;
    let vtid = created(&service, "null").await;
    let answer = service.patch(&vtid, r#"{"status":"active","assignedTo":"worker-7"}"#).await.expect(200);
    assert_eq!(answer.body["ok"], true);
    assert_eq!(answer.vtid(), vtid);
    let rows = answer.body["data"].as_array().unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!((&rows[0]["status"], &rows[0]["assigned_to"]), (&json!("active"), &json!("worker-7")));
    assert_eq!((answer.header("etag"), answer.position()), ("\"v2\"", 2));
    assert!(rows[0]["updated_at"].as_str() >= rows[0]["created_at"].as_str());
    let read = service.get(&format!("/vtid/{vtid}")).await.expect(200);
    assert_eq!(read.body["data"], rows[0]);
    assert_eq!(read.header("etag"), "\"v2\"");
    let unassigned = service.patch(&vtid, r#"{"assignedTo":null}"#).await.expect(200);
    assert_eq!(unassigned.body["data"][0]["assigned_to"], Value::Null);
    assert_eq!(unassigned.body["data"][0]["status"], "active", "what a patch does not name stays");
}

#[tokio::test]
async fn metadata_merges_at_every_level() {
    let platform = platform().await;
    let service = platform.serve().await;
    let vtid = created(&service, r#"{"a":{"b":1,"c":2},"d":[1,2]}"#).await;
    for (patch, merged) in [
        (r#"{"a":{"b":null,"e":3}}"#, r#"{"a":{"c":2,"e":3},"d":[1,2]}"#),
        (r#"{"d":[null]}"#, r#"{"a":{"c":2,"e":3},"d":[null]}"#),
        (r#"{"a":null}"#, r#"{"d":[null]}"#),
        (r"{}", r#"{"d":[null]}"#),
        (r#"{"x":{"y":{"z":null}}}"#, r#"{"d":[null],"x":{"y":{}}}"#),
        ("null", "null"),
        (r#"{"new":true,"gone":null}"#, r#"{"new":true}"#),
    ] {
        let answer = service.patch(&vtid, format!(r#"{{"metadata":{patch}}}"#)).await.expect(200);
        assert!(answer.text.contains(&format!(r#""metadata":{merged},"#)), "{patch}: {}", answer.text);
        let read = service.get(&format!("/vtid/{vtid}")).await.expect(200);
        assert!(read.text.contains(&format!(r#""metadata":{merged},"#)), "{patch}: {}", read.text);
    }
}

#[tokio::test]
async fn every_transition_is_allowed_or_refused_as_the_contract_says() {
    let platform = platform().await;
    let service = platform.serve().await;
    let table = [
        ("pending", "pending active blocked complete cancelled"),
        ("active", "pending active blocked complete cancelled"),
        ("blocked", "pending active blocked complete cancelled"),
        ("complete", "complete"),
        ("cancelled", "cancelled"),
    ];
    for (from, allowed) in table {
        for to in ["pending", "active", "blocked", "complete", "cancelled"] {
            let body = format!(
                r#"{{"taskFamily":"f","taskType":"t","description":"d","tenant":"t","status":"{from}"}}"#
            );
            let task = service.create(body).await.expect(200);
            let answer = service.patch(task.vtid(), format!(r#"{{"status":"{to}"}}"#)).await;
            if allowed.split(' ').any(|word| word == to) {
                assert_eq!(answer.expect(200).body["data"][0]["status"], to);
            } else {
                let refused = answer.expect(409);
                assert_eq!(refused.body["error"], "Invalid status transition");
                assert_eq!(refused.body["code"], "invalid_transition");
                assert_eq!(refused.body["detail"]["from"], from);
                assert_eq!(refused.body["detail"]["to"], to);
                assert_eq!(refused.body["detail"]["allowed"], json!([]));
                let read = service.get(&format!("/vtid/{}", task.vtid())).await.expect(200);
                assert_eq!(read.body["data"], task.body["data"], "nothing has changed");
            }
        }
    }
}

#[tokio::test]
async fn a_final_task_still_takes_metadata_and_assignee_and_an_empty_change_is_recorded() {
    let platform = platform().await;
    let service = platform.serve().await;
    let vtid = created(&service, "null").await;
    service.patch(&vtid, r#"{"status":"cancelled"}"#).await.expect(200);
    let answer = service.patch(&vtid, r#"{"assignedTo":"x","metadata":{"why":"late"}}"#).await.expect(200);
    assert_eq!(answer.header("etag"), "\"v3\"");
    let again = service.patch(&vtid, r#"{"status":"cancelled"}"#).await.expect(200);
    assert_eq!(again.header("etag"), "\"v4\"", "somebody asked for it");
    let types: Vec<String> = sqlx::query_scalar("select type from ledger.event order by position")
        .fetch_all(&mut platform.connection().await)
        .await
        .unwrap();
    assert_eq!(types, ["vtid-created", "vtid-updated", "vtid-updated", "vtid-updated"]);
}

#[tokio::test]
async fn bad_patches_are_refused_and_change_nothing() {
    let platform = platform().await;
    let service = platform.serve().await;
    let vtid = created(&service, r#"{"a":1}"#).await;
    for (body, paths) in [
        ("{}", vec![json!([])]),
        ("[]", vec![json!([])]),
        (r#"{"status":null}"#, vec![json!(["status"])]),
        (
            r#"{"status":"done","assignedTo":7,"metadata":[],"tenant":"x"}"#,
            vec![json!(["status"]), json!(["assignedTo"]), json!(["metadata"]), json!(["tenant"])],
        ),
        (r#"{"parentVtid":"VTID-2026-0001","status":"active"}"#, vec![json!(["parentVtid"])]),
        (r#"{"metadata":{"a":{"b":1,"b":1}}}"#, vec![json!(["metadata", "a", "b"])]),
    ] {
        let answer = service.patch(&vtid, body).await.expect(400);
        assert_eq!(answer.body["error"], "Invalid payload");
        let told: Vec<Value> =
            answer.body["detail"].as_array().unwrap().iter().map(|f| f["path"].clone()).collect();
        assert_eq!(told.len(), paths.len(), "{}", answer.text);
        assert!(paths.iter().all(|path| told.contains(path)), "{}", answer.text);
    }
    let read = service.get(&format!("/vtid/{vtid}")).await.expect(200);
    assert_eq!(read.header("etag"), "\"v1\"");
}

#[tokio::test]
async fn the_task_must_exist_and_its_name_be_one() {
    let platform = platform().await;
    let service = platform.serve().await;
    service.create(some_task("only one")).await.expect(200);
    for vtid in ["VTID-2026-0777", "VTID-1999-0001", "VTID-2026-0000", "VTID-2026-9223372036854775808"] {
        let answer = service.patch(vtid, r#"{"status":"active"}"#).await.expect(404);
        assert_eq!(
            (&answer.body["error"], &answer.body["code"]),
            (&json!("VTID not found"), &json!("vtid_not_found"))
        );
    }
    for vtid in ["VTID-2026-1", "vtid-2026-0001", "VTID-2026-00001", "%00", "VTID-2026-0001%20", "x"] {
        let answer = service.patch(vtid, r#"{"status":"active"}"#).await.expect(400);
        assert_eq!(answer.body["error"], "Invalid VTID format", "{vtid}");
    }
    // The format is looked at before the body, the body before whether the task exists.
    service.patch("VTID-1", "nonsense").await.expect(400);
    let payload = service.patch("VTID-2026-0777", "{}").await.expect(400);
    assert_eq!(payload.body["error"], "Invalid payload");
}
