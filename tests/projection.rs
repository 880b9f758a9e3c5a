//! The projector: the read table is the fold of the log up to its cursor, whoever projects.

use futures::future::join_all;
use sqlx::Row;
use vtid_ledger::domain::position::Position;
use vtid_ledger::log::hold::read_hold;
use vtid_ledger::projections::read::ReadFailure;
use vtid_ledger::projections::status::ProjectorState;
use vtid_ledger::projections::tasks::{self, ProjectionError};

use crate::support::commands::{create, patch, some_create};
use crate::support::eventually;
use crate::support::ledger::ByHand;
use crate::support::projection::projected;

#[tokio::test]
async fn a_read_shows_every_write_that_was_acknowledged() {
    let projected = projected().await;
    let projector = projected.projector();
    let reader = projected.reader(&projector);
    for n in 0..50 {
        let created = projected.create(&format!("task {n}")).await;
        let shown = reader.get(created.vtid, Position::ZERO).await.unwrap();
        assert_eq!(shown.value.as_deref(), Some(&*created));
        let patched = projected.patch(created.vtid, r#"{"status":"complete","metadata":{"n":1}}"#).await;
        let shown = reader.get(created.vtid, Position::ZERO).await.unwrap();
        assert_eq!((shown.value.as_deref(), shown.position), (Some(&*patched), patched.position));
    }
    assert_eq!(projected.differences().await, []);
}

#[tokio::test]
async fn numbers_arrive_digit_by_digit() {
    let projected = projected().await;
    let projector = projected.projector();
    let body = r#"{"taskFamily":"f","taskType":"t","description":"d","tenant":"t",
        "metadata":{"long":12345678901234567890123,"scale":0.10,"exponent":1e3,"zero":-0,"$serde_json::private::Number":"7"}}"#;
    let task = projected.writer.submit(create(body)).await.unwrap().task;
    let shown = projected.reader(&projector).get(task.vtid, Position::ZERO).await.unwrap().value.unwrap();
    assert_eq!(shown, task);
    let stored: String = sqlx::query_scalar(r#"select metadata::text from "VtidLedger""#)
        .fetch_one(&mut projected.connection().await)
        .await
        .unwrap();
    assert_eq!(
        stored,
        r#"{"long": 12345678901234567890123, "zero": 0, "scale": 0.10, "exponent": 1000, "$serde_json::private::Number": "7"}"#
    );
}

#[tokio::test]
async fn two_projectors_and_two_writers_share_one_table() {
    let projected = projected().await;
    let other_log = projected.ledger.log().await;
    let writers = [projected.writer.clone(), projected.ledger.writer(&other_log)];
    let projectors = [projected.projector(), projected.projector_of(&other_log)];
    let tasks = join_all((0..40).map(|n| {
        let writer = writers[n % 2].clone();
        async move { writer.submit(some_create("shared")).await.unwrap().task.vtid }
    }))
    .await;
    join_all((0..1200).map(|n| {
        let (writer, vtid) = (writers[n % 2].clone(), tasks[n % 40]);
        async move { writer.submit(patch(vtid, &format!(r#"{{"metadata":{{"n":{n}}}}}"#))).await.unwrap() }
    }))
    .await;
    for projector in &projectors {
        projector.reaches(Position::new(1240)).await;
    }
    assert_eq!(projected.differences().await, []);
    let kept = projected.count("select count(*) from ledger.progress").await;
    assert!(kept < 1000, "old cursors are pruned: {kept}");
}

#[tokio::test]
async fn every_64th_version_is_kept_as_a_snapshot() {
    let projected = projected().await;
    let vtid = projected.create("patched often").await.vtid;
    join_all((2..=200).map(|_| projected.patch(vtid, r#"{"status":"active"}"#))).await;
    // All of it in one batch, or nearly so.
    let projector = projected.projector();
    projector.reaches(Position::new(200)).await;
    let rows = sqlx::query("select version, position from ledger.snapshot order by version")
        .fetch_all(&mut projected.connection().await)
        .await
        .unwrap();
    let kept: Vec<(i64, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(kept, [(64, 64), (128, 128), (192, 192)]);
}

#[tokio::test]
async fn an_event_that_can_not_be_written_stops_it_and_a_rebuild_heals_it() {
    let projected = projected().await;
    let first = projected.create("first").await;
    let projector = projected.projector();
    projector.reaches(Position::new(1)).await;
    projected.by_hand(r#"update "VtidLedger" set vtid = 'VTID-1999-0001'"#).await;
    let second = projected.create("second").await;
    projected.patch(first.vtid, r#"{"status":"active"}"#).await;
    let stopped =
        projector.until("it stops", |status| matches!(status.state, ProjectorState::Stopped { .. })).await;
    assert_eq!(stopped.position, second.position, "what comes before is applied");
    let ProjectorState::Stopped { position, reason, .. } = stopped.state else { unreachable!() };
    assert_eq!(position, Position::new(3));
    assert!(reason.contains("VtidLedger_pkey"), "{reason}");
    let reader = projected.reader(&projector);
    assert!(matches!(reader.get(first.vtid, Position::ZERO).await, Err(ReadFailure::Behind)));
    crate::rebuild::rebuilt(&projected).await;
    let healed = projector.until("it goes on", |status| status.position == Position::new(3)).await;
    assert_eq!(healed.state, ProjectorState::Following);
    assert_eq!(projected.differences().await, []);
}

#[tokio::test]
async fn a_type_of_a_later_version_stops_it_by_name_and_those_before_are_applied() {
    let projected = projected().await;
    for n in 0..5 {
        projected.create(&format!("task {n}")).await;
    }
    let renamed = ByHand { base: 1, position: 6, version: 2, kind: "vtid-renamed", vtid: None, tenant: None };
    renamed.append(&mut projected.ledger.connection().await).await.unwrap();
    let projector = projected.projector_of(&projected.ledger.log().await);
    let stopped =
        projector.until("it stops", |status| matches!(status.state, ProjectorState::Stopped { .. })).await;
    assert_eq!(stopped.position, Position::new(5));
    let ProjectorState::Stopped { position, reason, .. } = stopped.state else { unreachable!() };
    assert_eq!(position, Position::new(6));
    assert!(reason.contains("vtid-renamed"), "{reason}");
}

#[tokio::test]
async fn code_of_a_later_revision_makes_it_watch() {
    let projected = projected().await;
    let projector = projected.projector();
    projected.create("ours").await;
    projector.reaches(Position::new(1)).await;
    projected.by_hand("update ledger.projection set mending_revision = 2, mended_to = ''").await;
    projected.create("theirs").await;
    let superseded = ProjectorState::Superseded { revision: 2 };
    projector.until("it watches", |status| status.state == superseded).await;
    assert_eq!(projected.count(r#"select count(*) from "VtidLedger""#).await, 1);
    projected.by_hand("update ledger.projection set mending_revision = null, mended_to = null").await;
    projector.reaches(Position::new(2)).await;
    assert_eq!(projector.status.borrow().state, ProjectorState::Following);
}

#[tokio::test]
async fn an_event_that_the_log_has_lost_is_never_projected_and_sets_the_hold() {
    let projected = projected().await;
    projected.create("kept").await;
    projected.create("lost").await;
    // A failover without the last commit; the process still has it in memory.
    projected
        .by_hand(
            "alter table ledger.event disable trigger all; delete from ledger.event where position = 2;
             alter table ledger.event enable always trigger event_is_immutable;
             alter table ledger.event enable always trigger event_follows_predecessor",
        )
        .await;
    let projector = projected.projector();
    projector.until("it is told", |s| matches!(s.state, ProjectorState::OtherPast { .. })).await;
    let hold =
        eventually("the hold", async || read_hold(&mut projected.connection().await).await.unwrap()).await;
    assert_eq!(hold.position, Position::new(2));
    assert_eq!(projected.count(r#"select count(*) from "VtidLedger" where description = 'lost'"#).await, 0);
}

#[tokio::test]
async fn a_dropped_table_is_followed_from_the_start_again() {
    let projected = projected().await;
    let projector = projected.projector();
    for n in 0..30 {
        projected.create(&format!("task {n}")).await;
    }
    projector.reaches(Position::new(30)).await;
    projected.by_hand(r#"drop table "VtidLedger""#).await;
    let mut connection = projected.connection().await;
    assert!(matches!(tasks::check(&mut connection).await, Err(ProjectionError::NotMigrated { found: 0 })));
    tasks::apply_sql(&mut connection).await.unwrap();
    tasks::check(&mut connection).await.unwrap();
    tasks::apply_sql(&mut connection).await.unwrap();
    eventually("the rows are back", async || {
        (projected.count(r#"select count(*) from "VtidLedger""#).await == 30).then_some(())
    })
    .await;
    assert_eq!(projected.differences().await, []);
}

#[tokio::test]
async fn a_crash_of_its_connection_is_borne() {
    let projected = projected().await;
    let projector = projected.projector();
    for n in 0..20 {
        projected.create(&format!("task {n}")).await;
        projected
            .by_hand("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()")
            .await;
    }
    projector.reaches(Position::new(20)).await;
    assert_eq!(projected.differences().await, []);
}
