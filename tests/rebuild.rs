//! Rebuilding the read table in place, and the same walk read only.

use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use futures::future::join_all;
use vtid_ledger::domain::position::Position;
use vtid_ledger::projections::command::{self, ProjectionArgs};
use vtid_ledger::projections::rebuild::{Difference, From, WalkProgress, rebuild};
use vtid_ledger::projections::tasks::ProjectionError;

use crate::support::projection::{Projected, projected};

/// A whole rebuild.
pub(crate) async fn rebuilt(projected: &Projected) -> WalkProgress {
    rebuild(&projected.options(), From::TheStart, |_| {}).await.unwrap()
}

async fn with_tasks(count: usize) -> Projected {
    let projected = projected().await;
    let projector = projected.projector();
    let created = (0..count).map(|n| {
        let projected = &projected;
        async move { projected.create(&n.to_string()).await }
    });
    join_all(created).await;
    projector.reaches(Position::new(count as u64)).await;
    projected
}

fn changed(vtid: &str, columns: &[&'static str]) -> Difference {
    Difference::Changed { vtid: vtid.to_owned(), columns: columns.to_vec() }
}

#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    projection: ProjectionArgs,
}

async fn command(projected: &Projected, arguments: &[&str]) -> Result<String, ProjectionError> {
    let line = CommandLine::try_parse_from([&["projection"], arguments].concat()).unwrap();
    let mut out = Vec::new();
    command::run(line.projection, &projected.options(), &mut out).await?;
    Ok(String::from_utf8(out).unwrap())
}

#[tokio::test]
async fn every_kind_of_edit_is_named_and_mended() {
    let projected = with_tasks(20).await;
    let year = projected.create("the last").await.vtid.year();
    let projector = projected.projector();
    projector.reaches(Position::new(21)).await;
    let name = |number: u32| format!("VTID-{year:04}-{number:04}");
    for (number, edit) in [
        (1, "description = 'edited', status = 'active'"),
        (2, "metadata = '{\"a\": 1}'"),
        (3, "metadata = 'null'"),
        (4, "status = 'nonsense', tenant = 'NOT A TENANT'"),
        (5, "created_at = 'infinity', updated_at = '-infinity'"),
        (6, "version = 9, created_position = -1, position = 99"),
        (7, "id = 'no uuid', parent_vtid = 'no vtid'"),
        (8, "vtid = 'zzz'"),
        (9, "vtid = ''"),
        (10, "vtid = 'VTID-1999-0001'"),
    ] {
        let sql = format!(r#"update "VtidLedger" set {edit} where vtid = $1"#);
        let done = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(name(number))
            .execute(&mut projected.connection().await)
            .await
            .unwrap();
        assert_eq!(done.rows_affected(), 1, "{edit}");
    }
    // Two rows with each other's id, a row that is gone, and one of no task.
    projected
        .by_hand(
            r#"update "VtidLedger" t set id = 'swap' where position = 11;
               update "VtidLedger" t set id = (select e.event_id::text from ledger.event e where e.position = 11) where position = 12;
               update "VtidLedger" t set id = (select e.event_id::text from ledger.event e where e.position = 12) where position = 11;
               delete from "VtidLedger" where position = 13;
               insert into "VtidLedger" select gen_random_uuid(), 'VTID-2026-0002x', 'a', 'b', 'c', 'd', null, 'e', null, null,
                   now(), now(), 1, 1, 1"#,
        )
        .await;
    let expected = [
        Difference::Unexpected { vtid: String::new() },
        Difference::Unexpected { vtid: "VTID-1999-0001".to_owned() },
        Difference::Unexpected { vtid: "VTID-2026-0002x".to_owned() },
        Difference::Unexpected { vtid: "zzz".to_owned() },
        Difference::Missing { vtid: name(8) },
        Difference::Missing { vtid: name(9) },
        Difference::Missing { vtid: name(10) },
        Difference::Missing { vtid: name(13) },
        changed(&name(1), &["description", "status"]),
        changed(&name(2), &["metadata"]),
        changed(&name(3), &["metadata"]),
        changed(&name(4), &["status", "tenant"]),
        changed(&name(5), &["created_at", "updated_at"]),
        changed(&name(6), &["version", "created_position", "position"]),
        changed(&name(7), &["id", "parent_vtid"]),
        changed(&name(11), &["id"]),
        changed(&name(12), &["id"]),
    ];
    let sorted = |mut all: Vec<Difference>| {
        all.sort_by_key(|difference| format!("{difference:?}"));
        all
    };
    assert_eq!(sorted(projected.differences().await), sorted(expected.to_vec()));
    let position = projector.status.borrow().position;
    let done = rebuilt(&projected).await;
    // Where two rows had each other's id, the second is freed on the way.
    assert_eq!((done.tasks, done.missing, done.unexpected), (21, 4, 4));
    assert_eq!(projected.differences().await, []);
    assert_eq!(projected.count(r#"select count(*) from "VtidLedger""#).await, 21);
    assert_eq!(projector.status.borrow().position, position, "the cursor stays");
    assert_eq!(rebuilt(&projected).await.differences(), 0, "nothing is left to mend");
}

#[tokio::test]
async fn writes_go_on_and_no_row_is_ever_missing() {
    let projected = with_tasks(700).await;
    projected.by_hand(r#"update "VtidLedger" set description = 'edited' where position % 3 = 0"#).await;
    let projector = projected.projector();
    let done = AtomicBool::new(false);
    let mending = async {
        let mended = rebuilt(&projected).await;
        done.store(true, Ordering::Relaxed);
        mended
    };
    let writing = async {
        let mut written = 0_u64;
        while !done.load(Ordering::Relaxed) {
            let made = projected.create("meanwhile").await;
            written = projected.patch(made.vtid, r#"{"status":"complete"}"#).await.position.get();
        }
        written
    };
    let watching = async {
        while !done.load(Ordering::Relaxed) {
            let rows =
                projected.count(r#"select count(*) from "VtidLedger" where created_position <= 700"#).await;
            assert_eq!(rows, 700);
        }
    };
    let (mended, written, ()) = tokio::join!(mending, writing, watching);
    assert_eq!((mended.missing, mended.changed, mended.unexpected), (0, 233, 0));
    projector.reaches(Position::new(written)).await;
    assert_eq!(projected.differences().await, []);
}

#[tokio::test]
async fn a_truncated_table_comes_back() {
    let projected = with_tasks(600).await;
    projected.by_hand(r#"truncate "VtidLedger""#).await;
    let done = rebuilt(&projected).await;
    assert_eq!((done.tasks, done.missing, done.total), (600, 600, Some(600)));
    assert_eq!(projected.differences().await, []);
}

#[tokio::test]
async fn more_rows_of_no_task_than_a_range_holds_are_removed() {
    let projected = with_tasks(3).await;
    projected
        .by_hand(
            r#"insert into "VtidLedger" select gen_random_uuid(), 'VTID-0' || n, 'a', 'b', 'c', 'd', null, 'e', null, null,
                 now(), now(), 1, 1, 1 from generate_series(1, 3000) n"#,
        )
        .await;
    assert_eq!(projected.differences().await.len(), 3000);
    assert_eq!(rebuilt(&projected).await.unexpected, 3000);
    assert_eq!(projected.count(r#"select count(*) from "VtidLedger""#).await, 3);
}

#[tokio::test]
async fn a_task_with_many_events_goes_alone() {
    let projected = with_tasks(5).await;
    let vtid = projected.create("large").await.vtid;
    join_all((0..1500).map(|n| {
        let body = format!(r#"{{"metadata":{{"n":{n},"k{n}":null}}}}"#);
        let projected = &projected;
        async move { projected.patch(vtid, &body).await }
    }))
    .await;
    let projector = projected.projector();
    projector.reaches(Position::new(1506)).await;
    projected
        .by_hand(r#"update "VtidLedger" set metadata = null where version > 1000; truncate ledger.snapshot"#)
        .await;
    let differences = projected.differences().await;
    assert_eq!(differences, [changed(&vtid.to_string(), &["metadata"])]);
    assert_eq!(rebuilt(&projected).await.changed, 1);
    assert_eq!(projected.differences().await, []);
}

#[tokio::test]
async fn an_interrupted_rebuild_is_taken_up_where_it_stopped() {
    let projected = with_tasks(600).await;
    projected.by_hand(r#"update "VtidLedger" set description = 'edited'"#).await;
    let options = projected.options();
    let mut reports = 0;
    let interrupted = async {
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let mut stop = Some(stop);
        tokio::select! {
            done = rebuild(&options, From::TheStart, |walk| {
                reports += 1;
                if walk.tasks > 0 {
                    stop.take().map(|stop| stop.send(()));
                }
            }) => panic!("not interrupted: {done:?}"),
            _ = stopped => {}
        }
    };
    interrupted.await;
    let status = command(&projected, &["status"]).await.unwrap();
    assert!(status.contains("done up to VTID-"), "{status}");
    let output = command(&projected, &["rebuild", "vtid_ledger"]).await.unwrap();
    assert!(output.contains("took up an interrupted rebuild after VTID-"), "{output}");
    assert_eq!(projected.differences().await, []);
    let status = command(&projected, &["status"]).await.unwrap();
    assert!(status.contains("position    600 of 600 (0 behind)"), "{status}");
    assert!(status.contains("rebuild     none"), "{status}");
}

#[tokio::test]
async fn a_raised_revision_rebuilds_by_itself() {
    let projected = with_tasks(10).await;
    projected
        .by_hand(r#"update "VtidLedger" set description = 'as revision 0 wrote it'; update ledger.projection set revision = 0"#)
        .await;
    let _projector = projected.projector();
    crate::support::eventually("the rebuild", async || {
        (projected
            .count("select count(*) from ledger.projection where revision = 1 and mending_revision is null")
            .await
            == 1)
            .then_some(())
    })
    .await;
    assert_eq!(projected.differences().await, []);
}

#[tokio::test]
async fn what_a_later_version_keeps_is_left_alone() {
    let projected = with_tasks(1).await;
    projected
        .by_hand("update ledger.projection set revision = 2, schema_revision = schema_revision + 1")
        .await;
    let refused = command(&projected, &["rebuild", "vtid_ledger"]).await;
    assert!(matches!(refused, Err(ProjectionError::Newer(2))), "{refused:?}");
    let unknown = command(&projected, &["rebuild", "other"]).await;
    assert!(matches!(unknown, Err(ProjectionError::Unknown(_))), "{unknown:?}");
}
