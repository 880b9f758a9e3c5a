//! What a write's caller is told.

use super::support::*;
use crate::domain::command::{Action, Expected};
use crate::domain::decide::Refusal;
use crate::domain::metadata::MetadataFault;
use crate::domain::position::Version;
use crate::domain::status::Status;
use crate::domain::vtid::Vtid;
use crate::writer::answer::{Accepted, WriteError};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const ROW: &str = r#"{"id":"00000000-0000-0000-0000-000000000000","vtid":"VTID-2026-0042","task_family":"f","task_type":"t","description":"d","status":"pending","assigned_to":null,"tenant":"acme","metadata":{"n":12345678901234567890123,"d":0.10},"parent_vtid":null,"created_at":"1970-01-01T00:00:00.000Z","updated_at":"1970-01-01T00:00:00.001Z"}"#;

#[tokio::test]
async fn a_create_reaches_the_writer_with_its_origin_and_its_answer_says_where_it_stands() {
    let mut server = start().await;
    let request =
        server.json("POST", "/vtid/create", CREATE).header("x-request-id", "r1").header("traceparent", TRACE);
    let response = server
        .write(request, |submission| {
            let origin = &submission.command.origin;
            assert_eq!(origin.actor.id.as_str(), "anonymous");
            assert_eq!(origin.request_id.as_str(), "r1");
            assert_eq!(origin.traceparent.as_ref().unwrap().as_str(), TRACE);
            assert_eq!(create_in(submission).tenant.as_str(), "acme");
            Ok(accepted())
        })
        .await;
    assert_eq!(response.status(), 200);
    for (name, value) in [
        ("content-type", "application/json"),
        ("location", "/vtid/VTID-2026-0042"),
        ("ledger-position", "97"),
        ("etag", "\"v3\""),
        ("x-request-id", "r1"),
    ] {
        assert_eq!(response.headers()[name], value, "{name}");
    }
    let expected = format!(r#"{{"ok":true,"vtid":"VTID-2026-0042","data":{ROW}}}"#);
    assert_eq!(response.text().await.unwrap(), expected);
}

#[tokio::test]
async fn a_patch_is_answered_with_a_list_of_one() {
    let mut server = start().await;
    // Percent-encoded, as a careful client may send it.
    let request = server.json("PATCH", "/vtid/VTID%2D2026-0042", r#"{"status":"active"}"#);
    let response = server
        .write(request, |submission| {
            let Action::Patch(vtid, patch, _) = &submission.command.action else { panic!("a create") };
            assert_eq!(*vtid, Vtid::parse_possible("VTID-2026-0042").unwrap());
            assert_eq!(patch.status, Some(Status::Active));
            assert!(uuid::Uuid::parse_str(submission.command.origin.request_id.as_str()).is_ok());
            Ok(accepted())
        })
        .await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["ledger-position"], "97");
    assert_eq!(response.headers()["etag"], "\"v3\"");
    let expected = format!(r#"{{"ok":true,"vtid":"VTID-2026-0042","data":[{ROW}]}}"#);
    assert_eq!(response.text().await.unwrap(), expected);
}

#[tokio::test]
async fn a_keyed_write_reaches_the_writer_even_if_it_can_only_be_refused() {
    let mut server = start().await;
    let hashes = [("nonsense", "/vtid/VTID-2026-0042"), (r#"{"status":"active"}"#, "/vtid/VTID-2026-0000")];
    for (body, path) in hashes {
        let request = server.json("PATCH", path, body).header("idempotency-key", "k");
        let response = server
            .write(request, |submission| {
                let idempotency = submission.command.origin.idempotency.as_ref().unwrap();
                assert_eq!(idempotency.key.as_str(), "k");
                let Action::Refuse(refusal) = &submission.command.action else { panic!("a command") };
                Err(refusal.clone().into())
            })
            .await;
        let status = response.status().as_u16();
        assert_eq!(status, if body == "nonsense" { 400 } else { 404 });
        assert!(!response.headers().contains_key("idempotency-replayed"));
    }
}

#[tokio::test]
async fn a_replay_says_that_it_is_one() {
    let mut server = start().await;
    let request = server.json("POST", "/vtid/create", CREATE).header("idempotency-key", "k");
    let response = server.write(request, |_| Ok(Accepted { replayed: true, ..accepted() })).await;
    assert_eq!(response.headers()["idempotency-replayed"], "true");
    assert_eq!(response.headers()["location"], "/vtid/VTID-2026-0042");
    let expected = format!(r#"{{"ok":true,"vtid":"VTID-2026-0042","data":{ROW}}}"#);
    assert_eq!(response.text().await.unwrap(), expected);
}

#[tokio::test]
async fn a_patch_tells_the_writer_which_versions_are_expected() {
    let mut server = start().await;
    for (tags, expected) in [
        (None, Expected::Any),
        (Some("*"), Expected::Any),
        (Some("\"v3\", W/\"v4\", \"v5\""), Expected::OneOf([Version::new(3), Version::new(5)].into())),
    ] {
        let request = server.json("PATCH", "/vtid/VTID-2026-0042", r#"{"status":"active"}"#);
        let request = tags.into_iter().fold(request, |request, tags| request.header("if-match", tags));
        let asked = |action: &Action| matches!(action, Action::Patch(_, _, asked) if *asked == expected);
        let response = server
            .write(request, |submission| {
                assert!(asked(&submission.command.action), "{:?}", submission.command.action);
                Err(Refusal::VersionMismatch { current: Version::new(4) }.into())
            })
            .await;
        assert_eq!(response.headers()["etag"], "\"v4\"");
        let detail = error(response, 412, "Version mismatch", "version_mismatch").await;
        assert_eq!(detail, serde_json::json!({"current": 4}));
    }
}

#[tokio::test]
async fn every_way_to_fail_has_its_answer() {
    let mut server = start().await;
    let refused = WriteError::Refused;
    for (failure, status, text, code) in [
        (refused(Refusal::TaskNotFound), 404, "VTID not found", "vtid_not_found"),
        (
            refused(Refusal::VersionMismatch { current: Version::new(4) }),
            412,
            "Version mismatch",
            "version_mismatch",
        ),
        (refused(Refusal::UnknownParent), 400, "Invalid payload", "invalid_payload"),
        (refused(Refusal::Metadata(MetadataFault::TooLarge)), 400, "Invalid payload", "invalid_payload"),
        (WriteError::KeyReused, 422, "Idempotency key reused", "idempotency_key_reused"),
        (WriteError::Unavailable, 503, "Unavailable", "unavailable"),
        (WriteError::OutcomeUnknown, 503, "Unavailable", "outcome_unknown"),
        (WriteError::LedgerBehind, 503, "Unavailable", "ledger_behind"),
        (WriteError::Internal, 500, "Internal error", "internal_error"),
    ] {
        let request = server.json("PATCH", "/vtid/VTID-2026-0042", r#"{"metadata":{}}"#);
        let response = server.write(request, |_| Err(failure.clone())).await;
        let detail = error(response, status, text, code).await;
        match failure {
            WriteError::Refused(Refusal::UnknownParent) => assert_eq!(paths(&detail), ["parentVtid"]),
            WriteError::Refused(Refusal::Metadata(_)) => assert_eq!(paths(&detail), ["metadata"]),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_refused_transition_says_what_is_allowed() {
    let mut server = start().await;
    for (from, allowed) in
        [(Status::Active, &["pending", "blocked", "complete", "cancelled"][..]), (Status::Complete, &[])]
    {
        let refusal = Refusal::InvalidTransition { from, to: Status::Pending };
        let request = server.json("PATCH", "/vtid/VTID-2026-0042", r#"{"status":"pending"}"#);
        let response = server.write(request, |_| Err(refusal.into())).await;
        let detail = error(response, 409, "Invalid status transition", "invalid_transition").await;
        let expected = serde_json::json!({"from": from.as_str(), "to": "pending", "allowed": allowed});
        assert_eq!(detail, expected);
    }
}

#[tokio::test]
async fn a_writer_that_is_gone_says_that_the_outcome_is_unknown() {
    let mut server = start().await;
    let request = tokio::spawn(server.json("POST", "/vtid/create", CREATE).send());
    drop(server.submissions.recv().await.unwrap());
    let response = request.await.unwrap().unwrap();
    error(response, 503, "Unavailable", "outcome_unknown").await;
    server.submissions.close();
    let response = server.json("POST", "/vtid/create", CREATE).send().await.unwrap();
    error(response, 503, "Unavailable", "unavailable").await;
}
